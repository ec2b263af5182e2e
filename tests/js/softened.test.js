import assert from 'node:assert/strict';
import test from 'node:test';
import { STOPS, finePercent, degree, firstTwo, nearestDial, power, softened } from '../views/numbers/softened.js';
import { cases, close } from './cases.js';

test('probabilities, KL and its gradient', () => {
  for (const { teacher, student, temperature, p, q, kl, gradient, length } of cases.softened.rows) {
    const got = softened(teacher, student, temperature);
    close(got.p, p);
    close(got.q, q);
    close(got.kl, kl);
    close(got.gradient, gradient);
    close(got.length, length);
  }
});
test('a copy costs nothing, also where the numbers are too large for exp', () => {
  const { kl, length } = softened([1000, 0, -1000], [1000, 0, -1000], 0.25);
  assert.deepEqual([kl, length], [0, 0]);
});
test('the likeliest class and the next', () => {
  for (const { p, two } of cases.softened.rows) assert.deepEqual(firstTwo(p), two);
});
test("the dial's stops", () => {
  close(STOPS, cases.softened.stops);
  for (const { temperature, stop } of cases.softened.near) assert.equal(nearestDial(temperature), stop);
});
test('numbers for eyes', () => {
  const written = { 0.5: '50 %', 0.0525: '5.3 %', 0.00123: '0.1 %', 0.000123: '0.012 %', 1e-9: '< 0.0001 %' };
  for (const [p, text] of Object.entries(written)) assert.equal(finePercent(Number(p)), text);
  assert.deepEqual([-12, -2, 0, 2, 3].map(power), ['10⁻¹²', '0.01', '1', '100', '10³']);
  assert.equal(degree(4.756828), '4.76');
});
