// Answers requests for Python, one a line: {module, values, line}; `line` may use what the module exports and the values.
import { createInterface } from 'node:readline';

const KINDS = { float32: Float32Array, uint8: Uint8Array };
const MAKES = {};
for (const kind of Object.keys(KINDS)) {
  MAKES[kind] = (text) => {
    const bytes = Uint8Array.from(Buffer.from(text, 'base64'));
    return new KINDS[kind](bytes.buffer);
  };
}
// {kind: 'float32', base64: '...'} anywhere in the values is a typed array.
const revive = (_, value) => (value && value.base64 !== undefined ? MAKES[value.kind](value.base64) : value);
const plain = (_, value) => (ArrayBuffer.isView(value) ? Array.from(value) : value);

for await (const request of createInterface({ input: process.stdin })) {
  const { module, values, line } = JSON.parse(request, revive);
  let answer;
  try {
    const tools = { ...await import(module), ...values };
    answer = { value: new Function(...Object.keys(tools), `return ${line}`)(...Object.values(tools)) };
  } catch (e) {
    answer = { error: `${e.name}: ${e.message}` };
  }
  process.stdout.write(`${JSON.stringify(answer, plain)}\n`);
}
