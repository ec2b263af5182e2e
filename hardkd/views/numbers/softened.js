// Softened answers: what both models believe at a temperature, their KL and its gradient, and how a reader is told.
import { argmax, percent, softmax } from './basics.js';

// The dial's stops: eighths of an octave from 0.25, and 20.
export const STOPS = [...Array.from({ length: 51 }, (_, i) => 0.25 * 2 ** (i / 8)), 20];
export function nearestDial(temperature) {
  const away = (x) => Math.abs(Math.log(x / temperature));
  return STOPS.reduce((best, x, i) => (away(x) < away(STOPS[best]) ? i : best), 0);
}

function logTotal(logits, temperature) {
  const high = Math.max(...logits);
  const total = Array.from(logits).reduce((sum, z) => sum + Math.exp((z - high) / temperature), 0);
  return high / temperature + Math.log(total);
}
// Teacher's p and student's q at a temperature, KL(p ‖ q) in nats, its gradient on the student's logits and how long
// that is; plain, without the factor T².
export function softened(teacherLogits, studentLogits, temperature) {
  const p = softmax(teacherLogits, temperature), q = softmax(studentLogits, temperature);
  const a = logTotal(teacherLogits, temperature), b = logTotal(studentLogits, temperature);
  const term = (x, k) => (x ? x * (teacherLogits[k] / temperature - a - studentLogits[k] / temperature + b) : 0);
  const kl = p.reduce((sum, x, k) => sum + term(x, k), 0), gradient = q.map((x, k) => (x - p[k]) / temperature);
  return { p, q, kl: Math.max(0, kl), gradient, length: Math.hypot(...gradient) };
}
// The likeliest class and the next.
export function firstTwo(p) {
  const first = argmax(p);
  return [first, p.reduce((best, x, k) => (k !== first && (best < 0 || x > p[best]) ? k : best), -1)];
}

// A power of ten, small ones in full.
export function power(e) {
  if (e >= -2 && e <= 2) return String(Number((10 ** e).toPrecision(1)));
  return `10${[...String(e)].map((c) => '⁰¹²³⁴⁵⁶⁷⁸⁹'[c] || '⁻').join('')}`;
}
export const degree = (temperature) => String(Number(temperature.toPrecision(3)));
// A probability for eyes, however small.
export function finePercent(p) {
  if (p < 1e-6) return '< 0.0001 %';
  if (p >= 0.1) return percent(p);
  return p >= 0.001 ? percent(p, 1) : `${Number((100 * p).toPrecision(2))} %`;
}
