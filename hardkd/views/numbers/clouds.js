// Clouds of transforms: how wide they are, how hard the shifts in them are, and how many of the hard shifts they reach.
import { clamp, mean } from './basics.js';

// Standard deviation, of the numbers as they are (no correction for a sample).
export function deviation(values) {
  const middle = mean(values);
  return Math.sqrt(mean(values.map((x) => (x - middle) ** 2)));
}
// The value at (x, y) of a grid of S x S values, measured at every stride-th shift from -reach to reach, rows
// downwards; between them by straight lines.
export function between(grid, { reach, stride }, x, y) {
  const S = 2 * reach / stride + 1, [fx, fy] = [x, y].map((at) => clamp((at + reach) / stride, 0, S - 1));
  const c = Math.min(S - 2, Math.floor(fx)), r = Math.min(S - 2, Math.floor(fy)), a = fx - c, b = fy - r;
  const along = (row) => grid[row * S + c] * (1 - a) + grid[row * S + c + 1] * a;
  return along(r) * (1 - b) + along(r + 1) * b;
}
// A lump of 49 shifts, evenly around (x, y) as far as `spread`.
export function lumpAt(x, y, spread) {
  const away = (k) => (k / 3 - 1) * spread;
  return Array.from({ length: 49 }, (_, i) => [x + away(i % 7), y + away(Math.floor(i / 7))]);
}
// All measured shifts (x, y), row by row.
export function shiftsOf({ reach, stride }) {
  const S = 2 * reach / stride + 1;
  return Array.from({ length: S * S }, (_, i) => [(i % S) * stride - reach, Math.floor(i / S) * stride - reach]);
}
// The share of the measured shifts with a hardness above 0 that a cloud comes near to.
export function shareReached(cloud, plane, hardness) {
  const hard = shiftsOf(plane).filter(([x, y]) => hardness(x, y) > 0), { stride } = plane;
  const isNear = ([x, y]) => cloud.some(([a, b]) => Math.abs(a - x) <= stride && Math.abs(b - y) <= stride);
  return hard.length ? hard.filter(isNear).length / hard.length : 0;
}
