import assert from 'node:assert/strict';
import test from 'node:test';
import { argmax } from '../views/numbers/basics.js';
import { RADIAN, batchOf, breakSymmetry, fourFigures, icdLoss, icdTerms, leastContrast, logSoftmax, onCircle, penaltyParts, rightAngledContrast,
  spreadOut, wrapped } from '../views/numbers/icd.js';
import { cases, close } from './cases.js';

const { terms, losses, floors, circle } = cases.icd;

test('softmax of rows and of columns, contrast and penalty of each row', () => {
  for (const { L, rows, columns, contrast, penalty } of terms) {
    const got = icdTerms(L);
    close(got.rows, rows);
    close(got.columns, columns);
    close(got.contrast, contrast);
    close(got.penalty, penalty);
    close(L.map((_, i) => penaltyParts(got, i).reduce((a, b) => a + b, 0)), penalty);
  }
});
test('large logits lose nothing', () => close(logSoftmax([1000, 999, -1000]), [-0.3132616875, -1.3132616875, -2000.3132616875]));
test('the loss of a batch', () => {
  for (const { L, weight, contrast, penalty, loss } of losses) {
    const got = icdLoss(icdTerms(L), weight);
    close([got.contrast, got.penalty, got.loss, got.weight], [contrast, penalty, loss, weight]);
  }
});
test('the least contrast, and the one at right angles', () => {
  for (const { B, scale, least, right_angled: rightAngled } of floors) {
    close(leastContrast(B, scale), least);
    close(rightAngledContrast(B, scale), rightAngled);
  }
});
test('cosines on a circle', () => {
  close(onCircle(circle.students, circle.teachers, circle.scale), circle.cosines);
  close(180 * RADIAN, Math.PI);
});
test('angles', () => close(cases.icd.wrapped.angles.map(wrapped), cases.icd.wrapped.same));
test('four figures that count', () => assert.deepEqual(cases.icd.written.numbers.map(fourFigures), cases.icd.written.texts));
test('the spare image takes the place of the last one', () => {
  assert.deepEqual(batchOf(5, false), [0, 1, 2, 3]);
  assert.deepEqual(batchOf(5, true), [0, 1, 2, 4]);
  assert.deepEqual(batchOf(3, true), [0, 2]);
});
test('students turned against their teachers: rows stay nearly as good, columns do not', () => {
  const { teachers } = circle;
  for (const scale of [1, 2.718, 10]) {
    const students = breakSymmetry(teachers, scale), copy = icdLoss(icdTerms(onCircle(teachers, teachers, scale)), 0);
    const L = onCircle(students, teachers, scale), broken = icdLoss(icdTerms(L), 0);
    assert.ok(Math.abs(copy.penalty) < 1e-9, 'a copy is symmetric');
    assert.ok(broken.penalty > 0.01 && broken.contrast <= copy.contrast + 0.3, `scale ${scale}: ${JSON.stringify(broken)}`);
    assert.deepEqual(L.map(argmax), teachers.map((_, i) => i), 'each student is nearest to its own teacher');
    assert.ok(students.every((a) => Number.isInteger(a) && a >= -180 && a < 180));
  }
});
test('angles are pushed apart, as far as there is room', () => {
  const least = 20, near = [10, 12, -170, 175, 11], apart = spreadOut(near, least);
  for (const [i, a] of apart.entries()) for (const b of apart.slice(i + 1)) assert.ok(Math.abs(wrapped(a - b)) > least - 0.5, `${a} and ${b}`);
  assert.deepEqual(near, [10, 12, -170, 175, 11], 'what came in is as it was');
  assert.deepEqual(spreadOut([0, 90], least), [0, 90], 'what is apart stays');
  assert.deepEqual(spreadOut([5], least), [5]);
});
