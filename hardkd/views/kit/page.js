// The view as one page that needs nothing else: how it is saved, and how it opens.
import PAGE from '../page.html';
import FRAGMENT from '../fragment.html';

const OPEN = '\nopenSaved(widget);';
const filled = (template, parts) => template.replace(/\{\{(\w+)\}\}/g, (_, name) => parts[name]);
const escapeHtml = (text) => String(text).replace(/[&<>"']/g, (c) => `&#${c.charCodeAt(0)};`);
export function base64(buffer) {
  const { buffer: all, byteOffset, byteLength } = buffer;
  const bytes = buffer instanceof DataView ? new Uint8Array(all, byteOffset, byteLength) : buffer;
  let text = '';
  for (let i = 0; i < bytes.length; i += 0x8000) text += String.fromCharCode(...bytes.subarray(i, i + 0x8000));
  return btoa(text);
}
// The view as it is now, as the same page that Python's `save_html` writes, offered for download.
export function savePage(model, place) {
  const packed = Object.entries(model.get('arrays'));
  const arrays = Object.fromEntries(packed.map(([k, a]) => [k, { ...a, data: base64(a.data) }]));
  const content = { state: model.get('state'), place: place.now, arrays, css: model.get('_css') };
  const json = JSON.stringify(content).replaceAll('<', '\\u003c'), title = escapeHtml(model.get('state').kind);
  const script = `${model.get('_esm').replace(/^export default /m, 'const widget = ')}${OPEN}`;
  const page = filled(PAGE, { title, body: filled(FRAGMENT, { json, still: '', script }) });
  const url = URL.createObjectURL(new Blob([page], { type: 'text/html' }));
  Object.assign(document.createElement('a'), { href: url, download: `${model.get('state').kind}.html` }).click();
  setTimeout(() => URL.revokeObjectURL(url), 10000);
}
// In a saved page: the next view that is not open yet gets a stand-in for the kernel's model, and is rendered.
export function openSaved(widget) {
  const holder = document.querySelector('.hardkd-saved:not([data-open])'), script = holder.nextElementSibling;
  holder.dataset.open = '';
  const { state, place, arrays, css } = JSON.parse(holder.querySelector('script').textContent);
  for (const a of Object.values(arrays)) a.data = viewOf(a.data);
  const model = standIn({ state, arrays, place, _css: css, _esm: script.textContent.replace(OPEN, '') });
  document.head.append(Object.assign(document.createElement('style'), { textContent: css }));
  widget.render({ model, el: holder });
}
const viewOf = (text) => new DataView(Uint8Array.from(atob(text), (c) => c.charCodeAt(0)).buffer);
function standIn(values) {
  const listeners = {}, error = 'This page has no kernel: open the notebook for this.';
  const answer = (ask) => { for (const f of listeners['msg:custom'] || []) f({ reply_to: ask, error }); };
  return {
    get: (name) => values[name],
    set(name, value) { values[name] = value; },
    save_changes() {},
    on(name, f) { (listeners[name] ??= new Set()).add(f); },
    off: (name, f) => listeners[name]?.delete(f),
    send: ({ ask }) => setTimeout(() => answer(ask)),
  };
}
