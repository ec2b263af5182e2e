// Moves of an image: rings from the shortest to the longest, what counts as a break, who was right where.
// An opinion is what all models say after a move: for each model its probabilities, the teacher's first.
import { argmax } from './basics.js';

export const lengthOf = (move) => Math.hypot(...move);
// Pairs (dx, dy) from a row of numbers.
export const movesIn = (flat) => Array.from({ length: flat.length / 2 }, (_, i) => [flat[2 * i], flat[2 * i + 1]]);
// The moves whose length is r, rounded.
export const ringOf = (moves, r) => moves.filter((move) => Math.round(lengthOf(move)) === r);

// Whether model i changes its mind: its likeliest class is another than for the unmoved image.
export const changesMind = (moved, unmoved, i) => argmax(moved[i]) !== argmax(unmoved[i]);
// A break: the student changes its mind, the teacher does not.
export function isBreak(moved, unmoved, student) {
  return changesMind(moved, unmoved, student) && !changesMind(moved, unmoved, 0);
}

// Who is right after a move: 0 both, 1 the teacher only, 2 the student only, 3 neither.
export function kindOf(opinion, student, label) {
  const [teacherIsRight, studentIsRight] = [0, student].map((i) => argmax(opinion[i]) === label);
  return teacherIsRight ? (studentIsRight ? 0 : 1) : (studentIsRight ? 2 : 3);
}

// Moves tried, as a row of numbers, with more of them, each once.
export function withMoves(tried, more) {
  const known = new Set(movesIn(tried).map(String));
  return [...tried, ...more.filter((move) => !known.has(String(move))).flat()];
}

// Whether a network says in this page what it said in torch: no logit further off than 1e-4 of the largest.
export function saysTheSame(logits, wanted) {
  const most = Math.max(1, ...wanted.map(Math.abs));
  return logits.every((z, k) => Math.abs(z - wanted[k]) <= 1e-4 * most);
}
