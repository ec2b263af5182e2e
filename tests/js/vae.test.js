import assert from 'node:assert/strict';
import test from 'node:test';
import { brighter, indexAt, nearestStop, swapIndex, swapMask, withSign } from '../views/numbers/vae.js';
import { cases } from './cases.js';

const { nearest, along, swaps, differences } = cases.vae;

test('the nearest stop', () => assert.deepEqual(nearest.values.map((x) => nearestStop(x, nearest.stops)), nearest.nearest));
test('where a picture with moved levels is recorded', () => {
  for (const { stops, moving, rows } of along) {
    for (const { image, values, index } of rows) assert.equal(indexAt(image, values, moving, stops), index);
  }
});
test('where a picture with swapped levels is recorded', () => {
  for (const { n, levels, rows } of swaps) for (const { image, partner, mask, swapped, index } of rows) {
    assert.equal(swapMask(image, partner, swapped), mask);
    assert.equal(swapIndex(image, partner, n, mask, levels), index);
  }
  assert.equal(swapMask(2, 2, [true, true]), 0, 'from itself an image takes nothing');
  assert.equal(swapMask(0, 1, [true, true]), 3);
});
test('how much brighter each place is', () => {
  for (const { bytes, channels, area, at, other, brighter: wanted } of differences) {
    const got = brighter(Uint8Array.from(bytes), at * channels * area, Uint8Array.from(bytes), other * channels * area, channels, area);
    assert.deepEqual(Array.from(got), wanted);
  }
});
test('signs', () => assert.deepEqual([-1.5, 0, 2].map(withSign), ['−1.5', '0', '+2']));
