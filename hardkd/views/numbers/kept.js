// How far images may change until a model loses its class: marks of a logarithmic axis, and where on it a number lies.
import { clamp } from './basics.js';

// The powers of two from `low` to `high`, as [number, text]: 1/4, 1/2, 1, 2, ...
export function powersOfTwo(low, high) {
  const first = Math.ceil(Math.log2(low) - 1e-9), last = Math.floor(Math.log2(high) + 1e-9);
  return Array.from({ length: Math.max(0, last - first + 1) }, (_, i) => {
    const k = first + i;
    return [2 ** k, k < 0 ? `1/${2 ** -k}` : String(2 ** k)];
  });
}
// The two ends of a logarithmic axis that shows all numbers above 0 and 1.
export function logSpan(values) {
  const shown = values.filter((x) => x > 0 && Number.isFinite(x));
  return [Math.min(1, ...shown) / 1.15, Math.max(1, ...shown) * 1.15];
}
// Where a number lies between the ends of a logarithmic axis, 0 to 1.
export function logShare(x, [low, high]) {
  return clamp(Math.log(Math.max(x, low) / low) / Math.log(high / low), 0, 1);
}
// The last step at which a curve is known.
export function lastKnown(shares) {
  let last = 0;
  shares.forEach((share, step) => { if (Number.isFinite(share)) last = step; });
  return last;
}
// The lower end of an axis of shares that all curves fit on: a multiple of a tenth, at most `keeps` less a tenth.
export function lowestShare(shares, keeps) {
  const least = Math.min(keeps - 0.1, ...shares.filter(Number.isFinite));
  return clamp(Math.floor(10 * least + 1e-9) / 10, 0, 0.9);
}
