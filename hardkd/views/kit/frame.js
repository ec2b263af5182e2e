// The frame around every view: question, controls, caption, footer; its colours, and where its reader is.
// Plain ES modules, no globals, no ids; a page may hold many views. Python joins a view with all that it imports.
import { savePage } from './page.js';

// ---------------------------------------------------------------- elements

// An element with properties and children; texts enter as text, never as markup. What can be focused keeps its keys.
export function make(tag, props = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(props)) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith('on')) node.addEventListener(name.slice(2), value);
    else node.setAttribute(name, value === true ? '' : value);
  }
  const focusable = /^(button|input|select|summary)$/.test(tag) || 'tabindex' in props;
  if (focusable) node.setAttribute('data-lm-suppress-shortcuts', 'true');
  node.append(...children.filter((c) => c !== null && c !== undefined));
  return node;
}
// A part of the stage with its name above.
export function panel(parent, name = '', kind = '') {
  const title = make('p', { class: 'hk-name' }, name), node = make('div', { class: `hk-panel ${kind}` }, title);
  parent.append(node);
  return { node, title };
}
// Panels side by side, as long as there is room.
export function rowOf(parent) {
  const node = make('div', { class: 'hk-row' });
  parent.append(node);
  return node;
}
// Attributes of what the arrow keys move: `role` says in words what it is and how it is moved.
export const keysMove = (role, label = '') => ({
  class: 'hk-cells', role: 'application', tabindex: 0, 'aria-roledescription': role, 'aria-label': label });

// A packed array: {data, dtype, shape} with bytes from the kernel or from a page, as {data: typed array, shape}.
const KINDS = { uint8: Uint8Array, int8: Int8Array, uint16: Uint16Array, int32: Int32Array, float32: Float32Array };
export function unpack({ data, dtype, shape }) {
  const { buffer, byteOffset, byteLength } = data;
  const bytes = data instanceof DataView ? new Uint8Array(buffer, byteOffset, byteLength) : new Uint8Array(data);
  const kind = KINDS[dtype], aligned = bytes.byteOffset % kind.BYTES_PER_ELEMENT ? bytes.slice() : bytes;
  return { data: new kind(aligned.buffer, aligned.byteOffset, aligned.byteLength / kind.BYTES_PER_ELEMENT), shape };
}

// ---------------------------------------------------------------- selection

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

// ---------------------------------------------------------------- the frame around a view

// render() of a view: builds the frame, lets `setup(v)` fill it, draws. A view's module ends with
// `export default { render: view(setup) };`. setup gets v: state, array(name), has(name), place (a Selection), stage,
// controls, covered (the question is still open), caption(text), onDraw(draw), explain(sentences), ask(what) for the
// kernel, onReset(f), cleanup(f), colours().
export function view(setup) {
  return ({ model, el }) => {
    const v = startView(model), predict = make('div');
    v.root.append(make('p', { class: 'hk-title' }, v.state.title), predict, v.controls, v.stage);
    addCaption(v);
    addFoot(v, model);
    connectKernel(v, model);
    if (v.state.question) predict.append(question(v, v.state.question, v.place.get('predicted')));
    v.controls.inert = v.covered;
    connectPlace(v, model);
    // Keys stay inside (a notebook's shortcuts would insert cells); Tab and Escape leave.
    v.root.addEventListener('keydown', (e) => { if (e.key !== 'Tab' && e.key !== 'Escape') e.stopPropagation(); });
    el.append(v.root);
    guarded(v, () => { setup(v); v.draw(); })();
    watchPage(v);
    hideStill(v);
    return () => {
      v.alive = false;
      for (const f of v.cleanups) f();
      v.root.remove();
    };
  };
}
function startView(model) {
  const state = model.get('state'), place = new Selection(model.get('place'));
  const packed = model.get('arrays'), arrays = {};
  const v = { state, place, alive: true, draws: [], resets: [], cleanups: [] };
  v.covered = !!state.question && !place.get('predicted');
  v.root = make('section', { class: 'hardkd', 'aria-label': state.title });
  v.controls = make('div', { class: 'hk-controls', role: 'group', 'aria-label': 'controls' });
  v.stage = make('div', { class: 'hk-stage' });
  v.array = (name) => (arrays[name] ??= unpack(packed[name]));
  v.has = (name) => name in packed;
  v.onDraw = (draw) => v.draws.push(draw);
  v.onReset = (f) => v.resets.push(f);
  v.cleanup = (f) => v.cleanups.push(f);
  v.colours = () => colours(v.root);
  v.draw = guarded(v, () => { for (const draw of v.draws) draw(); });
  return v;
}
// An error is shown in the view as well.
const guarded = (v, f) => (...args) => {
  try { return f(...args); } catch (e) {
    v.fail(`${e.name}: ${e.message}`);
    throw e;
  }
};
// One caption for eyes at once, and for screen readers when it has come to rest.
function addCaption(v) {
  const shown = make('p', { class: 'hk-caption' }), status = make('p', { class: 'hk-hidden', role: 'status' });
  const error = make('p', { class: 'hk-error', role: 'alert', hidden: true });
  v.root.append(shown, status, error);
  let resting;
  v.caption = (text) => {
    if (shown.textContent === text) return;
    shown.textContent = text;
    clearTimeout(resting);
    resting = setTimeout(() => { status.textContent = text; }, 500);
  };
  v.fail = (text) => {
    error.textContent = text;
    error.hidden = !text;
  };
  v.cleanup(() => clearTimeout(resting));
}
// Foot: what it was made from, and what one can do with it.
function addFoot(v, model) {
  const { place } = v, start = { ...model.get('place') };
  let sentences = () => [];
  const body = make('div'), more = make('details', { hidden: true }, make('summary', {}, 'Explain'), body);
  const refresh = () => { if (more.open) body.replaceChildren(...sentences().map((line) => make('p', {}, line))); };
  more.addEventListener('toggle', refresh);
  v.explain = (f) => {
    sentences = f;
    more.hidden = false;
    v.onDraw(refresh);
  };
  const reset = () => {
    for (const f of v.resets) f();
    place.set({ ...start, predicted: place.get('predicted') });
  };
  v.root.append(make('div', { class: 'hk-foot' }, make('span', {}, v.state.footer || ''),
    make('button', { type: 'button', onclick: guarded(v, reset) }, 'Reset'),
    make('button', { type: 'button', onclick: guarded(v, () => savePage(model, place)) }, 'Save HTML'), more));
}
// The question is answered, or skipped on purpose (no guess).
function openControls(v, guess) {
  v.covered = false;
  v.controls.inert = false;
  if (guess !== undefined) v.place.set({ predicted: { guess } });
  v.draw();
}
// The kernel, for views that are alive: one request in flight, the newest waits, those between are dropped (answered
// null). Two displays of a widget hear all its messages: each knows its own by its name.
function connectKernel(v, model) {
  const own = Math.random().toString(36).slice(2);
  let asked = 0, flying = null, waiting = null, late;
  const post = () => {
    if (flying || !waiting) return;
    flying = waiting;
    waiting = null;
    model.send({ ask: flying.name, what: flying.what });
    late = setTimeout(() => {
      v.fail('The kernel does not answer: it is busy, or gone.');
      landed(null);
    }, 20000);
  };
  const landed = (content) => {
    const { answer } = flying;
    clearTimeout(late);
    flying = null;
    answer(content);
    post();
  };
  v.ask = (what) => new Promise((answer) => {
    waiting?.answer(null);
    asked += 1;
    waiting = { name: `${own} ${asked}`, what, answer };
    post();
  });
  const hear = guarded(v, (message, buffers = []) => {
    if (!flying || message.reply_to !== flying.name) return;
    v.fail(message.error || '');
    const packed = Object.entries(message.arrays || {});
    const arrays = Object.fromEntries(packed.map(([name, a], i) => [name, unpack({ ...a, data: buffers[i] })]));
    landed(message.error ? null : { ...message.answer, ...arrays });
  });
  model.on('msg:custom', hear);
  v.cleanup(() => {
    model.off('msg:custom', hear);
    clearTimeout(late);
  });
}
// Python moves the view, the view tells Python where it is, views of one group go together.
function connectPlace(v, model) {
  const { place } = v, { group, shares = [] } = v.state, bus = document;
  let telling;
  const fromPython = () => place.set(model.get('place'));
  const fromOther = ({ detail }) => {
    if (group && detail.group === group && detail.from !== place) place.set(detail.changes);
  };
  model.on('change:place', fromPython);
  bus.addEventListener('hardkd:place', fromOther);
  place.on(guarded(v, (changed) => {
    clearTimeout(telling);
    telling = setTimeout(() => { model.set('place', { ...place.now }); model.save_changes(); }, 250);
    const shared = changed.filter((k) => shares.includes(k));
    const detail = { group, from: place, changes: Object.fromEntries(shared.map((k) => [k, place.get(k)])) };
    if (group && shared.length) bus.dispatchEvent(new CustomEvent('hardkd:place', { detail }));
    v.draw();
  }));
  v.cleanup(() => {
    bus.removeEventListener('hardkd:place', fromOther);
    model.off('change:place', fromPython);
    clearTimeout(telling);
  });
}
// Drawn anew when the size, the visibility or the theme changes.
function watchPage(v) {
  const again = () => { if (v.root.clientWidth) v.draw(); };
  const sizes = new ResizeObserver(again), themes = new MutationObserver(again);
  const dark = matchMedia('(prefers-color-scheme: dark)');
  sizes.observe(v.root);
  themes.observe(document.body, { attributes: true });
  dark.addEventListener('change', again);
  v.cleanup(() => {
    sizes.disconnect();
    themes.disconnect();
    dark.removeEventListener('change', again);
  });
}

// The picture that a notebook keeps for readers without a kernel is not needed beside the live view. It may enter the
// page after the view: looked for a few times. Whatever the notebook's program, it is the first after the view, before
// any other view.
function hideStill(v) {
  const follows = (a, b) => a.compareDocumentPosition(b) & Node.DOCUMENT_POSITION_FOLLOWING;
  const firstAfter = (kind) => [...document.querySelectorAll(kind)].find((node) => follows(v.root, node));
  let still = null;
  const hide = () => {
    still ??= firstAfter('.hardkd-still') ?? null;
    if (!still) return;
    const other = firstAfter('.hardkd');
    if (other && follows(other, still)) still = null;
    else still.hidden = true;
  };
  hide();
  const timers = [100, 500, 2000, 5000].map((later) => setTimeout(hide, later));
  v.cleanup(() => {
    timers.forEach(clearTimeout);
    if (still) still.hidden = false;
  });
}

// ---------------------------------------------------------------- colours of the theme that the view stands in

function colours(root) {
  const style = getComputedStyle(root), dark = luminance(style.backgroundColor) < 0.4;
  const [line, soft] = dark ? ['#8f8f8f', '#3a3a3a'] : ['#767676', '#dedede'];
  return { ink: style.color, page: style.backgroundColor, dark, line, soft };
}
function luminance(colour) {
  const [r, g, b] = (colour.match(/[\d.]+/g) || [255, 255, 255]).map(Number);
  return (0.2126 * r + 0.7152 * g + 0.0722 * b) / 255;
}

// ---------------------------------------------------------------- the question first

// A question with choices: {ask, choices, right, because}; or one that a mark in the picture answers: {ask, mark: how
// to place it, because}; setup says v.mark() (the mark, or null) and v.judge(mark) (what is said of it). The controls
// open once; the guess is null when the question is skipped.
function question(v, asked, before) {
  const { ask, choices = [], mark } = asked, verdict = make('p', { hidden: true, tabindex: -1 });
  const commit = make('button', { type: 'button', class: 'hk-main', disabled: true }, 'Commit');
  const skip = make('button', { type: 'button' }, 'Skip');
  const name = `choice-${Math.random().toString(36).slice(2)}`, enable = () => { commit.disabled = false; };
  const radios = choices.map((_, i) => make('input', { type: 'radio', name, value: i, onchange: enable }));
  const offered = mark ? [make('span', {}, mark)] : choices.map((text, i) => make('label', {}, radios[i], text));
  const buttons = make('div', { class: 'hk-choices' }, ...offered, commit, skip);
  const close = (guess) => {
    buttons.hidden = true;
    verdict.hidden = false;
    verdict.textContent = verdictOn(v, asked, guess);
  };
  const answer = (guess) => {
    close(guess);
    openControls(v, guess);
    verdict.focus();                              // the buttons go: the focus must not fall out of the view
  };
  commit.addEventListener('click', () => answer(mark ? v.mark() : radios.findIndex((r) => r.checked)));
  skip.addEventListener('click', () => answer(null));
  if (!mark && before) close(before.guess);
  if (mark) v.onDraw(() => {
    commit.disabled = !v.mark();
    if (before && verdict.hidden) close(before.guess);
  });
  return make('fieldset', { class: 'hk-predict' }, make('legend', {}, ask), buttons, verdict);
}
function verdictOn(v, { choices, right, because, mark }, guess) {
  if (guess === null || guess === undefined) return because;
  if (mark) return `${v.judge(guess)} ${because}`;
  if (guess === right) return `You said ${choices[guess]}: right. ${because}`;
  return `You said ${choices[guess]}; it is ${choices[right]}. ${because}`;
}
