// ShiftMap: who is right at every shift. Arrays: accuracy (M,S,S), agreement (M,S,S) and kl (M,S,S) with the teacher
// (model 0), images (E,C,H,W) bytes, label (E,), answers and sure (M,E,S,S) bytes: the likeliest class, how sure.
import { mean, percent, short } from './numbers/basics.js';
import { view, panel, rowOf } from './kit/frame.js';
import { button, choose } from './kit/controls.js';
import { canvas, write, PALETTE, outlineRect, colourOf, painter } from './kit/canvas.js';
import { heatGrid } from './kit/charts.js';

const MEASURES = { accuracy: 'right', agreement: 'agrees with the teacher', kl: 'KL from the teacher, nats' };
const PICTURE = 96;

// What was measured, and where the reader is among it.
function readings(v) {
  const { place, state } = v, { names, classes, max_shift: m } = state, S = 2 * m + 1, labels = v.array('label').data;
  const examples = v.array('images').shape[0];
  const d = { ...state, m, S, examples, classOf: (e) => classes[labels[e]] };
  d.measure = () => place.get('measure');
  d.inNats = () => d.measure() === 'kl';
  d.student = () => place.get('student');
  d.shift = () => ({ row: place.get('dy') + m, col: place.get('dx') + m });
  d.value = (model, { row, col }, measure = d.measure()) => v.array(measure).data[(model * S + row) * S + col];
  d.over = (model) => mean(v.array(d.measure()).data.subarray(model * S * S, (model + 1) * S * S));
  d.hidden = ({ row, col }) => v.covered && !(row === m && col === m);
  d.span = () => (d.inNats() ? [0, Math.max(0.01, ...v.array('kl').data)] : [0, 1]);
  d.form = (x) => (d.inNats() ? short(x) : percent(x));
  d.name = () => names[d.student()];
  d.gap = (cell) => d.value(d.student(), cell) - d.value(0, cell);
  d.opinion = (model) => {
    const e = place.get('image'), { row, col } = d.shift(), i = ((model * examples + e) * S + row) * S + col;
    const answer = v.array('answers').data[i];
    return { word: classes[answer], probability: v.array('sure').data[i] / 255, isCorrect: answer === labels[e] };
  };
  return d;
}

// Which student, what is measured, which example.
function controls(v, d) {
  const { place } = v, measures = Object.keys(MEASURES);
  const student = choose('student', d.names.slice(1), d.student() - 1, (i) => place.set({ student: i + 1 }));
  const measure = choose('show', measures.map((k) => MEASURES[k]), measures.indexOf(d.measure()),
    (i) => place.set({ measure: measures[i] }));
  const example = button('next image', () => place.set({ image: (place.get('image') + 1) % d.examples }));
  v.controls.append(student.node, measure.node, example);
  v.onDraw(() => {
    student.set(d.student() - 1);
    measure.set(measures.indexOf(d.measure()));
  });
}

// Three maps: teacher, student, student minus teacher.
function maps(v, d) {
  const row = rowOf(v.stage), { m, S } = d;
  const axes = { x: [-m, m], y: [-m, m], xlabel: 'dx, pixels right', ylabel: 'dy, pixels down' };
  const move = (cell) => v.place.set({ dx: cell.col - m, dy: cell.row - m });
  const map = (title, value, form, options) => {
    const p = panel(row, title());
    v.onDraw(() => { p.title.textContent = title(); });
    const words = (x) => (x === null ? 'not shown yet' : form(x));
    heatGrid(v, p.node, {
      rows: S, cols: S, at: d.shift, on: move, axes, span: d.span, name: title, form: d.form, ...options,
      values: (row, col) => value({ row, col }),
      say: (row, col) => `At (${col - m}, ${row - m}) ${words(value({ row, col }))}` });
  };
  const unlessHidden = (value) => (cell) => (d.hidden(cell) ? null : value(cell));
  map(() => d.names[0], (cell) => d.value(0, cell), d.form);
  map(d.name, unlessHidden((cell) => d.value(d.student(), cell)), d.form);
  const plus = (x) => (x > 0 ? '+' : '');
  const points = (x) => (d.inNats() ? `${plus(x)}${short(x)}` : `${(100 * x).toFixed(0)} points`);
  map(() => `${d.name()} − ${d.names[0]}`, unlessHidden(d.gap), points, {
    scale: () => (d.inNats() ? 'difference, less is better' : 'difference'), span: () => [-d.span()[1], d.span()[1]],
    form: (x) => `${plus(x)}${d.inNats() ? short(x) : (100 * x).toFixed(0)}` });
}

// One image at this shift, and what each model says of it.
function oneImage(v, d) {
  const { place } = v, below = panel(v.stage), paint = painter(v.array('images'));
  below.title.remove();
  const shifted = new OffscreenCanvas(PICTURE, PICTURE), pen = shifted.getContext('2d');
  const answerOf = (name, i) => {
    const { word, probability, isCorrect } = d.opinion(i);
    if (i > 0 && d.hidden(d.shift())) return `${name}: ?`;
    return `${isCorrect ? '✓' : '✗'} ${name}: ${word}, ${percent(probability)} sure`;
  };
  const drawing = canvas(v, below.node, {
    label: 'one image at this shift', height: () => Math.max(104, 22 * d.names.length + 14),
    draw(ctx, wide) {
      const e = place.get('image'), { ink, line } = v.colours(), scale = PICTURE / Math.max(paint.H, paint.W);
      pen.fillStyle = PALETTE.black;
      pen.fillRect(0, 0, PICTURE, PICTURE);
      paint(pen, e, place.get('dx') * scale, place.get('dy') * scale, PICTURE);
      ctx.drawImage(shifted, 2, 4);
      outlineRect(ctx, 2, 4, PICTURE, PICTURE, line);
      const answers = d.names.map(answerOf);
      answers.forEach((text, i) => {
        ctx.fillStyle = colourOf(v, d.looks[d.names[i]]);
        ctx.fillRect(112, 10 + 22 * i, 12, 12);
        write(ctx, text, 130, 20 + 22 * i, { colour: ink, wide: wide - 134 });
      });
      drawing.say(`Image of ${d.classOf(e)} moved by (${place.get('dx')}, ${place.get('dy')}). ${answers.join('; ')}`);
    } });
}

function caption(v, d) {
  const cell = d.shift(), words = (hidden, value) => (name, i) => `${name} ${i > 0 && hidden ? '?' : d.form(value(i))}`;
  const each = (hidden, value) => d.names.map(words(hidden, value)).join(', ');
  v.caption(`Moved by (${v.place.get('dx')}, ${v.place.get('dy')}): ${each(d.hidden(cell), (i) => d.value(i, cell))}. `
    + `Mean over all shifts: ${each(v.covered, d.over)}.`);
}

function explained(d) {
  const cell = d.shift(), { images: n, names } = d, i = d.student();
  const is = (model, measure) => d.value(model, cell, measure);
  if (d.hidden(cell)) return ['Answer the question first.'];
  const hits = (model) => `${names[model]} ${Math.round(n * is(model, 'accuracy'))} of ${n}`;
  const unmoved = names.map((name, k) => `${name} ${percent(d.centred[k], 1)}`).join(', ');
  return [`Accuracy at a shift: move all ${n} images by (dx, dy), count how often the likeliest class is the label.`,
    `Here: ${hits(0)}, ${hits(i)}; unmoved: ${unmoved}.`,
    `Agreement counts equal answers, right or wrong: ${percent(is(i, 'agreement'))}. KL(${names[0]} ‖ ${names[i]}) `
      + `at temperature ${d.temperature}, times its square: ${short(is(i, 'kl'))} nats.`];
}

function setup(v) {
  const d = readings(v);
  controls(v, d);
  maps(v, d);
  oneImage(v, d);
  v.onDraw(() => caption(v, d));
  v.explain(() => explained(d));
}

export default { render: view(setup) };
