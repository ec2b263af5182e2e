import assert from 'node:assert/strict';
import test from 'node:test';
import { axisMarks, bent, credit, nearestTurn, reweighed, running, signed, signOf, spanOf, weighed } from '../views/numbers/ledger.js';
import { cases, close } from './cases.js';

const { turn, values, players } = cases.ledger;

test('running means', () => {
  for (const { width, means } of cases.ledger.running) close(Array.from(running(turn, values, width)), means);
});
test('the nearest turn', () => {
  for (const { at, index } of cases.ledger.nearest) assert.equal(nearestTurn(turn, at), index);
});
test("entries and sum are those of Python's figure", () => {
  for (const { turn: own, terms, weights, smooth, entries, total } of players) {
    const means = terms.map((term) => running(own, term, smooth)), sum = means.pop(), got = weighed(means, weights, sum);
    close(got.entries.map((e) => Array.from(e)), entries, 1e-5);
    close(Array.from(got.total), total, 1e-5);
  }
});
test('without weights the records stay as they are', () => {
  const terms = [[1, 2], [3, 4]], sum = [9, 9];
  assert.deepEqual(weighed(terms, null, sum), { entries: terms, total: sum });
});
test("marks of a squeezed axis are those of Python's figure", () => {
  const ascending = (a, b) => a - b;
  for (const { usual, marks, limits } of players) {
    assert.ok(usual > 0);
    close(axisMarks(limits[0], limits[1], usual).sort(ascending), marks);
    close(bent(usual, usual), Math.asinh(1));
  }
});
test('marks of an even axis are round, and no more than eleven', () => {
  for (const [a, b] of [[0, 1], [-3, 7], [0, 2400], [-0.002, 0.001], [0, 10.5]]) {
    const marks = axisMarks(a, b, 0), step = marks[1] - marks[0], digits = step / 10 ** Math.floor(Math.log10(step * 1.0000001));
    assert.ok(marks.length >= 2 && marks.length <= 11 && marks[0] >= a - 1e-12 && marks.at(-1) <= b + 1e-12, String(marks));
    assert.ok([1, 2, 5].some((m) => Math.abs(digits - m) < 1e-6), `step ${step}`);
    assert.equal(bent(a, 0), a);
  }
});
test('the span of some series, 0 among them', () => {
  assert.deepEqual(spanOf([[1, 2, 99], [0.5, 3, 99]], 2), [0, 3]);
  assert.deepEqual(spanOf([[-1, -2]], 2), [-2, 0]);
  assert.deepEqual(spanOf([[0, 0]], 2), [0, 1]);
});
test('amounts with their signs', () => {
  assert.deepEqual([0, 1e-13, 2.5, -0.25].map(signed), ['0', '0', '+2.5', '−0.25']);
  assert.deepEqual([credit(-1, 0), credit(1, 0), credit(-1, -2), credit(-1, 2)], ['−0', '+0', '−2', '+2']);
  assert.deepEqual([signOf(-0.5, 'x'), signOf(0, 'teacher_change'), signOf(0, 'clean'), signOf(2, 'teacher_change')], [-1, -1, 1, 1]);
  assert.deepEqual([reweighed([1, 2], [1, 2]), reweighed([1, 2.001], [1, 2])], [false, true]);
});
