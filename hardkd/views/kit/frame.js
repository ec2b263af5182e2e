// The frame around every view: question, controls, caption, footer; its colours, and where its reader is.
// Plain ES modules, no globals, no ids; a page may hold many views. Python joins a view with all that it imports.
import { savePage } from './page.js';

// An element with properties and children; texts enter as text, never as markup. What can have the focus keeps its keys.
export function make(tag, props = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(props)) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith('on')) node.addEventListener(name.slice(2), value);
    else node.setAttribute(name, value === true ? '' : value);
  }
  if (/^(button|input|select|summary)$/.test(tag) || 'tabindex' in props) node.setAttribute('data-lm-suppress-shortcuts', 'true');
  node.append(...children.filter((c) => c !== null && c !== undefined));
  return node;
}

// A packed array: {data, dtype, shape} with bytes from the kernel or from a page, as {data: typed array, shape}.
const KINDS = { uint8: Uint8Array, int8: Int8Array, uint16: Uint16Array, int32: Int32Array, float32: Float32Array };
export function unpack({ data, dtype, shape }) {
  const bytes = data instanceof DataView ? new Uint8Array(data.buffer, data.byteOffset, data.byteLength) : new Uint8Array(data);
  const kind = KINDS[dtype], aligned = bytes.byteOffset % kind.BYTES_PER_ELEMENT ? bytes.slice() : bytes;
  return { data: new kind(aligned.buffer, aligned.byteOffset, aligned.byteLength / kind.BYTES_PER_ELEMENT), shape };
}

// Where the reader is: frame, image, ... One place for all primitives of a view; who listens hears of every change.
export class Selection {
  constructor(start) { this.now = { ...start }; this.listeners = new Set(); }
  get(name) { return this.now[name]; }
  set(changes) {
    const changed = Object.keys(changes).filter((k) => JSON.stringify(this.now[k]) !== JSON.stringify(changes[k]));
    if (!changed.length) return;
    Object.assign(this.now, changes);
    for (const listener of [...this.listeners]) listener(changed);
  }
  on(listener) { this.listeners.add(listener); return () => this.listeners.delete(listener); }
}

export function panel(parent, name = '', kind = '') {
  const title = make('p', { class: 'hk-name' }, name), node = make('div', { class: `hk-panel ${kind}` }, title);
  parent.append(node);
  return { node, title };
}

// render() of a view: builds the frame, lets `setup(v)` fill it, draws. A view's module says `export default { render: view(setup) };`
// setup gets v: state, array(name), place (a Selection), stage, controls, covered (the question is still open),
// caption(text), onDraw(draw), explain(lines), ask(what) for the kernel, onReset(f), cleanup(f), colours().
export function view(setup) {
  return ({ model, el }) => {
    const state = model.get('state'), packed = model.get('arrays'), arrays = {};
    const place = new Selection(model.get('place')), start = { ...model.get('place') };
    const draws = [], cleanups = [], resets = [], root = make('section', { class: 'hardkd', 'aria-label': state.title });
    const v = { state, place, covered: !!state.question && !place.get('predicted'), alive: true };
    v.array = (name) => (arrays[name] ??= unpack(packed[name]));
    v.has = (name) => name in packed;
    v.onDraw = (draw) => draws.push(draw);
    v.onReset = (f) => resets.push(f);
    v.cleanup = (f) => cleanups.push(f);
    v.colours = () => colours(root);

    // The parts, top to bottom.
    const still = make('p', { class: 'hk-caption' }), status = make('p', { class: 'hk-hidden', role: 'status' });
    const error = make('p', { class: 'hk-error', role: 'alert', hidden: true });
    v.controls = make('div', { class: 'hk-controls', role: 'group', 'aria-label': 'controls' });
    v.stage = make('div', { class: 'hk-stage' });
    const predict = make('div');
    root.append(make('p', { class: 'hk-title' }, state.title), predict, v.controls, v.stage, still, status, error);

    // One caption for eyes at once, and for screen readers when it has come to rest.
    let resting;
    v.caption = (text) => {
      if (still.textContent === text) return;
      still.textContent = text;
      clearTimeout(resting);
      resting = setTimeout(() => { status.textContent = text; }, 500);
    };
    v.fail = (text) => { error.textContent = text; error.hidden = !text; };
    const guarded = (f) => (...args) => { try { return f(...args); } catch (e) { v.fail(`${e.name}: ${e.message}`); throw e; } };
    v.draw = guarded(() => { for (const draw of draws) draw(); });

    // Foot: what it was made from, and what one can do with it.
    let explained = () => [];
    const told = make('div'), more = make('details', { hidden: true }, make('summary', {}, 'Explain'), told);
    const tell = () => { if (more.open) told.replaceChildren(...explained().map((line) => make('p', {}, line))); };
    more.addEventListener('toggle', tell);
    v.explain = (sentences) => { explained = sentences; more.hidden = false; draws.push(tell); };
    const reset = () => { for (const f of resets) f(); place.set({ ...start, predicted: place.get('predicted') }); };
    root.append(make('div', { class: 'hk-foot' }, make('span', {}, state.footer || ''),
      make('button', { type: 'button', onclick: guarded(reset) }, 'Reset'),
      make('button', { type: 'button', onclick: guarded(() => savePage(model, place)) }, 'Save HTML'), more));

    // The question first: commit, or skip on purpose.
    const open = (guess) => {
      v.covered = false;
      v.controls.inert = false;
      if (guess !== undefined) place.set({ predicted: { guess } });
      v.draw();
    };
    if (state.question) predict.append(question(v, state.question, place.get('predicted'), open));
    v.controls.inert = v.covered;

    // The kernel, for views that are alive: one request in flight, the newest waits, those between are dropped (answered null).
    // Two displays of a widget hear all its messages: each knows its own by its name.
    const mine = Math.random().toString(36).slice(2);
    let asked = 0, flying = null, waiting = null, late;
    const post = () => {
      if (flying || !waiting) return;
      flying = waiting; waiting = null;
      model.send({ ask: flying.name, what: flying.what });
      late = setTimeout(() => { v.fail('The kernel does not answer: it is busy, or gone.'); landed(null); }, 20000);
    };
    const landed = (told) => { const { answer } = flying; clearTimeout(late); flying = null; answer(told); post(); };
    v.ask = (what) => new Promise((answer) => {
      waiting?.answer(null);
      waiting = { name: `${mine} ${asked += 1}`, what, answer };
      post();
    });
    const heard = guarded((message, buffers = []) => {
      if (!flying || message.told !== flying.name) return;
      v.fail(message.error || '');
      const given = Object.entries(message.arrays || {}).map(([name, a], i) => [name, unpack({ ...a, data: buffers[i] })]);
      landed(message.error ? null : { ...message.answer, ...Object.fromEntries(given) });
    });
    model.on('msg:custom', heard);

    // Python moves the view, the view tells Python where it is, views of one group go together.
    let telling;
    const fromPython = () => place.set(model.get('place'));
    model.on('change:place', fromPython);
    const bus = document, group = state.group;
    const fromOther = ({ detail }) => { if (group && detail.group === group && detail.from !== place) place.set(detail.changes); };
    bus.addEventListener('hardkd:place', fromOther);
    place.on(guarded((changed) => {
      clearTimeout(telling);
      telling = setTimeout(() => { model.set('place', { ...place.now }); model.save_changes(); }, 250);
      const shared = changed.filter((k) => (state.shares || []).includes(k));
      if (group && shared.length) bus.dispatchEvent(new CustomEvent('hardkd:place', { detail: { group, from: place, changes: Object.fromEntries(shared.map((k) => [k, place.get(k)])) } }));
      v.draw();
    }));

    // Keys stay inside (a notebook's shortcuts would insert cells); Tab and Escape leave.
    root.addEventListener('keydown', (e) => { if (e.key !== 'Tab' && e.key !== 'Escape') e.stopPropagation(); });
    el.append(root);
    try { setup(v); v.draw(); } catch (e) { v.fail(`${e.name}: ${e.message}`); throw e; }

    // Drawn anew when the size, the visibility or the theme changes.
    const again = () => { if (root.clientWidth) v.draw(); };
    const sizes = new ResizeObserver(again), themes = new MutationObserver(again), dark = matchMedia('(prefers-color-scheme: dark)');
    sizes.observe(root);
    themes.observe(document.body, { attributes: true });
    dark.addEventListener('change', again);
    return () => {
      v.alive = false;
      sizes.disconnect(); themes.disconnect(); dark.removeEventListener('change', again);
      bus.removeEventListener('hardkd:place', fromOther);
      model.off('msg:custom', heard); model.off('change:place', fromPython);
      clearTimeout(telling); clearTimeout(resting); clearTimeout(late);
      for (const f of cleanups) f();
      root.remove();
    };
  };
}

// The colours of the theme that the view stands in.
function colours(root) {
  const style = getComputedStyle(root), dark = luminance(style.backgroundColor) < 0.4;
  return { ink: style.color, page: style.backgroundColor, dark, line: dark ? '#8f8f8f' : '#767676', soft: dark ? '#3a3a3a' : '#dedede' };
}
function luminance(colour) {
  const [r, g, b] = (colour.match(/[\d.]+/g) || [255, 255, 255]).map(Number);
  return (0.2126 * r + 0.7152 * g + 0.0722 * b) / 255;
}

// A question with choices: {ask, choices, right, because}; or one that a mark in the picture answers: {ask, mark: how to place it,
// because}, where setup says v.mark() (the mark, or null) and v.judge(mark) (what is said of it). `open(guess)` is called once; null when skipped.
function question(v, { ask, choices = [], right, because, mark }, before, open) {
  const said = make('p', { hidden: true, tabindex: -1 });
  const commit = make('button', { type: 'button', class: 'hk-main', disabled: true }, 'Commit');
  const skip = make('button', { type: 'button' }, 'Skip');
  const name = `choice-${Math.random().toString(36).slice(2)}`;
  const radios = choices.map((_, i) => make('input', { type: 'radio', name, value: i, onchange: () => { commit.disabled = false; } }));
  const offered = mark ? [make('span', {}, mark)] : choices.map((text, i) => make('label', {}, radios[i], text));
  const buttons = make('div', { class: 'hk-choices' }, ...offered, commit, skip);
  const node = make('fieldset', { class: 'hk-predict' }, make('legend', {}, ask), buttons, said);
  const close = (guess) => {
    buttons.hidden = true; said.hidden = false;
    said.textContent = guess === null || guess === undefined ? because : mark ? `${v.judge(guess)} ${because}`
      : guess === right ? `You said ${choices[guess]}: right. ${because}` : `You said ${choices[guess]}; it is ${choices[right]}. ${because}`;
  };
  const answer = (guess) => { close(guess); open(guess); said.focus(); };     // the buttons go: the focus must not fall out of the view
  commit.addEventListener('click', () => answer(mark ? v.mark() : radios.findIndex((r) => r.checked)));
  skip.addEventListener('click', () => answer(null));
  if (mark) v.onDraw(() => { commit.disabled = !v.mark(); if (before && said.hidden) close(before.guess); });
  else if (before) close(before.guess);
  return node;
}
