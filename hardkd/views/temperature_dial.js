// TemperatureDial: one image, teacher and student softened, and the gradient that KL leaves on the student's logits.
// Arrays: logits (M,n,K) float32, model 0 the teacher; images (n,C,H,W) bytes; label (n,).
import { clamp, likeliest, short } from './numbers/basics.js';
import { STOPS, finePercent, degree, firstTwo, nearestDial, power, softened } from './numbers/softened.js';
import { view, panel, rowOf } from './kit/frame.js';
import { slider, tick, choose, dragging } from './kit/controls.js';
import { canvas, FONT, SMALL, write, writeUnknown, widestText, polyline, outlineRect } from './kit/canvas.js';
import { colourOf, filling, ringed, painter } from './kit/canvas.js';
import { imageGrid, bars, drawCursor } from './kit/charts.js';

// Both models' answers at the dial and at all its stops.
function answers(v) {
  const { place, state } = v, logits = v.array('logits'), [, n, K] = logits.shape, labels = v.array('label').data;
  const d = { ...state, n, K, image: () => place.get('image'), student: () => place.get('student') };
  const logitsOf = (model) => logits.data.subarray((model * n + d.image()) * K, (model * n + d.image() + 1) * K);
  d.label = () => labels[d.image()];
  d.labelOf = (i) => state.classes[labels[i]];
  d.studentName = () => state.names[d.student()];
  d.studentLook = () => state.looks[d.studentName()];
  d.temperature = () => (v.covered ? 1 : place.get('temperature'));
  d.isSquared = () => place.get('squared');
  d.factor = (temperature = d.temperature()) => (d.isSquared() ? temperature * temperature : 1);
  d.at = (temperature) => softened(logitsOf(0), logitsOf(d.student()), temperature);
  d.now = () => d.at(d.temperature());
  d.length = () => d.now().length * d.factor();
  let key = '', all = null;
  d.all = () => {                                                     // once for an image and a student
    const now = `${d.image()} ${d.student()}`;
    if (now !== key) all = overStops(d.at);
    key = now;
    return all;
  };
  return d;
}
// At every stop; the steepest gradient, times T², of all; which classes are shown, the same at every stop; at T = 1.
function overStops(at) {
  const steps = STOPS.map(at), steepest = steps.map((x, i) => STOPS[i] ** 2 * Math.max(...x.gradient.map(Math.abs)));
  const { p, q } = at(4);
  return { steps, most: Math.max(1e-12, ...steepest), shown: likeliest([p, q], 10), one: at(1) };
}

function controls(v, d) {
  const { place } = v;
  const dial = slider('temperature T', { min: 0, max: STOPS.length - 1, value: nearestDial(d.temperature()),
    format: (i) => degree(STOPS[i]), on: (i) => place.set({ temperature: STOPS[i] }) });
  const squared = tick('times T²', d.isSquared(), (on) => place.set({ squared: on }));
  const log = tick('log axis', place.get('log'), (on) => place.set({ log: on }));
  const student = choose('student', d.names.slice(1), d.student() - 1, (i) => place.set({ student: i + 1 }));
  v.controls.append(dial.node, squared.node, log.node, ...(d.names.length > 2 ? [student.node] : []));
  v.onDraw(() => {
    dial.set(nearestDial(d.temperature()));
    squared.set(d.isSquared());
    log.set(place.get('log'));
    student.set(d.student() - 1);
  });
}

// The image and its neighbours.
function imagePanel(v, d, row) {
  const { node, title } = panel(row, 'image'), images = v.array('images'), paint = painter(images);
  node.style.flex = '1 1 11.5rem';
  const big = canvas(v, node, {
    label: 'the image', height: () => 118,
    draw(ctx) {
      paint(ctx, d.image(), 1, 1, 112);
      outlineRect(ctx, 0.5, 0.5, 113, 113, v.colours().line);
      big.say(`image ${d.image()} of ${d.labelOf(d.image())}`);
    } });
  const all = Array.from({ length: d.n }, (_, i) => i);
  imageGrid(v, node, { array: images, name: 'images, from sure to doubtful', side: 31, at: (i) => i, order: () => all,
    label: (i) => `image ${i}: ${d.labelOf(i)}` });
  v.onDraw(() => { title.textContent = `image of ${d.labelOf(d.image())}`; });
}

// What both believe; the same classes in the same order at every T.
function beliefsPanel(v, d, row) {
  const { node, title } = panel(row), { place } = v, shownNames = d.all().shown.map((k) => d.classes[k]);
  node.style.flex = '4 1 17rem';
  const values = (which) => {
    const probabilities = d.now()[which];
    return d.all().shown.map((k) => probabilities[k]);
  };
  v.onDraw(() => {
    d.all().shown.forEach((k, i) => { shownNames[i] = d.classes[k]; });
    title.textContent = `What they believe at T = ${degree(d.temperature())}${place.get('log') ? ' (log axis)' : ''}`;
  });
  return bars(v, node, {
    name: 'probabilities', classes: shownNames, log: () => place.get('log'), form: finePercent,
    truth: () => d.all().shown.indexOf(d.label()),
    series: () => [[d.names[0], 'p'], [d.studentName(), 'q']].map(([name, which]) => ({
      name, look: d.looks[name], values: values(which) })) });
}

// The gradient: at one scale for all T, so that it can be seen to grow.
function gradientPanel(v, d, row, beliefs) {
  const { node, title } = panel(row);
  node.style.flex = '4 1 17rem';
  v.onDraw(() => { title.textContent = `Gradient on the student's logits${d.isSquared() ? ', times T²' : ''}`; });
  const drawing = canvas(v, node, {
    label: 'gradient', height: () => beliefs.height || 250,
    draw(ctx, wide) {
      const { shown, most } = d.all(), pitch = (beliefs.height - 24) / shown.length, { gradient } = d.now();
      const { ink, line } = v.colours(), small = { colour: ink, font: SMALL };
      const classNames = shown.map((k) => d.classes[k]), left = Math.min(wide * 0.3, 12 + widestText(ctx, classNames));
      const room = (wide - left - 88) / 2, zero = left + 44 + room;
      const fill = filling(ctx, v, d.studentLook());
      write(ctx, '← raises the logit', zero - 8, 11, { ...small, align: 'right' });
      write(ctx, 'lowers it →', zero + 8, 11, small);
      const words = shown.map((k, i) => {
        const y = 20 + i * pitch, g = gradient[k] * d.factor(), far = clamp(g / most, -1, 1) * room;
        write(ctx, classNames[i], left - 6, y + 8, { colour: ink, align: 'right', base: 'middle', wide: left - 6 });
        ctx.fillStyle = fill;
        ctx.fillRect(zero + Math.min(0, far), y, Math.abs(far), 15);
        const text = gradientText(g, most), align = g < 0 ? 'right' : 'left';
        write(ctx, text, zero + far + (g < 0 ? -5 : 5), y + 8, { ...small, align, base: 'middle' });
        return `${classNames[i]} ${text}`;
      });
      polyline(ctx, [[zero, 16], [zero, 20 + shown.length * pitch]], { colour: line });
      drawing.say(`gradient: ${words.join(', ')}`);
    } });
}
// What is beyond the panel's edge says so.
function gradientText(g, most) {
  const beyond = g > 0 ? ' »' : ' «';
  return `${g > 0 ? '+' : ''}${short(g)}${Math.abs(g) > most * 1.001 ? beyond : ''}`;
}

const EDGE = { left: 50, right: 92, top: 8, low: 32, tall: 150 };
const [COLD, HOT] = [Math.log(STOPS[0]), Math.log(20)];

// How long the gradient is at every T, with T² and without.
function lengthPanel(v, d) {
  const below = panel(v.stage, 'How long the gradient is'), g = { room: 1 };
  g.X = (t) => EDGE.left + (Math.log(t) - COLD) / (HOT - COLD) * g.room;
  const drawing = canvas(v, below.node, {
    label: 'length of the gradient', height: () => EDGE.tall,
    draw(ctx, wide) {
      g.room = wide - EDGE.left - EDGE.right;
      const { steps } = d.all(), curves = [1, 0].map((on) => steps.map((x, i) => x.length * (on ? STOPS[i] ** 2 : 1)));
      const every = curves.flat().filter((x) => x > 0);
      g.high = Math.ceil(Math.log10(Math.max(...every, 1e-9)));
      g.bottom = Math.max(g.high - 6, Math.floor(Math.log10(Math.min(...every, 1))));
      const share = (x) => (g.high - Math.log10(Math.max(x, 10 ** g.bottom))) / (g.high - g.bottom || 1);
      g.Y = (x) => EDGE.top + share(x) * (EDGE.tall - EDGE.top - EDGE.low);
      lengthAxes(ctx, v, g);
      if (v.covered) writeUnknown(ctx, EDGE.left + g.room * 0.75, EDGE.tall / 2, v.colours().ink);
      else lengthCurves(ctx, v, d, g, curves);
      const now = () => `at T = ${degree(d.temperature())}: ${short(d.length())}`;
      drawing.say(`length of the gradient${v.covered ? ': not shown yet' : ` ${now()}`}`);
    } });
  drawing.box.style.cursor = 'ew-resize';
  dragging(drawing.box, (e) => {
    if (v.covered) return;
    const share = clamp((e.clientX - drawing.box.getBoundingClientRect().left - EDGE.left) / g.room, 0, 1);
    v.place.set({ temperature: STOPS[nearestDial(Math.exp(COLD + share * (HOT - COLD)))] });
  });
}
function lengthAxes(ctx, v, { room, high, bottom, X, Y }) {
  const { ink, soft, line } = v.colours(), small = { colour: ink, font: SMALL }, foot = EDGE.tall - EDGE.low;
  for (let e = bottom; e <= high; e += Math.ceil((high - bottom) / 4) || 1) {
    polyline(ctx, [[EDGE.left, Y(10 ** e)], [EDGE.left + room, Y(10 ** e)]], { colour: soft });
    write(ctx, power(e), EDGE.left - 5, Y(10 ** e), { ...small, align: 'right', base: 'middle' });
  }
  for (const t of [0.25, 0.5, 1, 2, 4, 8, 20]) {
    polyline(ctx, [[X(t), foot], [X(t), foot + 4]], { colour: line });
    write(ctx, String(t), X(t), EDGE.tall - 17, { ...small, align: 'center' });
  }
  write(ctx, 'temperature T', EDGE.left + room / 2, EDGE.tall - 4, { ...small, align: 'center' });
}
function lengthCurves(ctx, v, d, { room, bottom, X, Y }, curves) {
  const { ink, line } = v.colours(), look = d.studentLook(), foot = EDGE.tall - EDGE.low;
  const ends = curves.map((values, i) => {
    const active = d.isSquared() === !i, colour = active ? colourOf(v, look) : line, floor = 10 ** bottom;
    const points = values.flatMap((x, j) => (x >= floor ? [[X(STOPS[j]), Y(x)]] : []));
    polyline(ctx, points, { colour, wide: active ? 3 : 1.5, dash: i ? [4, 3] : [] });
    return { text: i ? 'without T²' : 'with T²', y: Y(values[values.length - 1]), active };
  });
  if (Math.abs(ends[0].y - ends[1].y) < 14) ends[1].y = ends[0].y + 14;
  for (const e of ends) {
    const font = `${e.active ? '600 ' : ''}${FONT}`;
    write(ctx, e.text, EDGE.left + room + 7, clamp(e.y, 8, foot), { colour: ink, base: 'middle', font });
  }
  drawCursor(ctx, X(d.temperature()), EDGE.top - 4, foot + 4, ink);
  ringed(ctx, v, look, X(d.temperature()), Y(d.length()));
}

function caption(v, d) {
  const t = d.temperature(), x = d.now(), { one } = d.all(), [a, b] = firstTwo(x.p);
  const before = t === 1 ? '' : ` (at T = 1: ${finePercent(one.p[b])})`;
  const first = `T = ${degree(t)}: the ${d.names[0]} gives ${finePercent(x.p[a])} to '${d.classes[a]}' and `
    + `${finePercent(x.p[b])} to the runner-up '${d.classes[b]}'${before}; `
    + `${d.studentName()}: ${finePercent(x.q[b])}. `;
  const kl = `KL ${short(x.kl)} nats${d.isSquared() && t !== 1 ? `, times T² ${short(x.kl * t * t)}` : ''}. `;
  const ratio = (s) => (one.length ? `${short(x.length * s / one.length)} times` : 'as nothing is');
  const length = () => (d.isSquared() ? `The gradient is ${ratio(t * t)} as long as at T = 1; without T² ${ratio(1)}.`
    : `Without T² the gradient is ${ratio(1)} as long as at T = 1; with it ${ratio(t * t)}.`);
  v.caption(first + kl + (t === 1 ? `The gradient is ${short(x.length)} long.` : length()));
}

function explained(d) {
  const t = d.temperature(), { p, q, kl, gradient, length } = d.now(), [, b] = firstTwo(p), s = d.factor();
  const times = s === 1 ? '' : `${degree(s)}·`;
  return [`Softened: p = softmax(logits / T). The runner-up ${d.classes[b]}: ${d.names[0]} p = ${short(p[b])}, `
      + `${d.studentName()} q = ${short(q[b])} at T = ${degree(t)}.`,
    `KL = Σ p·(ln p − ln q) = ${short(kl)} nats; times T² = ${degree(t * t)}: ${short(kl * t * t)}.`,
    `Gradient for its logit: ${d.isSquared() ? 'T²·' : ''}(q − p)/T = `
      + `${times}(${short(q[b])} − ${short(p[b])})/${degree(t)} = ${short(gradient[b] * s)}.`,
    `Over all ${d.K} classes its length is ${short(length * s)}; at T = 1 it is ${short(d.all().one.length)}.`];
}

function setup(v) {
  const d = answers(v);
  controls(v, d);
  const row = rowOf(v.stage);
  imagePanel(v, d, row);
  gradientPanel(v, d, row, beliefsPanel(v, d, row));
  lengthPanel(v, d);
  v.onDraw(() => caption(v, d));
  v.explain(() => explained(d));
}

export default { render: view(setup) };
