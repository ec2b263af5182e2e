// HardScrub: a recorded run. Arrays: images (T,n,C,H,W) and original (n,C,H,W) bytes; teacher and student (T,n,K) bytes
// of probability; disagreement (T,n), step (T,), y (n,); widths (T,G) where the augmentor has them.
import { argmax, mean, short } from './numbers/basics.js';
import { view, make, panel, rowOf } from './kit/frame.js';
import { button, tick, choose, timeline } from './kit/controls.js';
import { canvas, write, PALETTE, colourOf, painter } from './kit/canvas.js';
import { imageGrid, bars, lines } from './kit/charts.js';

const MODELS = ['teacher', 'student'];

// What was recorded: each model's belief, its likeliest class, how much they disagree.
function recorded(v) {
  const { state, place } = v, [T, n] = v.array('images').shape, K = state.classes.length, labels = v.array('y').data;
  const d = { ...state, T, n, K, labels, steps: Array.from(v.array('step').data) };
  const bytes = (model, t, i) => v.array(model).data.subarray((t * n + i) * K, (t * n + i + 1) * K);
  const answers = Object.fromEntries(MODELS.map((model) => [model,
    Int32Array.from({ length: T * n }, (_, at) => argmax(bytes(model, 0, at)))]));
  const disagreements = v.array('disagreement').data, every = Array.from({ length: n }, (_, i) => i);
  d.frame = () => (v.covered ? 0 : place.get('frame'));
  d.other = () => (v.covered ? null : place.get('other'));
  d.image = () => place.get('image');
  d.pinned = () => place.get('pinned') || [];
  d.belief = (model, t, i) => bytes(model, t, i)[labels[i]] / 255;
  d.probabilities = (model, t, i) => Array.from(bytes(model, t, i), (p) => p / 255);
  d.answer = (model, t, i) => answers[model][t * n + i];
  d.isCorrect = (model, t, i) => d.answer(model, t, i) === labels[i];
  d.correct = (model, t) => every.filter((i) => d.isCorrect(model, t, i)).length;
  d.disagreement = (t, i) => disagreements[t * n + i];
  d.curve = Array.from({ length: T }, (_, t) => mean(Array.from(disagreements.subarray(t * n, (t + 1) * n))));
  d.order = () => {
    const pinned = d.pinned(), only = place.get('only');
    const isShown = (i) => only < 0 || labels[i] === only || pinned.includes(i);
    const ids = every.filter(isShown);
    if (place.get('sort')) ids.sort((a, b) => d.disagreement(d.frame(), b) - d.disagreement(d.frame(), a));
    return [...ids.filter((i) => pinned.includes(i)), ...ids.filter((i) => !pinned.includes(i))];
  };
  return d;
}
// The augmentor's widths, as they were and in units.
function widthsOf(v, d) {
  if (!v.has('widths')) return null;
  const { units, T } = d, { data } = v.array('widths'), width = (t, g) => data[t * units.length + g];
  const inUnits = (t, g) => `${short(width(t, g) * units[g].factor)}\u00a0${units[g].unit}`;
  const each = (t) => units.map((u, g) => ({ width: width(t, g), text: `${u.name} ±${inUnits(t, g)}` }));
  return {
    inUnits,
    columns: units.map((_, g) => Array.from({ length: T }, (__, t) => width(t, g))),
    all: (t) => each(t).map(({ text }) => text).join(', '),
    widest: (t) => each(t).sort((a, b) => b.width - a.width).slice(0, 3).map(({ text }) => text).join(', '),
  };
}

// Time, order, filter, pins, a second time to compare with.
function controls(v, d) {
  const { place } = v;
  timeline(v, d.T, (t) => `step ${d.steps[t]}`);
  const sort = tick('sort by disagreement', place.get('sort'), (on) => place.set({ sort: on }));
  const filter = choose('class', ['all', ...d.classes], 0, (k) => place.set({ only: k - 1 }));
  const isPinned = () => d.pinned().includes(d.image());
  const pin = button('Pin image', () => {
    place.set({ pinned: isPinned() ? d.pinned().filter((i) => i !== d.image()) : [...d.pinned(), d.image()] });
  });
  const compare = button('Compare with this time', () => {
    place.set({ other: place.get('other') === null ? place.get('frame') : null });
  });
  v.controls.append(sort.node, filter.node, pin, compare);
  v.onDraw(() => {
    const other = place.get('other');
    sort.set(place.get('sort'));
    filter.set(place.get('only') + 1);
    pin.textContent = isPinned() ? 'Unpin image' : 'Pin image';
    compare.textContent = other === null ? 'Compare with this time' : `Stop comparing with step ${d.steps[other]}`;
  });
}

// The images, each with how much teacher and student believe in its label.
function gridPanel(v, d, row) {
  const { node, title } = panel(row, '', 'hk-broad'), name = 'As the augmentor made them';
  let colours = null;
  v.onDraw(() => {
    colours = { soft: v.colours().soft, teacher: colourOf(v, d.looks.teacher), student: colourOf(v, d.looks.student) };
    title.textContent = v.place.get('sort') ? `${name}, most disagreement first` : name;
  });
  const words = (model, i) => d.classes[d.answer(model, d.frame(), i)];
  imageGrid(v, node, {
    array: v.array('images'), name: 'hard images', side: 52, order: d.order, at: (i) => d.frame() * d.n + i,
    border: (i) => (d.pinned().includes(i) ? PALETTE.chosen : null),
    under: { tall: 14, draw: (ctx, i, x, y, wide) => drawBeliefs(ctx, d, colours, i, { x, y, wide }) },
    label: (i) => `${d.classes[d.labels[i]]}: teacher says ${words('teacher', i)}, student ${words('student', i)}, `
      + `disagreement ${short(d.disagreement(d.frame(), i))}` });
  const key = 'Bars: belief in the label, teacher above student. A corner: teacher right, student wrong.';
  node.append(make('p', {}, key));
}
function drawBeliefs(ctx, d, colours, i, { x, y, wide }) {
  const t = d.frame();
  MODELS.forEach((model, j) => {
    ctx.fillStyle = colours.soft;
    ctx.fillRect(x, y + 6 * j, wide, 4);
    ctx.fillStyle = colours[model];
    ctx.fillRect(x, y + 6 * j, wide * d.belief(model, t, i), 4);
  });
  if (!d.isCorrect('teacher', t, i) || d.isCorrect('student', t, i)) return;
  ctx.beginPath();
  for (const [dx, dy] of [[0, -3], [-11, -3], [0, -14]]) ctx.lineTo(x + wide + dx, y + dy);
  ctx.fill();
}

// The chosen image: as it was, as it is, as it was at the other time; what both say.
function imagePanel(v, d, row) {
  const { node, title } = panel(row, '', 'hk-narrow');
  const [hard, original] = ['images', 'original'].map((name) => painter(v.array(name)));
  node.style.flexBasis = '17rem';
  v.onDraw(() => { title.textContent = `Image ${d.image()}: ${d.classes[d.labels[d.image()]]}`; });
  const hardAt = (t) => [`step ${d.steps[t]}`, hard, t * d.n + d.image()];
  canvas(v, node, {
    label: 'the chosen image', height: () => 98,
    draw(ctx, wide) {
      const side = Math.min(76, (wide - 16) / 3), look = { colour: v.colours().ink, align: 'center', wide: side + 6 };
      const shown = [['original', original, d.image()], hardAt(d.frame())];
      if (d.other() !== null) shown.push(hardAt(d.other()));
      shown.forEach(([text, paint, at], k) => {
        paint(ctx, at, k * (side + 8), 0, side);
        write(ctx, text, k * (side + 8) + side / 2, side + 14, look);
      });
    } });
  const belief = (model) => d.probabilities(model, d.frame(), d.image());
  bars(v, node, {
    classes: d.classes, top: Math.min(6, d.K), name: 'what both say', truth: () => d.labels[d.image()],
    series: () => MODELS.map((name) => ({ name, look: d.looks[name], values: belief(name) })) });
}

// Curves with the same cursor.
function curvePanels(v, d, widths) {
  const row = rowOf(v.stage), shared = {
    x: d.steps, xlabel: "student's step", cursor: d.frame, zero: true, until: () => (v.covered ? 1 : d.T),
    seek(t) { if (!v.covered) v.place.set({ frame: t }); } };
  const ofImage = (i) => Array.from({ length: d.T }, (_, t) => d.disagreement(t, i));
  const aside = { color: PALETTE.aside, linestyle: ':', marker: 'D' };
  lines(v, panel(row, 'How far apart teacher and student are').node, {
    ...shared, name: 'disagreement', ylabel: 'nats',
    series: () => [{ name: `mean of ${d.n}`, look: d.looks.augmentor, values: d.curve },
      { name: `image ${d.image()}`, look: aside, values: ofImage(d.image()) }] });
  if (!widths) return;
  lines(v, panel(row, 'How far the augmentor goes').node, {
    ...shared, name: 'learned widths', ylabel: 'width',
    series: () => d.units.map((u, g) => ({
      name: `${u.name} ${widths.inUnits(d.frame(), g)}`, look: d.looks[u.name], values: widths.columns[g] })) });
}

function caption(v, d, widths) {
  const at = (t) => `Step ${d.steps[t]}: teacher right on ${d.correct('teacher', t)} of ${d.n}, `
    + `student on ${d.correct('student', t)}; mean disagreement ${short(d.curve[t])} nats`;
  const now = d.frame(), more = widths ? `. Widest: ${widths.widest(now)}` : '';
  v.caption(d.other() === null ? `${at(now)}${more}.` : `${at(now)}. ${at(d.other())}.`);
}

function explained(d, widths) {
  const t = d.frame(), i = d.image(), sentences = [
    `Disagreement of an image = T² · KL(teacher ‖ student), both softened at T = ${d.temperature}: `
      + `image ${i} at step ${d.steps[t]}: ${short(d.disagreement(t, i))} nats.`,
    `The curve is its mean over the ${d.n} images that were watched: ${short(d.curve[t])} nats now, `
      + `${short(Math.max(...d.curve))} at most.`];
  if (widths) sentences.push('Each image is warped by a draw of its own, even between ± the width: '
    + `now ${widths.all(t)}. The draws are the same in every frame.`);
  return sentences;
}

function setup(v) {
  const d = recorded(v), widths = widthsOf(v, d), row = rowOf(v.stage);
  controls(v, d);
  gridPanel(v, d, row);
  imagePanel(v, d, row);
  curvePanels(v, d, widths);
  v.onDraw(() => caption(v, d, widths));
  v.explain(() => explained(d, widths));
}

export default { render: view(setup) };
