// What every view is made of: the frame around it (question, controls, caption, footer), a shared selection,
// and primitives that draw on canvases. Plain ES module, no imports, no globals, no ids; a page may hold many views.
// Python joins it with a view's own module into one text; `PAGE` (page.html) is put in front.

// ---------------------------------------------------------------- elements

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

export const clamp = (x, low, high) => Math.max(low, Math.min(high, x));
export const percent = (p, digits = 0) => `${(100 * p).toFixed(digits)} %`;
export const argmax = (values) => values.reduce((best, v, i) => (v > values[best] ? i : best), 0);
export const mean = (values) => values.reduce((a, b) => a + b, 0) / values.length;
// A number for eyes: three figures that count, thousands apart.
export function short(x) {
  if (!Number.isFinite(x)) return String(x);
  if (x === 0) return '0';
  if (Math.abs(x) >= 1000) return Math.round(x).toLocaleString('en');
  return Math.abs(x) < 0.001 ? x.toExponential(1) : String(Number(x.toPrecision(3)));
}
export function softmax(logits, temperature = 1) {
  const high = Math.max(...logits), e = Array.from(logits, (z) => Math.exp((z - high) / temperature)), total = e.reduce((a, b) => a + b, 0);
  return e.map((v) => v / total);
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
    v.explain = (lines) => { explained = lines; more.hidden = false; draws.push(tell); };
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

// ---------------------------------------------------------------- controls

// A slider with its label and value; `on(number)` while it moves. Returns {node, set(number)}.
export function slider(label, { min, max, step = 1, value, format = String, on }) {
  const input = make('input', { type: 'range', min, max, step, value });
  const out = make('output', {}, format(Number(value)));
  const show = (x) => { out.textContent = format(x); input.setAttribute('aria-valuetext', format(x)); };
  input.addEventListener('input', () => { show(Number(input.value)); on(Number(input.value)); });
  show(Number(value));
  const node = make('label', { class: 'hk-wide' }, make('span', {}, label), input, out);
  return { node, input, set(x) { if (Number(input.value) !== x) input.value = x; show(x); } };
}
export function button(label, on) { return make('button', { type: 'button', onclick: on }, label); }
export function tick(label, value, on) {
  const input = make('input', { type: 'checkbox', onchange: () => on(input.checked) });
  input.checked = value;
  return { node: make('label', {}, input, label), set(x) { input.checked = x; } };
}
export function choose(label, options, value, on) {
  const input = make('select', { onchange: () => on(Number(input.value)) }, ...options.map((text, i) => make('option', { value: i }, text)));
  input.value = value;
  return { node: make('label', {}, label, input), set(x) { input.value = x; } };
}
// The time slider with its play button, bound to place.frame.
export function timeline(v, count, label) {
  const { place } = v, calm = matchMedia('(prefers-reduced-motion: reduce)');
  let playing = null;
  const stop = () => { clearInterval(playing); playing = null; play.textContent = 'Play'; };
  const step = () => { if (place.get('frame') >= count - 1) stop(); else place.set({ frame: place.get('frame') + 1 }); };
  const play = button('Play', () => {
    if (playing) return stop();
    if (place.get('frame') >= count - 1) place.set({ frame: 0 });
    play.textContent = 'Pause';
    playing = setInterval(step, calm.matches ? 1000 : 90);
  });
  const time = slider('time', { min: 0, max: count - 1, value: place.get('frame'), format: label, on: (frame) => { stop(); place.set({ frame }); } });
  v.controls.append(play, time.node);
  v.onDraw(() => time.set(v.covered ? 0 : place.get('frame')));
  v.onReset(stop);
  v.cleanup(stop);
}

// ---------------------------------------------------------------- drawing

export function panel(parent, name = '', kind = '') {
  const title = make('p', { class: 'hk-name' }, name), node = make('div', { class: `hk-panel ${kind}` }, title);
  parent.append(node);
  return { node, title };
}
// A canvas as wide as its parent, sharp on every screen. `draw(ctx, width, height)` on each v.draw; height(width) in CSS pixels.
export function canvas(v, parent, { label = '', height, draw }) {
  const node = make('canvas', { role: 'img', 'aria-label': label }), box = make('div', { class: 'hk-draw' }, node);
  parent.append(box);
  const ctx = node.getContext('2d');
  let spoken = label;
  const api = { node, box, ctx, width: 0, height: 0,
    say(text) { if (text !== spoken) { spoken = text; node.setAttribute('aria-label', text); } } };
  v.onDraw(() => {
    const wide = Math.floor(box.clientWidth), tall = wide && Math.round(height(wide)), sharp = window.devicePixelRatio || 1;
    if (!wide || !tall) return;
    if (node.width !== Math.round(wide * sharp) || node.height !== Math.round(tall * sharp)) {
      node.width = Math.round(wide * sharp); node.height = Math.round(tall * sharp); node.style.height = `${tall}px`;
    }
    Object.assign(api, { width: wide, height: tall });
    ctx.setTransform(sharp, 0, 0, sharp, 0, 0);
    ctx.clearRect(0, 0, wide, tall);
    draw(ctx, wide, tall);
  });
  return api;
}
export const FONT = '12px system-ui, sans-serif';
export function write(ctx, text, x, y, { colour, align = 'left', base = 'alphabetic', font = FONT, wide } = {}) {
  ctx.font = font; ctx.textAlign = align; ctx.textBaseline = base;
  if (colour) ctx.fillStyle = colour;
  ctx.fillText(wide ? fitted(ctx, text, wide) : text, x, y);
}
function fitted(ctx, text, wide) {
  if (ctx.measureText(text).width <= wide) return text;
  let n = text.length;
  while (n > 1 && ctx.measureText(`${text.slice(0, n)}…`).width > wide) n -= 1;
  return `${text.slice(0, n)}…`;
}
// A role's colour, lighter where the page is dark so that it stays 3:1 against it.
export function colourOf(v, look) {
  if (!v.colours().dark) return look.color;
  return { '#0072B2': '#3FA2E0', '#000000': '#FFFFFF' }[look.color] || look.color;
}
const HATCH = { '/': [[0, 8, 8, 0]], '\\': [[0, 0, 8, 8]], x: [[0, 8, 8, 0], [0, 0, 8, 8]], '+': [[4, 0, 4, 8], [0, 4, 8, 4]], '.': [[3, 4, 5, 4]], o: [[2, 4, 6, 4]], '*': [[4, 1, 4, 7]] };
export function filling(ctx, v, look) {
  const colour = colourOf(v, look), lines = HATCH[(look.hatch || '')[0]];
  if (!lines) return colour;
  const tile = new OffscreenCanvas(8, 8), c = tile.getContext('2d');
  c.fillStyle = colour; c.fillRect(0, 0, 8, 8);
  c.strokeStyle = v.colours().page; c.lineWidth = 1.6;
  for (const [a, b, d, e] of lines) for (const s of [-8, 0, 8]) { c.beginPath(); c.moveTo(a + s, b); c.lineTo(d + s, e); c.stroke(); }
  return ctx.createPattern(tile, 'repeat');
}
export function dashes({ linestyle }) {
  if (Array.isArray(linestyle)) return linestyle[1].map((d) => 2 * d);
  return { '--': [6, 4], '-.': [7, 3, 2, 3], ':': [2, 3] }[linestyle] || [];
}
export function marker(ctx, look, x, y, r = 4) {
  ctx.beginPath();
  const corners = { s: [[-1, -1], [1, -1], [1, 1], [-1, 1]], '^': [[0, -1.2], [1.1, 0.9], [-1.1, 0.9]], v: [[0, 1.2], [1.1, -0.9], [-1.1, -0.9]], D: [[0, -1.3], [1.3, 0], [0, 1.3], [-1.3, 0]] }[look.marker];
  if (corners) corners.forEach(([a, b], i) => (i ? ctx.lineTo(x + a * r, y + b * r) : ctx.moveTo(x + a * r, y + b * r)));
  else ctx.arc(x, y, r, 0, 2 * Math.PI);
  ctx.closePath();
  ctx.fill();
}

// Images (…,C,H,W) of bytes drawn from an array, grey or colour, never stretched. `at` counts images from the array's start.
export function painter(array) {
  const [C, H, W] = array.shape.slice(-3), size = C * H * W, tile = new OffscreenCanvas(W, H), c = tile.getContext('2d');
  const pixels = c.createImageData(W, H), rgba = new Uint32Array(pixels.data.buffer), data = array.data, area = H * W;
  const paint = (ctx, at, x, y, side) => {
    const from = at * size;
    if (C === 1) for (let i = 0; i < area; i += 1) rgba[i] = 0xff000000 | (data[from + i] * 0x010101);
    else for (let i = 0; i < area; i += 1) rgba[i] = 0xff000000 | (data[from + 2 * area + i] << 16) | (data[from + area + i] << 8) | data[from + i];
    c.putImageData(pixels, 0, 0);
    ctx.imageSmoothingEnabled = side < Math.max(H, W);
    const scale = side / Math.max(H, W);
    ctx.drawImage(tile, x + (side - W * scale) / 2, y + (side - H * scale) / 2, W * scale, H * scale);
  };
  return Object.assign(paint, { C, H, W, count: array.data.length / size });
}

// A grid of images with something under each, one of them selected (place.image).
// array: bytes (T,n,C,H,W) or (n,C,H,W); at(i): which image of the array cell i shows; order(): image ids in reading order;
// under: {tall, draw(ctx, id, x, y, wide)}; label(id): what a screen reader says of it.
export function imageGrid(v, parent, { array, name, at, order, under = { tall: 0, draw() {} }, label, side = 56, border = () => null, on = (image) => v.place.set({ image }) }) {
  const paint = painter(array), cells = make('div', { class: 'hk-cells', role: 'listbox', 'aria-label': name });
  let shown = [], cols = 1, pitch = side;
  const measure = (wide) => { shown = order(); cols = clamp(Math.floor(wide / side), 2, Math.max(2, Math.min(16, shown.length))); pitch = wide / cols; };
  const drawing = canvas(v, parent, {
    label: name,
    height: (wide) => { measure(wide); return Math.max(1, Math.ceil(shown.length / cols)) * (Math.min(pitch, 96) + under.tall + 4); },
    draw(ctx) {
      const inner = Math.min(pitch, 96) - 4, step = inner + 8 + under.tall;
      shown.forEach((id, i) => {
        const x = (i % cols) * pitch + (pitch - inner) / 2, y = Math.floor(i / cols) * step + 2;
        paint(ctx, at(id), x, y, inner);
        const colour = border(id);
        if (colour) { ctx.strokeStyle = colour; ctx.lineWidth = 3; ctx.strokeRect(x + 1, y + 1, inner - 2, inner - 2); }
        under.draw(ctx, id, x, y + inner + 2, inner);
      });
      place(ctx);
    } });
  drawing.box.append(cells);
  const pick = (i, focus) => {
    on(shown[clamp(i, 0, shown.length - 1)]);
    if (focus) cells.children[shown.indexOf(v.place.get('image'))]?.focus();
  };
  const place = () => {
    while (cells.children.length < shown.length) cells.append(make('div', { role: 'option', tabindex: -1 }));
    while (cells.children.length > shown.length) cells.lastChild.remove();
    const columns = `repeat(${cols}, 1fr)`;
    if (cells.style.gridTemplateColumns !== columns) cells.style.gridTemplateColumns = columns;
    const chosen = Math.max(0, shown.indexOf(v.place.get('image')));
    shown.forEach((id, i) => {
      const node = cells.children[i], here = i === chosen;
      if (node.getAttribute('aria-selected') !== String(here)) { node.setAttribute('aria-selected', here); node.tabIndex = here ? 0 : -1; }
      if (here || !node.hasAttribute('aria-label')) node.setAttribute('aria-label', label(id));
    });
  };
  cells.addEventListener('focusin', (e) => { const i = [...cells.children].indexOf(e.target); if (i >= 0) e.target.setAttribute('aria-label', label(shown[i])); });
  cells.addEventListener('click', (e) => { const i = [...cells.children].indexOf(e.target); if (i >= 0) pick(i, true); });
  cells.addEventListener('keydown', (e) => {
    const i = shown.indexOf(v.place.get('image')), to = { ArrowLeft: i - 1, ArrowRight: i + 1, ArrowUp: i - cols, ArrowDown: i + cols, Home: 0, End: shown.length - 1 }[e.key];
    if (to === undefined) return;
    e.preventDefault();
    if (to >= 0 && to < shown.length) pick(to, true);
  });
  return drawing;
}

// ---------------------------------------------------------------- maps

const VIRIDIS = ('440154470d6048186a482374472d7b4537814240863e49893b528b375b8d33638d2f6b8e2c728e297a8e26828e23898e21918c1f988b1fa08822a78528ae8032b67a'
  + '3fbc734ec36b5ec96270cf5784d44b98d83eaddc30c2df23d8e219ece51bfde725').match(/../g).map((h) => parseInt(h, 16));
const ORANGE_BLUE = [0xD5, 0x5E, 0x00, 0xF7, 0xF7, 0xF7, 0x00, 0x72, 0xB2];
// Colour of t in [0,1]: viridis for quantities, orange to blue for differences.
export function tint(t, scale = 'viridis') {
  const stops = scale === 'difference' ? ORANGE_BLUE : VIRIDIS, n = stops.length / 3 - 1;
  const at = clamp(t, 0, 1) * n, i = Math.min(n - 1, Math.floor(at)), f = at - i;
  const c = [0, 1, 2].map((k) => Math.round(stops[3 * i + k] * (1 - f) + stops[3 * i + 3 + k] * f));
  return `rgb(${c})`;
}
// A map of values over a grid with a crosshair that pointer and arrows move.
// values(row, col) in units of span [low, high], or null where nothing is to be seen yet; at(): {row, col};
// on({row, col}); axes: {x: [first, last, middle], y: [first, last, middle], xlabel, ylabel} (the middle is their mean unless given); extra(ctx, toX, toY, cell) draws on top; say(row, col).
export function heatGrid(v, parent, { name, rows, cols, values, span, scale = 'viridis', at, on, axes, extra, say, form = short, most = 250 }) {
  const left = 40, low = 34, top = 4, bar = 12, right = 58;
  const side = (wide) => Math.min(wide - left - right, most);
  const drawing = canvas(v, parent, {
    label: typeof name === 'function' ? name() : name,
    height: (wide) => side(wide) * rows / cols + top + low,
    draw(ctx, wide) {
      const size = side(wide), cell = size / cols, tall = cell * rows, { ink, line, soft } = v.colours(), [a, b] = span();
      for (let r = 0; r < rows; r += 1) for (let c = 0; c < cols; c += 1) {
        const value = values(r, c);
        ctx.fillStyle = value === null ? soft : tint((value - a) / (b - a || 1), scale);
        const x0 = Math.round(left + c * cell), y0 = Math.round(top + r * cell);
        ctx.fillRect(x0, y0, Math.round(left + (c + 1) * cell) - x0, Math.round(top + (r + 1) * cell) - y0);
      }
      if (Array.from({ length: rows * cols }).some((_, i) => values(Math.floor(i / cols), i % cols) === null))
        write(ctx, '?', left + size / 2 - size / 4, top + tall / 4, { colour: ink, align: 'center', base: 'middle', font: '600 28px system-ui, sans-serif' });
      extra?.(ctx, (c) => left + (c + 0.5) * cell, (r) => top + (r + 0.5) * cell, cell);
      const { row, col } = at(), x = left + (col + 0.5) * cell, y = top + (row + 0.5) * cell, r = Math.max(cell * 0.7, 6);
      for (const [colour, width] of [['#000', 4], ['#fff', 2]]) {
        ctx.strokeStyle = colour; ctx.lineWidth = width;
        ctx.beginPath(); ctx.arc(x, y, r, 0, 2 * Math.PI);
        for (const [dx, dy] of [[1, 0], [-1, 0], [0, 1], [0, -1]]) { ctx.moveTo(x + dx * r, y + dy * r); ctx.lineTo(x + dx * r * 1.7, y + dy * r * 1.7); }
        ctx.stroke();
      }
      for (let i = 0; i <= 40; i += 1) { ctx.fillStyle = tint(1 - i / 40, scale); ctx.fillRect(left + size + 8, top + (i / 41) * tall, bar, tall / 41 + 0.6); }
      ctx.strokeStyle = line; ctx.lineWidth = 1; ctx.strokeRect(left + size + 8, top, bar, tall);
      const opts = { colour: ink, font: '11px system-ui, sans-serif' };
      for (const [value, y0, base] of [[b, top, 'top'], [(a + b) / 2, top + tall / 2, 'middle'], [a, top + tall, 'bottom']]) write(ctx, form(value), left + size + 12 + bar, y0, { ...opts, base });
      const y1 = top + tall + 12, middle = (p) => p[2] ?? short((p[0] + p[1]) / 2);
      [axes.x[0], middle(axes.x), axes.x[1]].forEach((t, i) => write(ctx, String(t), left + cell / 2 + i * (size - cell) / 2, y1, { ...opts, align: 'center' }));
      [axes.y[0], middle(axes.y), axes.y[1]].forEach((t, i) => write(ctx, String(t), left - 4, top + cell / 2 + i * (tall - cell) / 2, { ...opts, align: 'right', base: 'middle' }));
      write(ctx, axes.xlabel, left + size / 2, y1 + 15, { ...opts, align: 'center' });
      ctx.save(); ctx.translate(9, top + tall / 2); ctx.rotate(-Math.PI / 2); write(ctx, axes.ylabel, 0, 0, { ...opts, align: 'center', base: 'middle' }); ctx.restore();
      const text = `${typeof name === 'function' ? name() : name}. ${say(row, col)}`;
      drawing.say(text); area.setAttribute('aria-label', text);
    } });
  const area = make('div', { class: 'hk-cells', role: 'application', tabindex: 0, 'aria-roledescription': 'map; move with the arrow keys', 'aria-label': '' });
  drawing.box.append(area);
  const go = (row, col) => on({ row: clamp(row, 0, rows - 1), col: clamp(col, 0, cols - 1) });
  const point = (e) => {
    const { left: x0, top: y0 } = area.getBoundingClientRect(), cell = side(drawing.width) / cols;
    go(Math.floor((e.clientY - y0 - top) / cell), Math.floor((e.clientX - x0 - left) / cell));
  };
  dragging(area, point);
  area.addEventListener('keydown', (e) => {
    const { row, col } = at(), far = e.shiftKey ? 3 : 1;
    const to = { ArrowLeft: [row, col - far], ArrowRight: [row, col + far], ArrowUp: [row - far, col], ArrowDown: [row + far, col], Home: [(rows - 1) / 2, (cols - 1) / 2] }[e.key];
    if (!to) return;
    e.preventDefault();
    go(...to.map(Math.floor));
  });
  return Object.assign(drawing, { area });
}
// Pointer down, and moves while it is down.
export function dragging(node, on) {
  node.addEventListener('pointerdown', (e) => { node.setPointerCapture(e.pointerId); on(e, true); });
  node.addEventListener('pointermove', (e) => { if (node.hasPointerCapture(e.pointerId)) on(e, false); });
}

// ---------------------------------------------------------------- bars, lines, points

// Which classes are worth a bar: the likeliest `top` by any of the series, in the classes' order.
export function likeliest(series, top = 10) {
  const best = Array.from(series[0].values, (_, k) => Math.max(...series.map((s) => s.values[k])));
  return best.map((p, k) => k).sort((a, b) => best[b] - best[a]).slice(0, top).sort((a, b) => a - b);
}
// Horizontal bars, one group a class: series() = [{name, look, values}], classes = names. Options: log axis, marks (truth), form.
export function bars(v, parent, { name = 'probabilities', classes, series, top = 10, log = () => false, truth = () => null, span = () => [0, 1], form = percent, hidden = () => false }) {
  const thick = 9, gap = 7, head = 20;
  const drawing = canvas(v, parent, {
    label: name,
    height: () => { const s = series(); return head + Math.min(top, classes.length) * (s.length * thick + gap) + 4; },
    draw(ctx, wide) {
      const all = series(), shown = likeliest(all, top), { ink, soft } = v.colours(), [low, high] = span(), floor = 1e-6;
      const left = Math.min(wide * 0.4, 16 + Math.max(...shown.map((k) => { ctx.font = FONT; return ctx.measureText(classes[k]).width; }))), room = wide - left - 52;
      const place = (p) => (log() ? 1 - Math.log(Math.max(p, floor)) / Math.log(floor) : (p - low) / (high - low || 1)) * room;
      let x = left;
      for (const s of all) {
        ctx.fillStyle = filling(ctx, v, s.look); ctx.fillRect(x, 4, 14, 9);
        write(ctx, s.name, x + 18, 12, { colour: ink, wide: Math.max(20, Math.min(wide / all.length - 34, wide - x - 20)) });
        x += Math.min(ctx.measureText(s.name).width + 32, wide / all.length);
      }
      shown.forEach((k, i) => {
        const y = head + i * (all.length * thick + gap);
        write(ctx, classes[k], left - 6, y + all.length * thick / 2, { colour: ink, align: 'right', base: 'middle', wide: left - 8, font: k === truth() ? `600 ${FONT}` : FONT });
        ctx.fillStyle = soft; ctx.fillRect(left, y, 1, all.length * thick);
        if (hidden()) return;
        all.forEach((s, j) => {
          const a = place(Math.max(low, Math.min(0, high))), b = place(s.values[k]);
          ctx.fillStyle = filling(ctx, v, s.look);
          ctx.fillRect(left + Math.min(a, b), y + j * thick, Math.abs(b - a), thick - 1);
          if (Math.abs(b - a) >= room / 200) write(ctx, form(s.values[k]), left + Math.max(a, b) + 4, y + j * thick + thick / 2, { colour: ink, base: 'middle', font: '10px system-ui, sans-serif' });
        });
      });
      drawing.say(`${name}: ${hidden() ? 'not shown yet' : all.map((s) => { const k = argmax(Array.from(s.values)); return `${s.name} ${classes[k]} ${form(s.values[k])}`; }).join(', ')}`);
    } });
  return drawing;
}
// Curves over x, each named at its end, with a cursor. series() = [{name, look, values}]; cursor(): index into x; seek(i).
export function lines(v, parent, { name, x, xlabel, ylabel, series, cursor = () => null, seek = null, tall = 170, until = () => x.length, zero = false }) {
  const left = 46, low = 32, top = 16;
  let room = 1, right = 80;
  const drawing = canvas(v, parent, {
    label: name,
    height: () => tall,
    draw(ctx, wide) {
      const all = series(), { ink, line, soft } = v.colours(), seen = until(), values = all.flatMap((s) => Array.from(s.values).filter(Number.isFinite));
      ctx.font = FONT;
      right = clamp(14 + Math.max(...all.map((s) => ctx.measureText(s.name).width)), 30, wide * 0.35);
      room = wide - left - right;
      let [a, b] = [Math.min(...values, ...(zero ? [0] : [])), Math.max(...values)];
      if (!values.length) [a, b] = [0, 1];
      if (b - a < 1e-12) [a, b] = [a - 0.5, b + 0.5];
      const first = x[0], last = x[x.length - 1], X = (i) => left + (last === first ? 0 : (x[i] - first) / (last - first)) * room, Y = (y) => top + (b - y) / (b - a) * (tall - top - low);
      const small = { colour: ink, font: '11px system-ui, sans-serif' };
      ctx.lineWidth = 1;
      for (const y of new Set([a, (a + b) / 2, b, ...(a < 0 && b > 0 ? [0] : [])])) {
        ctx.strokeStyle = y === 0 ? line : soft; ctx.beginPath(); ctx.moveTo(left, Y(y)); ctx.lineTo(left + room, Y(y)); ctx.stroke();
        if (y !== 0 || a === 0) write(ctx, short(y), left - 5, Y(y), { ...small, align: 'right', base: 'middle' });
      }
      for (const t of [0, (x.length - 1) >> 1, x.length - 1]) write(ctx, short(x[t]), X(t), tall - 18, { ...small, align: 'center' });
      write(ctx, xlabel, left + room / 2, tall - 5, { ...small, align: 'center' });
      write(ctx, ylabel, 2, 10, small);
      const ends = [];
      for (const s of all) {
        const colour = colourOf(v, s.look), end = Math.min(seen, s.values.length) - 1;
        ctx.strokeStyle = ctx.fillStyle = colour; ctx.lineWidth = 2; ctx.setLineDash(dashes(s.look)); ctx.beginPath();
        for (let i = 0; i <= end; i += 1) ctx.lineTo(X(i), Y(s.values[i]));
        ctx.stroke(); ctx.setLineDash([]);
        if (end >= 0) { marker(ctx, s.look, X(end), Y(s.values[end])); ends.push({ text: s.name, from: [X(end), Y(s.values[end])], y: Y(s.values[end]), colour }); }
      }
      ends.sort((p, q) => p.y - q.y);
      ends.forEach((e, i) => { e.y = Math.max(e.y, i ? ends[i - 1].y + 14 : top); });
      ends.reverse().forEach((e, i, r) => { e.y = Math.min(e.y, i ? r[i - 1].y - 14 : tall - low); });
      for (const e of ends) {
        if (e.from[0] > left + room - 30) { ctx.strokeStyle = e.colour; ctx.lineWidth = 1; ctx.beginPath(); ctx.moveTo(...e.from); ctx.lineTo(left + room + 6, e.y); ctx.stroke(); }
        write(ctx, e.text, left + room + 9, e.y, { colour: ink, base: 'middle', wide: right - 10 });
      }
      const c = cursor();
      if (c !== null) { ctx.strokeStyle = ink; ctx.lineWidth = 1.5; ctx.beginPath(); ctx.moveTo(X(c), top - 4); ctx.lineTo(X(c), tall - low + 4); ctx.stroke(); }
      const here = c === null ? null : Math.min(c, seen - 1);
      drawing.say(`${name}${here === null || here < 0 ? '' : `; at ${xlabel} ${short(x[here])}: ${all.map((s) => `${s.name} ${short(s.values[here])}`).join(', ')}`}`);
    } });
  if (seek) {
    drawing.box.style.cursor = 'ew-resize';
    dragging(drawing.box, (e) => {
      const t = x[0] + (e.clientX - drawing.box.getBoundingClientRect().left - left) / room * (x[x.length - 1] - x[0]);
      seek(x.reduce((best, value, i) => (Math.abs(value - t) < Math.abs(x[best] - t) ? i : best), 0));
    });
  }
  return drawing;
}
// Points in a plane. points() = [{look, xy: [[x, y], ...], size, faint}]; span() = {x: [low, high], y: [low, high]}; labels() = [x, y];
// y grows downwards when `down`. under(ctx, X, Y) draws below the points, extra on top; drag({x, y}) when the plane is dragged in; say(): its words.
export function scatter(v, parent, { name, points, span, labels, down = true, under, extra, drag = null, keys = null, say, most = 320 }) {
  const left = 44, low = 34, top = 6, right = 12;
  const side = (wide) => Math.min(wide - left - right, most);
  const X = (x, size) => left + (x - span().x[0]) / (span().x[1] - span().x[0]) * size;
  const Y = (y, size) => top + (down ? y - span().y[0] : span().y[1] - y) / (span().y[1] - span().y[0]) * size;
  const drawing = canvas(v, parent, {
    label: name,
    height: (wide) => side(wide) + top + low,
    draw(ctx, wide) {
      const size = side(wide), { ink, line, soft } = v.colours(), s = span(), small = { colour: ink, font: '11px system-ui, sans-serif' };
      ctx.strokeStyle = line; ctx.lineWidth = 1; ctx.strokeRect(left, top, size, size);
      ctx.strokeStyle = soft; ctx.beginPath();
      if (s.x[0] < 0 && s.x[1] > 0) { ctx.moveTo(X(0, size), top); ctx.lineTo(X(0, size), top + size); }
      if (s.y[0] < 0 && s.y[1] > 0) { ctx.moveTo(left, Y(0, size)); ctx.lineTo(left + size, Y(0, size)); }
      ctx.stroke();
      for (const t of [s.x[0], (s.x[0] + s.x[1]) / 2, s.x[1]]) write(ctx, short(t), X(t, size), top + size + 13, { ...small, align: 'center' });
      for (const t of [s.y[0], (s.y[0] + s.y[1]) / 2, s.y[1]]) write(ctx, short(t), left - 4, Y(t, size), { ...small, align: 'right', base: 'middle' });
      const [xlabel, ylabel] = labels();
      write(ctx, xlabel, left + size / 2, top + size + 28, { ...small, align: 'center' });
      ctx.save(); ctx.translate(8, top + size / 2); ctx.rotate(-Math.PI / 2); write(ctx, ylabel, 0, 0, { ...small, align: 'center', base: 'middle' }); ctx.restore();
      ctx.save(); ctx.beginPath(); ctx.rect(left - 6, top - 6, size + 12, size + 12); ctx.clip();
      under?.(ctx, (x) => X(x, size), (y) => Y(y, size));
      for (const p of points()) {
        ctx.fillStyle = colourOf(v, p.look); ctx.globalAlpha = p.faint ? 0.35 : 1;
        for (const [x, y] of p.xy) marker(ctx, p.look, X(x, size), Y(y, size), p.size || 4);
        ctx.globalAlpha = 1;
      }
      extra?.(ctx, (x) => X(x, size), (y) => Y(y, size));
      ctx.restore();
      const text = `${name}. ${say()}`;
      drawing.say(text); area?.setAttribute('aria-label', text);
    } });
  const area = drag && make('div', { class: 'hk-cells', role: 'application', tabindex: 0, 'aria-roledescription': 'plane; move with the arrow keys', 'aria-label': name });
  if (!drag) return drawing;
  drawing.box.append(area);
  dragging(area, (e) => {
    const box = area.getBoundingClientRect(), size = side(drawing.width), s = span(), fx = (e.clientX - box.left - left) / size, fy = (e.clientY - box.top - top) / size;
    drag({ x: clamp(s.x[0] + fx * (s.x[1] - s.x[0]), ...s.x), y: clamp(down ? s.y[0] + fy * (s.y[1] - s.y[0]) : s.y[1] - fy * (s.y[1] - s.y[0]), ...s.y) });
  });
  area.addEventListener('keydown', (e) => { const step = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[e.key]; if (step) { e.preventDefault(); keys(step, e.shiftKey); } });
  return Object.assign(drawing, { area });
}

// A small sheet to draw on with pointer or keys: pixels is a Float32Array (H*W) in [0,1], changed in place; on() after each stroke.
export function sketch(v, parent, { name, H, W, pixels, on, overlay }) {
  let brush = { x: (W - 1) / 2, y: (H - 1) / 2 }, focused = false;
  const drawing = canvas(v, parent, {
    label: name,
    height: (wide) => Math.min(wide, 260) * H / W,
    draw(ctx, wide) {
      const side = Math.min(wide, 260) / W;
      for (let y = 0; y < H; y += 1) for (let x = 0; x < W; x += 1) { const g = Math.round(255 * clamp(pixels[y * W + x], 0, 1)); ctx.fillStyle = `rgb(${g},${g},${g})`; ctx.fillRect(x * side, y * side, side + 0.6, side + 0.6); }
      overlay?.(ctx, side);
      if (focused) { ctx.strokeStyle = '#E69F00'; ctx.lineWidth = 2; ctx.strokeRect((brush.x - 1) * side, (brush.y - 1) * side, 3 * side, 3 * side); }
    } });
  const area = make('div', { class: 'hk-cells', role: 'application', tabindex: 0, 'aria-roledescription': 'sheet; arrow keys move the brush, Space draws', 'aria-label': name });
  area.addEventListener('focus', () => { focused = true; v.draw(); });
  area.addEventListener('blur', () => { focused = false; if (v.alive) v.draw(); });
  drawing.box.append(area);
  const stroke = () => {
    for (let y = 0; y < H; y += 1) for (let x = 0; x < W; x += 1) {
      const near = Math.hypot(x - brush.x, y - brush.y);
      if (near < 2) pixels[y * W + x] = Math.max(pixels[y * W + x], clamp(2 - near, 0, 1));
    }
    on();
  };
  dragging(area, (e) => {
    const box = area.getBoundingClientRect(), side = Math.min(drawing.width, 260) / W;
    brush = { x: clamp((e.clientX - box.left) / side - 0.5, 0, W - 1), y: clamp((e.clientY - box.top) / side - 0.5, 0, H - 1) };
    stroke();
  });
  area.addEventListener('keydown', (e) => {
    const step = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[e.key];
    if (step) { e.preventDefault(); brush = { x: clamp(brush.x + step[0], 0, W - 1), y: clamp(brush.y + step[1], 0, H - 1) }; v.draw(); }
    if (e.key === ' ') { e.preventDefault(); stroke(); }
  });
  return Object.assign(drawing, { area });
}

// ---------------------------------------------------------------- one page that needs nothing else

const OPEN = '\nopenSaved(widget);';
const filled = (template, parts) => template.replace(/\{\{(\w+)\}\}/g, (_, name) => parts[name]);
const escapeHtml = (text) => String(text).replace(/[&<>"']/g, (c) => `&#${c.charCodeAt(0)};`);
function base64(view) {
  const bytes = view instanceof DataView ? new Uint8Array(view.buffer, view.byteOffset, view.byteLength) : view;
  let text = '';
  for (let i = 0; i < bytes.length; i += 0x8000) text += String.fromCharCode(...bytes.subarray(i, i + 0x8000));
  return btoa(text);
}
// The view as it is now, as the same page that Python's `save_html` writes, offered for download.
function savePage(model, place) {
  const arrays = Object.fromEntries(Object.entries(model.get('arrays')).map(([k, a]) => [k, { ...a, data: base64(a.data) }]));
  const content = { state: model.get('state'), place: place.now, arrays, css: model.get('_css') };
  const json = JSON.stringify(content).replaceAll('<', '\\u003c'), title = escapeHtml(model.get('state').kind);
  const script = `${model.get('_esm').replace(/^export default /m, 'const widget = ')}${OPEN}`;
  const page = filled(PAGE, { title, body: filled(FRAGMENT, { json, still: '', script }) });
  const url = URL.createObjectURL(new Blob([page], { type: 'text/html' }));
  make('a', { href: url, download: `${model.get('state').kind}.html` }).click();
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
  document.head.append(make('style', {}, content.css));
  widget.render({ model, el: holder });
}
