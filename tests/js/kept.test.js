import assert from 'node:assert/strict';
import test from 'node:test';
import { lastKnown, logShare, logSpan, lowestShare, powersOfTwo } from '../views/numbers/kept.js';
import { cases, close } from './cases.js';

const { values, span, at, shares, marks, curves, last } = cases.kept;
const numbers = (row) => row.map((x) => (x === null ? NaN : x));

test('an axis holds all numbers and 1', () => {
  close(logSpan(numbers(values)), span);
  close(logSpan([2, 3]), [1 / 1.15, 3 * 1.15]);
});
test('where a number lies on a logarithmic axis', () => close(at.map((x) => logShare(x, span)), shares));
test('marks at the powers of two', () => {
  assert.deepEqual(powersOfTwo(...span), marks);
  assert.deepEqual(powersOfTwo(1.1, 1.9), []);
});
test('how far a curve is known, and how low its axis goes', () => {
  assert.deepEqual(curves.map((row) => lastKnown(numbers(row))), last);
  close(lowestShare(numbers(curves[0]), 0.95), 0.8);
  close(lowestShare(numbers(curves[1]), 0.95), 0.8);
  close(lowestShare([0.34], 0.95), 0.3);
});
