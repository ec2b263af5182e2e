// The ledger of a loss: running means, terms with their signs and weights, where the marks of an axis stand.
import { short } from './basics.js';

// A number with its sign, as an account writes it.
export const signed = (x) => (Math.abs(x) < 1e-12 ? '0' : `${x < 0 ? '−' : '+'}${short(Math.abs(x))}`);
// Which way a term counts: at weight 0 the price on the teacher's change of mind is still one.
export const signOf = (weight, term) => (weight < 0 || (weight === 0 && term === 'teacher_change') ? -1 : 1);
// What a term gives or takes; its sign stays where nothing is left of it.
export const credit = (sign, x) => (Math.abs(x) < 1e-12 ? (sign < 0 ? '−0' : '+0') : signed(x));
// Whether any weight is another one than it was.
export const reweighed = (weights, before) => weights.some((w, k) => Math.abs(w - before[k]) > 1e-9);

// Mean over the turns no further than half of `width` away, at each turn; `turn` grows.
export function running(turn, values, width) {
  const n = turn.length, out = new Float64Array(n);
  let low = 0, high = 0, total = 0;
  for (let i = 0; i < n; i += 1) {
    while (high < n && turn[high] <= turn[i] + width / 2) {
      total += values[high];
      high += 1;
    }
    while (turn[low] < turn[i] - width / 2) {
      total -= values[low];
      low += 1;
    }
    out[i] = total / (high - low);
  }
  return out;
}

// What each of k terms adds to the sum, and the sum; without weights the terms as they are and the sum as recorded.
export function weighed(terms, weights, recorded) {
  if (!weights) return { entries: terms, total: recorded };
  const entries = terms.map((values, k) => values.map((x) => weights[k] * x));
  return { entries, total: recorded.map((_, j) => entries.reduce((sum, entry) => sum + entry[j], 0)) };
}

// The turn nearest to t: its index.
export function nearestTurn(turn, t) {
  let best = 0;
  for (let i = 1; i < turn.length; i += 1) if (Math.abs(turn[i] - t) < Math.abs(turn[best] - t)) best = i;
  return best;
}

// From the lowest to the highest of the first `count` numbers of some series, 0 among them.
export function spanOf(series, count) {
  let low = 0, high = 0;
  for (const values of series) for (let j = 0; j < count; j += 1) {
    low = Math.min(low, values[j]);
    high = Math.max(high, values[j]);
  }
  return high - low < 1e-9 ? [low, low + 1] : [low, high];
}

// An axis that is even, or, with a usual height, even up to there and squeezed beyond.
export const bent = (y, usual) => (usual ? Math.asinh(y / usual) : y);

// Round marks for an axis from a to b: evenly, or, where it is squeezed, at 1 and 3 times powers of ten.
export function axisMarks(a, b, usual) {
  if (usual) {
    const marks = [0];
    for (let e = Math.floor(Math.log10(usual)); 10 ** e <= Math.max(-a, b); e += 1) {
      for (const m of [1, 3]) marks.push(m * 10 ** e, -m * 10 ** e);
    }
    return marks.filter((x) => x >= a && x <= b);
  }
  const rough = (b - a) / 5, unit = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].find((m) => m * unit >= rough) * unit, first = Math.ceil(a / step);
  return Array.from({ length: Math.floor(b / step) - first + 1 }, (_, i) => (first + i) * step);
}
