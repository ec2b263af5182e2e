import assert from 'node:assert/strict';
import test from 'node:test';
import { between, deviation, lumpAt, shareReached, shiftsOf } from '../views/numbers/clouds.js';
import { cases, close } from './cases.js';

test('between measured shifts, and beyond them', () => {
  for (const { grid, places, values, ...plane } of cases.clouds.rows) {
    close(places.map(([x, y]) => between(grid, plane, x, y)), values);
  }
});
test('the measured shifts, row by row', () => {
  for (const { shifts, ...plane } of cases.clouds.rows) assert.deepEqual(shiftsOf(plane), shifts);
});
test('the share of hard shifts that a cloud comes near to', () => {
  for (const { grid, cloud, reached, ...plane } of cases.clouds.rows) {
    const hardness = (x, y) => between(grid, plane, x, y);
    close(shareReached(cloud, plane, hardness), reached);
    assert.equal(shareReached(cloud, plane, () => -1), 0, 'no shift is hard');
  }
});
test('a step away is near, more is not', () => {
  const plane = { reach: 2, stride: 2 }, onlyMiddle = (x, y) => (x || y ? -1 : 1);
  assert.equal(shareReached([[2, -2]], plane, onlyMiddle), 1);
  assert.equal(shareReached([[2.1, 0]], plane, onlyMiddle), 0);
});
test('how wide it is', () => {
  close(deviation(cases.clouds.values), cases.clouds.deviation);
  close(lumpAt(3, -1, 2.5), cases.clouds.lump);
});
