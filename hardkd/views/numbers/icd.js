// ICD's numbers: similarities of students (rows) and teachers (columns), softmax of both, what each row pays; vectors
// a circle.
import { mean } from './basics.js';

export const RADIAN = Math.PI / 180;
// Four figures that count, the same as Python writes them.
export const fourFigures = (x) => (Math.abs(x) < 1e-6 ? '0' : String(Number(x.toPrecision(4))));
// Any angle as one from -180 up to 180 degrees.
export const wrapped = (degrees) => ((degrees + 180) % 360 + 360) % 360 - 180;
// Which images are in a batch of n - 1 out of n: all but the spare one, or the spare one instead of the last.
export const batchOf = (n, spare) => [...Array.from({ length: n - 2 }, (_, i) => i), spare ? n - 1 : n - 2];

export function logSoftmax(z) {
  const high = Math.max(...z), all = high + Math.log(z.reduce((sum, x) => sum + Math.exp(x - high), 0));
  return z.map((x) => x - all);
}

// Of similarities L, one array a row: softmax of rows and of columns, and each row's contrast and penalty, nats.
// `columns[j][i]`: student i as teacher j sees it.
export function icdTerms(L) {
  const logRows = L.map(logSoftmax), logColumns = L.map((_, j) => logSoftmax(L.map((row) => row[j])));
  return {
    rows: logRows.map((row) => row.map(Math.exp)),
    columns: logColumns.map((column) => column.map(Math.exp)),
    contrast: logRows.map((row, i) => -row[i]),
    penalty: logRows.map((row, i) => logColumns[i].reduce((sum, c, j) => sum + Math.exp(c) * (c - row[j]), 0)),
  };
}
// The loss of a batch, from what its rows pay.
export function icdLoss({ contrast, penalty }, weight) {
  const both = { contrast: mean(contrast), penalty: mean(penalty) };
  return { ...both, weight, loss: both.contrast + weight * both.penalty };
}
// What each image adds to the penalty of row i.
export const penaltyParts = ({ rows, columns }, i) => columns[i].map((c, j) => c * Math.log(c / rows[i][j]));
// The least contrast that a batch of B can have at a scale; and where the others are at right angles.
export const leastContrast = (B, scale) => Math.log1p((B - 1) * Math.exp(-2 * scale));
export const rightAngledContrast = (B, scale) => Math.log1p((B - 1) * Math.exp(-scale));

// Scaled cosines of angles in degrees, one array a student.
export function onCircle(students, teachers, scale) {
  return students.map((a) => teachers.map((b) => scale * Math.cos((a - b) * RADIAN)));
}
// Students turned so that the penalty is largest, while each row still peaks at its own teacher and the contrast is at
// most `slack` above a copy's: one student after the other, by steps of 5 degrees, until none gets better. A student
// whom another teacher would be nearer stays where he is.
export function breakSymmetry(teachers, scale, slack = 0.3) {
  const most = icdLoss(icdTerms(onCircle(teachers, teachers, scale)), 0).contrast + slack;
  const students = teachers.map(Math.round);
  let best = 0, better = true;
  for (let sweep = 0; better && sweep < 4; sweep += 1) {
    better = false;
    for (let i = 0; i < teachers.length; i += 1) for (let turn = -90; turn <= 90; turn += 5) {
      const before = students[i], to = wrapped(Math.round(teachers[i] + turn));
      const own = Math.abs(wrapped(to - teachers[i]));
      const isNearer = (a, j) => j !== i && Math.abs(wrapped(to - a)) <= own;
      if (teachers.some(isNearer)) continue;
      students[i] = to;
      const { contrast, penalty } = icdLoss(icdTerms(onCircle(students, teachers, scale)), 0);
      if (penalty > best + 1e-9 && contrast <= most) { best = penalty; better = true; } else students[i] = before;
    }
  }
  return students;
}
// Angles pushed apart until none is nearer than `least` degrees to its neighbour, as far as there is room.
export function spreadOut(angles, least) {
  const a = [...angles], order = a.map((_, i) => i).sort((p, q) => a[p] - a[q]);
  for (let round = 0; round < 60; round += 1) order.forEach((p, k) => {
    const q = order[(k + 1) % order.length], gap = a[q] - a[p] + (k + 1 === order.length ? 360 : 0);
    if (gap >= least || order.length === 1) return;
    a[p] -= (least - gap) / 2;
    a[q] += (least - gap) / 2;
  });
  return a;
}
