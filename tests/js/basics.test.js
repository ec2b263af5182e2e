import assert from 'node:assert/strict';
import test from 'node:test';
import { argmax, clamp, likeliest, mean, percent, short, softmax } from '../views/numbers/basics.js';
import { cases, close } from './cases.js';

test('softmax', () => {
  for (const { logits, temperature, probs } of cases.softmax) close(softmax(logits, temperature), probs);
});
test('the likeliest classes', () => {
  for (const { rows, top, classes } of cases.likeliest) assert.deepEqual(likeliest(rows, top), classes);
});
test('small things', () => {
  assert.equal(argmax([1, 3, 3, 2]), 1, 'the first of the largest');
  assert.equal(mean([1, 2, 6]), 3);
  assert.deepEqual([clamp(-1, 0, 2), clamp(1, 0, 2), clamp(5, 0, 2)], [0, 1, 2]);
  assert.deepEqual([percent(0.256), percent(0.256, 1)], ['26 %', '25.6 %']);
});
test('numbers for eyes have three figures that count', () => {
  const written = { 0: 0, 1: 1, 1.23: 1.2345, '0.00123': 0.0012345, '1.2e-4': 0.00012345, '-1.2e-4': -0.00012345, 123: 123.4, '1,234': 1234.4 };
  for (const [text, x] of Object.entries(written)) assert.equal(short(x), text);
  assert.equal(short(NaN), 'NaN');
  assert.equal(short(Infinity), 'Infinity');
});
