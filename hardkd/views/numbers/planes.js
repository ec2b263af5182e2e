// A plane of two kinds of warps, cell by cell: means over images, where the teacher is sure, and where most is gained.

// A byte from which on the teacher is sure: its answer on the untouched image still has half of the probability.
export const SURE = 127.4;

// The mean over n rows of `size` values; row(i) gives the i-th.
export function meanRow(n, size, row) {
  const total = new Float64Array(size);
  for (let i = 0; i < n; i += 1) row(i).forEach((x, k) => { total[k] += x / n; });
  return total;
}
// The cell with the largest value where isSure(k); -1 where there is none.
export function bestCell(values, isSure) {
  let best = -1;
  values.forEach((x, k) => { if (isSure(k) && (best < 0 || x > values[best])) best = k; });
  return best;
}
// What a share of an axis' reach is in its unit; a scale, in percent, grows by powers.
export function inReach({ unit, at }, share) {
  const reach = at[at.length - 1];
  return unit === '%' ? 100 * ((1 + reach / 100) ** share - 1) : share * reach;
}
// What the augmentor climbs.
export const hardnessOf = (disagreement, teacherChange, weight) => disagreement - weight * teacherChange;
