import assert from 'node:assert/strict';
import test from 'node:test';
import { byClass, COPY_LINES, freeSpot, momentAt, nameSpots, pictureCorners, windowOf } from '../views/numbers/duel.js';
import { cases, close } from './cases.js';

const { moments, windows, labels, order, shifts } = cases.duel, SIDES = [0, 200, 0, 150];

test('each run shows its nearest share of the longest one', () => {
  for (const { moments: own, frames, at } of moments) assert.deepEqual(at.map((_, f) => momentAt(own, frames, f)), at);
});
test('one square window for all places', () => {
  for (const { places, window } of windows) {
    const got = windowOf(places);
    close(got, window);
    close(got[0][1] - got[0][0], got[1][1] - got[1][0], 1e-9, 'a square');
    for (const xy of places) xy.forEach((x, i) => assert.ok(x > got[i % 2][0] && x < got[i % 2][1]));
  }
});
test('images class by class', () => assert.deepEqual(byClass(labels), order));
test('copies lie on their lines from one end to the other', () => {
  COPY_LINES.forEach((line, axis) => {
    assert.deepEqual(line.map((k) => shifts[k][axis]), [-4, -2, 0, 2, 4]);
    assert.ok(line.every((k) => shifts[k][1 - axis] === 0));
  });
});
test('pictures stay inside and cover none that came before', () => {
  const points = [[100, 75], [101, 75], [198, 3], [100, 140], [4, 70], [100, 76]], side = 24, corners = pictureCorners(points, points[0], side, SIDES);
  assert.equal(corners[0].k, 0);
  close([corners[0].x, corners[0].y], [100 - 12, 75 - 24 - 12], 1e-9, 'above its own point');
  assert.ok(corners.length >= 4 && corners.length < points.length + 1);
  for (const [i, { x, y }] of corners.entries()) {
    assert.ok(x >= 2 && x <= 200 - side - 2 && y >= 2 && y <= 150 - side - 2);
    for (const b of corners.slice(i + 1)) assert.ok(Math.abs(x - b.x) >= side + 2 || Math.abs(y - b.y) >= side + 2);
  }
});
test('a name stands in the middle, or where it covers nothing', () => {
  const spots = nameSpots([100, 75], 40, SIDES, false);
  assert.deepEqual(spots[0], [100, 75]);
  assert.deepEqual(freeSpot(spots, 40, [], []), [100, 75]);
  assert.deepEqual(freeSpot(spots, 40, [[100, 75]], []), [100, 60]);
  assert.deepEqual(freeSpot(spots, 40, [], [[100, 75, 40, 16]]), spots.find(([x, y]) => Math.abs(x - 100) >= 40 || Math.abs(y - 75) >= 16));
  assert.equal(freeSpot(spots, 40, [], [[100, 75, 400, 300]]), undefined);
  assert.ok(nameSpots([100, 75], 40, SIDES, true).length > spots.length);
  for (const [x, y] of nameSpots([1, 149], 40, SIDES, true)) assert.ok(x >= 22 && x <= 178 && y >= 10 && y <= 140);
});
