import assert from 'node:assert/strict';
import test from 'node:test';
import { isDark } from '../views/numbers/contrast.js';
import { cases } from './cases.js';

test('on which colours white letters are read', () => {
  for (const { colour, dark } of cases.contrast) assert.equal(isDark(colour), dark, colour);
});
