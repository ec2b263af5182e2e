// AugmentorCloud: the transforms that the augmentor emits, and you in its place. Arrays: transforms (T,n,A), step (T,),
// disagreement and teacher_change (S,S): what they are when all images are moved by a shift.
import { clamp, mean, percent, short } from './numbers/basics.js';
import { between, deviation, lumpAt, shareReached, shiftsOf } from './numbers/clouds.js';
import { view, panel, rowOf } from './kit/frame.js';
import { slider, choose, timeline } from './kit/controls.js';
import { fillTile, tint } from './kit/canvas.js';
import { lines, scatter } from './kit/charts.js';

// The clouds, the hardness of shifts, and where the reader is.
function clouds(v) {
  const { state, place } = v, { axes, reach } = state, transforms = v.array('transforms'), [T, n, A] = transforms.shape;
  const d = { ...state, T, steps: Array.from(v.array('step').data) };
  d.limit = (a) => (axes[a].shift ? reach : axes[a].limit);
  const along = (t, a) => Array.from({ length: n }, (_, i) => transforms.data[(t * n + i) * A + a]);
  d.frame = () => (v.covered ? 0 : place.get('frame'));
  d.shown = () => [place.get('x'), place.get('y')];
  d.points = (t, [a, b]) => {
    const across = along(t, a), down = along(t, b);
    return across.map((x, i) => [x, down[i]]);
  };
  d.deviation = (t, a) => deviation(along(t, a));
  d.onShifts = () => axes[place.get('x')].shift === 'x' && axes[place.get('y')].shift === 'y';
  d.isPlayed = () => d.onShifts() && !v.covered;
  d.disagreement = (x, y) => between(v.array('disagreement').data, state, x, y);
  d.teacherChange = (x, y) => between(v.array('teacher_change').data, state, x, y);
  d.hardness = (x, y) => d.disagreement(x, y) - place.get('weight') * d.teacherChange(x, y);
  d.score = (cloud) => mean(cloud.map(([x, y]) => d.hardness(x, y)));
  d.reached = (cloud) => shareReached(cloud, state, d.hardness);
  d.readers = () => lumpAt(place.get('dx'), place.get('dy'), place.get('spread'));
  d.augmentors = () => d.points(d.frame(), ['x', 'y'].map((way) => axes.findIndex((a) => a.shift === way)));
  return d;
}

function controls(v, d) {
  const { place } = v, names = d.axes.map((a) => a.name), set = (name) => (value) => place.set({ [name]: value });
  timeline(v, d.T, (t) => `step ${d.steps[t]}`);
  const parts = {
    x: choose('across', names, place.get('x'), set('x')),
    y: choose('down', names, place.get('y'), set('y')),
    spread: slider('your spread, ±', {
      min: 0, max: d.reach, step: 0.5, value: place.get('spread'), format: (s) => `${s} px`, on: set('spread') }),
    weight: slider('invariance weight', {
      min: 0, max: 3, step: 0.1, value: place.get('weight'), format: (w) => w.toFixed(1), on: set('weight') }),
  };
  v.controls.append(...Object.values(parts).map((part) => part.node));
  v.onDraw(() => { for (const [name, part] of Object.entries(parts)) part.set(place.get(name)); });
}

// Each image's transform, over how hard the shifts are, and the reader's square.
function planePanel(v, d, row) {
  const { node, title } = panel(row, '', 'hk-broad'), { place } = v, name = 'Triangles: how each image was changed';
  v.onDraw(() => { title.textContent = d.onShifts() ? `${name}. Square: you. Shade: how hard a shift is` : name; });
  const span = (a) => [-d.limit(a), d.limit(a)];
  scatter(v, node, {
    name: 'what the augmentor emits', most: 380,
    span: () => ({ x: span(place.get('x')), y: span(place.get('y')) }),
    labels: () => d.shown().map((a) => `${d.axes[a].name}, ${d.axes[a].unit}`),
    points: () => [{ look: d.looks.augmentor, xy: d.points(d.frame(), d.shown()), size: 4.5 }],
    under: (ctx, X, Y) => { if (d.isPlayed()) drawHardness(ctx, v, d, X, Y); },
    extra: (ctx, X, Y) => { if (d.isPlayed()) drawSquare(ctx, v, X, Y); },
    drag({ x, y }) { if (d.isPlayed()) place.set({ dx: Math.round(x * 2) / 2, dy: Math.round(y * 2) / 2 }); },
    keys([a, b], far) {
      const by = far ? 3 : 1, to = (axis, way) => clamp(place.get(axis) + way * by, -d.reach, d.reach);
      if (d.isPlayed()) place.set({ dx: to('dx', a), dy: to('dy', b) });
    },
    say() {
      const [across, down] = d.shown().map((a) => short(d.deviation(d.frame(), a)));
      const you = `You are at (${place.get('dx')}, ${place.get('dy')}).`;
      return `Step ${d.steps[d.frame()]}; spread across ${across}, down ${down}. ${you}`;
    } });
}
function drawHardness(ctx, v, d, X, Y) {
  const shifts = shiftsOf(d), hardness = shifts.map(([x, y]) => d.hardness(x, y)), most = Math.max(1e-6, ...hardness);
  const half = (X(d.stride) - X(0)) / 2;
  ctx.globalAlpha = 0.45;
  shifts.forEach(([x, y], i) => {
    ctx.fillStyle = hardness[i] <= 0 ? v.colours().page : tint(hardness[i] / most);
    fillTile(ctx, X(x) - half, Y(y) - half, X(x) + half, Y(y) + half);
  });
  ctx.globalAlpha = 1;
}
function drawSquare(ctx, v, X, Y) {
  const [x, y, s] = ['dx', 'dy', 'spread'].map((name) => v.place.get(name)), { page, ink } = v.colours();
  for (const [colour, width] of [[page, 5], [ink, 2.5]]) {
    ctx.strokeStyle = colour;
    ctx.lineWidth = width;
    ctx.strokeRect(X(x - s) - 4, Y(y - s) - 4, X(x + s) - X(x - s) + 8, Y(y + s) - Y(y - s) + 8);
  }
}

function widthsPanel(v, d, row) {
  const every = Array.from({ length: d.T }, (_, t) => t);
  const curves = d.axes.map((_, a) => every.map((t) => d.deviation(t, a) / (2 * d.limit(a))));
  lines(v, panel(row, 'How wide the cloud is').node, {
    name: 'spread of the cloud', x: d.steps, xlabel: "student's step", ylabel: 'standard deviation / range of the axis',
    cursor: d.frame, tall: 240, zero: true, until: () => (v.covered ? 1 : d.T),
    seek(t) { if (!v.covered) v.place.set({ frame: t }); },
    series: () => d.axes.map(({ name }, a) => ({ name, look: d.looks[name], values: curves[a] })) });
}

function caption(v, d) {
  const t = d.frame(), width = (a) => `${short(d.deviation(t, a))} ${d.axes[a].unit} along ${d.axes[a].name}`;
  const cloud = `Step ${d.steps[t]}: the cloud spreads ${d.shown().map(width).join(', ')}.`;
  if (!d.isPlayed()) return v.caption(cloud);
  const both = (f) => [d.readers(), d.augmentors()].map(f), [yours, its] = both((c) => short(d.score(c)));
  const [youReach, itReaches] = both((c) => percent(d.reached(c)));
  return v.caption(`${cloud} Hardness for this student: you ${yours}, the augmentor ${its}. `
    + `Of the hard shifts you come near ${youReach}, the augmentor ${itReaches}.`);
}

function explained(v, d) {
  const [x, y, weight] = ['dx', 'dy', 'weight'].map((name) => v.place.get(name));
  if (v.covered) return ['Answer the question first.'];
  const price = `${weight} · ${short(d.teacherChange(x, y))}`;
  const terms = `${short(d.disagreement(x, y))} − ${price} = ${short(d.hardness(x, y))}`;
  return [`Hardness of a shift = disagreement − weight · the teacher's change of mind; at (${x}, ${y}): ${terms} nats.`,
    `A score is the mean over the cloud, against the student as it is ${d.judged}. One lump at the hardest place `
      + 'scores best, for one turn: a student learns one shift quickly, and the lump is worth nothing.',
    'What prevents a lump here: draws are even between − and + the width, so the only way to a hard place is to grow '
      + 'wide; and the student plays in between.'];
}

function setup(v) {
  const d = clouds(v), row = rowOf(v.stage);
  controls(v, d);
  planePanel(v, d, row);
  widthsPanel(v, d, row);
  v.onDraw(() => caption(v, d));
  v.explain(() => explained(v, d));
}

export default { render: view(setup) };
