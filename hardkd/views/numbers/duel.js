// Two networks' features in one plane: which moment of a run is shown, the window for all moments, where pictures and
// names fit.
import { clamp } from './basics.js';

// Copies of an image from one end to the other, through the unmoved one: left to right, and up to down.
export const COPY_LINES = [[1, 2, 0, 3, 4], [5, 6, 0, 7, 8]];

// The moment of a run of `moments` at frame f of the longest run's `frames`: its nearest share.
export function momentAt(moments, frames, f) {
  const last = moments - 1, all = frames - 1;
  return all ? Math.floor((2 * f * last + all) / (2 * all)) : 0;
}
// Images class by class.
export const byClass = (labels) => Array.from(labels, (_, i) => i).sort((a, b) => labels[a] - labels[b] || a - b);

// One square window for all places (x, y, x, y, ...), its edges on tenths: [[left, right], [low, high]].
export function windowOf(places) {
  const edges = [0, 1].map((axis) => places.reduce(([a, b], data) => {
    for (let i = axis; i < data.length; i += 2) {
      a = Math.min(a, data[i]);
      b = Math.max(b, data[i]);
    }
    return [a, b];
  }, [Infinity, -Infinity]));
  const tenth = (x) => Math.round(10 * x) / 10, reach = Math.max(...edges.map(([a, b]) => b - a));
  const half = Math.ceil(5.4 * reach + 0.5) / 10;
  return edges.map(([a, b]) => [tenth(tenth((a + b) / 2) - half), tenth(tenth((a + b) / 2) + half)]);
}

// Corners of square pictures of `side`, each pushed away from `middle` beyond its point, inside [west, east, north,
// south]; those that would cover an earlier one are left out: [{k, x, y}].
export function pictureCorners(points, middle, side, [west, east, north, south]) {
  const taken = [];
  points.forEach(([x, y], k) => {
    const away = Math.hypot(x - middle[0], y - middle[1]);
    const [ux, uy] = away > 1 ? [(x - middle[0]) / away, (y - middle[1]) / away] : [0, -1];
    const left = clamp(x + ux * 24 - side / 2, west + 2, east - side - 2);
    const top = clamp(y + uy * 24 - side / 2, north + 2, south - side - 2);
    const covers = taken.some((other) => Math.abs(other.x - left) < side + 2 && Math.abs(other.y - top) < side + 2);
    if (!covers) taken.push({ k, x: left, y: top });
  });
  return taken;
}

const NEAR = [[0, 0], [0, -15], [0, 15], [-1, -12], [1, -12], [-1, 12], [1, 12], [0, -26], [0, 26], [-1, 0], [1, 0]];
const FAR = [[0, -40], [0, 40], [-2, 0], [2, 0], [-2, -26], [2, -26]];
// Where a name `wide` pixels wide may stand near [x, y], the best first, inside [west, east, north, south].
export function nameSpots([x, y], wide, [west, east, north, south], further) {
  return (further ? [...NEAR, ...FAR] : NEAR).map(([a, b]) => [
    clamp(x + a * (wide / 2 + 9), west + wide / 2 + 2, east - wide / 2 - 2), clamp(y + b, north + 10, south - 10)]);
}
// The first spot where the name covers no dot [x, y] and no box [x, y, wide, tall] (middle and size); undefined where
// there is none.
export function freeSpot(spots, wide, dots, boxes) {
  const onDot = (x, y) => dots.some(([a, b]) => Math.abs(a - x) < wide / 2 + 5 && Math.abs(b - y) < 12);
  const isIn = (x, y, [a, b, w, h]) => Math.abs(a - x) < (w + wide) / 2 && Math.abs(b - y) < (h + 16) / 2;
  const onBox = (x, y) => boxes.some((box) => isIn(x, y, box));
  return spots.find(([x, y]) => !onDot(x, y) && !onBox(x, y));
}
