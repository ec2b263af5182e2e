// The values that Python computed, and how near to them JavaScript must come.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';

export const cases = JSON.parse(readFileSync(process.env.HARDKD_CASES, 'utf8'));

// Numbers, or lists of them, each within `within` of Python's, or of `within` times it where that is more.
export function close(got, wanted, within = 1e-9, where = 'value') {
  if (typeof wanted !== 'number') {
    assert.equal(got.length, wanted.length, `${where}: length`);
    Array.from(wanted).forEach((w, i) => close(got[i], w, within, `${where}[${i}]`));
    return;
  }
  assert.ok(Math.abs(got - wanted) <= within * Math.max(1, Math.abs(wanted)), `${where}: got ${got}, Python says ${wanted}`);
}
