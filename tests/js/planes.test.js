import assert from 'node:assert/strict';
import test from 'node:test';
import { SURE, bestCell, hardnessOf, inReach, meanRow } from '../views/numbers/planes.js';
import { cases, close } from './cases.js';

const { fields, mean, sure, best, axes, shares, parts } = cases.planes;

test('the mean of all images, cell by cell', () => {
  close(meanRow(fields.length, fields[0].length, (i) => fields[i]), mean);
});
test('the cell with the most, where the teacher is sure', () => {
  assert.equal(bestCell(Float32Array.from(fields[0]), (k) => sure[k]), best);
  assert.equal(bestCell(fields[0], () => false), -1);
  assert.equal(bestCell([1, 3, 3], () => true), 1, 'the first of the largest, as torch');
});
test('a part of the reach, in the unit of its axis', () => {
  assert.deepEqual(axes.map((a) => a.unit), ['px', '%']);
  axes.forEach((axis, a) => shares.forEach((share, i) => close(inReach(axis, share), parts[a][i], 1e-6)));
});
test('what the augmentor climbs', () => {
  close(hardnessOf(2, 0.5, 3), 0.5);
  assert.ok(SURE > 127 && SURE < 128, 'half of 255, rounded to bytes: 127 is less, 128 is more');
});
