import assert from 'node:assert/strict';
import test from 'node:test';
import { changesMind, isBreak, kindOf, lengthOf, movesIn, ringOf, saysTheSame, withMoves } from '../views/numbers/pushes.js';
import { cases, close } from './cases.js';

const { moves, lengths, rings, opinions, students, same } = cases.pushes;

test('moves, their lengths and rings', () => {
  assert.deepEqual(movesIn(Int32Array.from(moves.flat())), moves);
  close(moves.map(lengthOf), lengths);
  rings.forEach((ring, r) => assert.deepEqual(ringOf(moves, r), ring));
});
test('breaks, and the first one outwards', () => {
  for (const { student, breaks, first } of students) {
    const found = opinions.map((moved) => isBreak(moved, opinions[0], student));
    assert.deepEqual(found, breaks);
    assert.equal(found.indexOf(true), first);
    assert.ok(found.every((is, i) => !is || (changesMind(opinions[i], opinions[0], student) && !changesMind(opinions[i], opinions[0], 0))));
  }
});
test('who is right after each move', () => {
  for (const { student, kinds } of students) {
    kinds.forEach((wanted, label) => assert.deepEqual(opinions.map((opinion) => kindOf(opinion, student, label)), wanted));
  }
});
test('each move is tried once', () => {
  assert.deepEqual(withMoves([0, 0, 1, -1], [[1, -1], [0, 0]]), [0, 0, 1, -1]);
  assert.deepEqual(withMoves([0, 0], [[-1, 0], [2, 3]]), [0, 0, -1, 0, 2, 3]);
  assert.deepEqual(withMoves([], []), []);
});
test('a network is believed that says the same', () => {
  for (const { logits, wanted, same: isSame } of same) assert.equal(saysTheSame(Float64Array.from(logits), Float64Array.from(wanted)), isSame);
  assert.deepEqual(new Set(same.map((c) => c.same)), new Set([true, false]));
  assert.equal(saysTheSame([NaN], [0]), false);
});
