import assert from 'node:assert/strict';
import test from 'node:test';
import { SIGNS } from '../views/numbers/signs.js';
import { cases, close } from './cases.js';

// Whether a place is inside a shape: how often a line from it to the right crosses the shape's edge.
function inside(corners, x, y) {
  let crossed = false;
  corners.forEach(([ax, ay], i) => {
    const [bx, by] = corners[(i + 1) % corners.length];
    if ((ay > y) !== (by > y) && x < (bx - ax) * (y - ay) / (by - ay) + ax) crossed = !crossed;
  });
  return crossed;
}
// The shape on a grid, as large as the grid and around its middle.
function raster(corners, side) {
  const bounds = [0, 1].map((axis) => [Math.min(...corners.map((c) => c[axis])), Math.max(...corners.map((c) => c[axis]))]);
  const far = Math.max(...bounds.map(([a, b]) => b - a));
  return Array.from({ length: side * side }, (_, i) => {
    const [x, y] = [i % side, Math.floor(i / side)].map((k, axis) => (bounds[axis][0] + bounds[axis][1]) / 2 + ((k + 0.5) / side - 0.5) * far);
    return Number(inside(corners, x, y));
  });
}
function overlap(a, b) {
  const both = a.filter((on, i) => on && b[i]).length, either = a.filter((on, i) => on || b[i]).length;
  return both / either;
}

test('every sign that a role may have has corners; the circle alone has none', () => {
  assert.deepEqual(Object.keys(SIGNS).sort(), cases.signs.used.filter((sign) => sign !== 'o').sort());
});
test("each sign has the shape of matplotlib's marker, and no other's", () => {
  const { side, shapes } = cases.signs;
  for (const [sign, corners] of Object.entries(SIGNS)) {
    const shape = raster(corners, side), alike = Object.entries(shapes).map(([name, other]) => [overlap(shape, other), name]).sort((a, b) => b[0] - a[0]);
    assert.equal(alike[0][1], sign, `${sign} looks like ${alike[0][1]}`);
    assert.ok(alike[0][0] > 0.75, `${sign}: ${alike[0][0]}`);
  }
});
test('the middle of a sign is where its point is', () => {
  for (const [sign, corners] of Object.entries(SIGNS)) {
    assert.ok(inside(corners, 0.01, 0.01), sign);
    close(corners.reduce((sum, c) => sum + c[0], 0), 0, 1e-9, sign);
  }
});
