// Small things about numbers, and how they are written.
export const clamp = (x, low, high) => Math.max(low, Math.min(high, x));
export const percent = (p, digits = 0) => `${(100 * p).toFixed(digits)} %`;
export const argmax = (values) => values.reduce((best, v, i) => (v > values[best] ? i : best), 0);
export const mean = (values) => values.reduce((a, b) => a + b, 0) / values.length;
// A number for eyes: three figures that count, thousands apart.
export function short(x) {
  if (!Number.isFinite(x)) return String(x);
  if (x === 0) return '0';
  if (Math.abs(x) >= 1000) return Math.round(x).toLocaleString('en');
  return Math.abs(x) < 0.001 ? x.toExponential(1) : String(Number(x.toPrecision(3)));
}
export function softmax(logits, temperature = 1) {
  const high = Math.max(...logits), e = Array.from(logits, (z) => Math.exp((z - high) / temperature));
  const total = e.reduce((a, b) => a + b, 0);
  return e.map((v) => v / total);
}
// Which classes are worth a bar: the likeliest `top` by any of the rows of probabilities, in the classes' order.
export function likeliest(rows, top = 10) {
  const best = Array.from(rows[0], (_, k) => Math.max(...rows.map((row) => row[k])));
  return best.map((_, k) => k).sort((a, b) => best[b] - best[a]).slice(0, top).sort((a, b) => a - b);
}
