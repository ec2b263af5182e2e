// What a reader moves: sliders, buttons, choices, time, and the pointer.
import { make } from './frame.js';

// A slider with its label and value; `on(number)` while it moves. Returns {node, set(number)}.
export function slider(label, { min, max, step = 1, value, format = String, on }) {
  const input = make('input', { type: 'range', min, max, step, value });
  const out = make('output', {}, format(Number(value)));
  const show = (x) => {
    out.textContent = format(x);
    input.setAttribute('aria-valuetext', format(x));
  };
  input.addEventListener('input', () => {
    show(Number(input.value));
    on(Number(input.value));
  });
  show(Number(value));
  const node = make('label', { class: 'hk-wide' }, make('span', {}, label), input, out);
  const set = (x) => {
    if (Number(input.value) !== x) input.value = x;
    show(x);
  };
  return { node, input, set };
}
export function button(label, on) { return make('button', { type: 'button', onclick: on }, label); }
export function tick(label, value, on) {
  const input = make('input', { type: 'checkbox', onchange: () => on(input.checked) });
  input.checked = value;
  return { node: make('label', {}, input, label), set(x) { input.checked = x; } };
}
export function choose(label, options, value, on) {
  const offered = options.map((text, i) => make('option', { value: i }, text));
  const input = make('select', { onchange: () => on(Number(input.value)) }, ...offered);
  input.value = value;
  return { node: make('label', {}, label, input), set(x) { input.value = x; } };
}
// The time slider with its play button, bound to place.frame.
export function timeline(v, count, label) {
  const { place } = v, calm = matchMedia('(prefers-reduced-motion: reduce)'), frame = () => place.get('frame');
  let playing = null;
  const stop = () => {
    clearInterval(playing);
    playing = null;
    play.textContent = 'Play';
  };
  const step = () => {
    if (frame() >= count - 1) stop();
    else place.set({ frame: frame() + 1 });
  };
  const play = button('Play', () => {
    if (playing) return stop();
    if (frame() >= count - 1) place.set({ frame: 0 });
    play.textContent = 'Pause';
    playing = setInterval(step, calm.matches ? 1000 : 90);
    return undefined;
  });
  const seek = (to) => {
    stop();
    place.set({ frame: to });
  };
  const time = slider('time', { min: 0, max: count - 1, value: frame(), format: label, on: seek });
  v.controls.append(play, time.node);
  v.onDraw(() => time.set(v.covered ? 0 : frame()));
  v.onReset(stop);
  v.cleanup(stop);
}

// Pointer down, and moves while it is down.
export function dragging(node, on) {
  node.addEventListener('pointerdown', (e) => { node.setPointerCapture(e.pointerId); on(e, true); });
  node.addEventListener('pointermove', (e) => { if (node.hasPointerCapture(e.pointerId)) on(e, false); });
}
// The arrow keys: move([dx, dy], far), far with Shift; home() for Home.
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
export function onArrows(node, move, home = null) {
  node.addEventListener('keydown', (e) => {
    const way = ARROWS[e.key];
    if (!way && !(home && e.key === 'Home')) return;
    e.preventDefault();
    if (way) move(way, e.shiftKey);
    else home();
  });
}
