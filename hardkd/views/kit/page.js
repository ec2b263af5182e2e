// The view as one page that needs nothing else: how it is saved, and how it opens.
import PAGE from '../page.html';
import FRAGMENT from '../fragment.html';

const OPEN = '\nopenSaved(widget);';
const filled = (template, parts) => template.replace(/\{\{(\w+)\}\}/g, (_, name) => parts[name]);
const escapeHtml = (text) => String(text).replace(/[&<>"']/g, (c) => `&#${c.charCodeAt(0)};`);
export function base64(buffer) {
  const bytes = buffer instanceof DataView ? new Uint8Array(buffer.buffer, buffer.byteOffset, buffer.byteLength) : buffer;
  let text = '';
  for (let i = 0; i < bytes.length; i += 0x8000) text += String.fromCharCode(...bytes.subarray(i, i + 0x8000));
  return btoa(text);
}
// The view as it is now, as the same page that Python's `save_html` writes, offered for download.
export function savePage(model, place) {
  const arrays = Object.fromEntries(Object.entries(model.get('arrays')).map(([k, a]) => [k, { ...a, data: base64(a.data) }]));
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
  const holder = document.querySelector('.hardkd-saved:not([data-open])');
  holder.dataset.open = '';
  const content = JSON.parse(holder.querySelector('script').textContent);
  for (const a of Object.values(content.arrays)) a.data = new DataView(Uint8Array.from(atob(a.data), (c) => c.charCodeAt(0)).buffer);
  const values = { state: content.state, arrays: content.arrays, place: content.place, _css: content.css, _esm: holder.nextElementSibling.textContent.replace(OPEN, '') };
  const heard = {};
  const model = {
    get: (name) => values[name], set: (name, value) => { values[name] = value; }, save_changes() {},
    on: (name, f) => { (heard[name] ??= new Set()).add(f); }, off: (name, f) => heard[name]?.delete(f),
    send: ({ ask }) => setTimeout(() => { for (const f of heard['msg:custom'] || []) f({ told: ask, error: 'This page has no kernel: open the notebook for this.' }); }),
  };
  document.head.append(Object.assign(document.createElement('style'), { textContent: content.css }));
  widget.render({ model, el: holder });
}
