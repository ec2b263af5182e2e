// ShiftMap: who is right at every shift. Arrays: accuracy (M,S,S), agreement (M,S,S) and kl (M,S,S) with the teacher (model 0),
// images (E,C,H,W) bytes, said and sure (M,E,S,S) bytes: the likeliest class and its probability, label (E,).
import { percent, short } from './numbers/basics.js';
import { panel, view } from './kit/frame.js';
import { button, choose } from './kit/controls.js';
import { canvas, write, colourOf, painter } from './kit/canvas.js';
import { heatGrid } from './kit/charts.js';

const MEASURES = { accuracy: 'right', agreement: 'agrees with the teacher', kl: 'KL from the teacher, nats' };

function setup(v) {
  const { state, place } = v, { names, looks, classes, max_shift: m, centred } = state, S = 2 * m + 1, M = names.length;
  const measures = Object.keys(MEASURES), images = v.array('images'), paint = painter(images);
  const value = (model, row, col, measure = place.get('measure')) => v.array(measure).data[(model * S + row) * S + col];
  const hidden = (row, col) => v.covered && !(row === m && col === m);
  const span = () => (place.get('measure') === 'kl' ? [0, Math.max(0.01, ...v.array('kl').data)] : [0, 1]);
  const form = (x) => (place.get('measure') === 'kl' ? short(x) : percent(x));
  const here = () => ({ row: place.get('dy') + m, col: place.get('dx') + m });
  const move = ({ row, col }) => place.set({ dx: col - m, dy: row - m });
  const axes = { x: [-m, m], y: [-m, m], xlabel: 'dx, pixels right', ylabel: 'dy, pixels down' };
  const at = (row, col) => `At (${col - m}, ${row - m})`;

  // Controls: which student, what is measured, which example.
  const student = choose('student', names.slice(1), place.get('student') - 1, (i) => place.set({ student: i + 1 }));
  const measure = choose('show', measures.map((k) => MEASURES[k]), measures.indexOf(place.get('measure')), (i) => place.set({ measure: measures[i] }));
  const example = button('next image', () => place.set({ image: (place.get('image') + 1) % images.shape[0] }));
  v.controls.append(student.node, measure.node, example);
  v.onDraw(() => { student.set(place.get('student') - 1); measure.set(measures.indexOf(place.get('measure'))); });

  // Three maps: teacher, student, student minus teacher.
  const row = panel(v.stage).node;
  row.className = 'hk-row'; row.replaceChildren();
  const map = (title, options) => {
    const p = panel(row, title());
    v.onDraw(() => { p.title.textContent = title(); });
    heatGrid(v, p.node, { rows: S, cols: S, at: here, on: move, axes, form, span, name: title, ...options });
  };
  const chosen = () => place.get('student');
  map(() => names[0], { values: (r, c) => value(0, r, c), say: (r, c) => `${at(r, c)} ${form(value(0, r, c))}` });
  map(() => names[chosen()], { values: (r, c) => (hidden(r, c) ? null : value(chosen(), r, c)), say: (r, c) => `${at(r, c)} ${hidden(r, c) ? 'not shown yet' : form(value(chosen(), r, c))}` });
  const gap = (r, c) => value(chosen(), r, c) - value(0, r, c);
  map(() => `${names[chosen()]} − ${names[0]}`, {
    values: (r, c) => (hidden(r, c) ? null : gap(r, c)), scale: 'difference', span: () => [-span()[1], span()[1]],
    form: (x) => (place.get('measure') === 'kl' ? short(x) : `${x > 0 ? '+' : ''}${(100 * x).toFixed(0)}`),
    say: (r, c) => `${at(r, c)} ${hidden(r, c) ? 'not shown yet' : place.get('measure') === 'kl' ? short(gap(r, c)) : `${(100 * gap(r, c)).toFixed(0)} points`}` });

  // One image at this shift, and what everybody says of it.
  const below = panel(v.stage);
  below.title.remove();
  const label = (e) => classes[v.array('label').data[e]];
  const opinion = (model) => {
    const e = place.get('image'), { row: r, col: c } = here(), i = ((model * images.shape[0] + e) * S + r) * S + c;
    return { name: classes[v.array('said').data[i]], sure: v.array('sure').data[i] / 255, right: v.array('said').data[i] === v.array('label').data[e] };
  };
  const shifted = new OffscreenCanvas(96, 96), pen = shifted.getContext('2d');
  const drawing = canvas(v, below.node, {
    label: 'one image at this shift', height: () => Math.max(104, 22 * M + 14),
    draw(ctx, wide) {
      const e = place.get('image'), { ink, line } = v.colours(), scale = 96 / Math.max(paint.H, paint.W), { row: r, col: c } = here();
      pen.fillStyle = '#000'; pen.fillRect(0, 0, 96, 96);
      paint(pen, e, place.get('dx') * scale, place.get('dy') * scale, 96);
      ctx.drawImage(shifted, 2, 4); ctx.strokeStyle = line; ctx.strokeRect(2, 4, 96, 96);
      const says = names.map((name, i) => {
        const { name: word, sure, right } = opinion(i), covered = i > 0 && hidden(r, c);
        const text = covered ? `${name}: ?` : `${right ? '✓' : '✗'} ${name}: ${word}, ${percent(sure)} sure`;
        ctx.fillStyle = colourOf(v, looks[name]); ctx.fillRect(112, 10 + 22 * i, 12, 12);
        write(ctx, text, 130, 20 + 22 * i, { colour: ink, wide: wide - 134 });
        return text;
      });
      drawing.say(`Image of ${label(e)} moved by (${place.get('dx')}, ${place.get('dy')}). ${says.join('; ')}`);
    } });

  v.onDraw(() => {
    const { row: r, col: c } = here(), dx = c - m, dy = r - m, everybody = names.map((n, i) => (i > 0 && hidden(r, c) ? `${n} ?` : `${n} ${form(value(i, r, c))}`));
    const over = names.map((n, i) => (i > 0 && v.covered ? `${n} ?` : `${n} ${form(v.array(place.get('measure')).data.subarray(i * S * S, (i + 1) * S * S).reduce((a, b) => a + b, 0) / S / S)}`));
    v.caption(`Moved by (${dx}, ${dy}): ${everybody.join(', ')}. Mean over all shifts: ${over.join(', ')}.`);
  });
  v.explain(() => {
    const { row: r, col: c } = here(), n = state.images, i = chosen();
    if (hidden(r, c)) return ['Answer the question first.'];
    return [`Accuracy at a shift: move all ${n} images by (dx, dy), count how often the likeliest class is the label.`,
      `Here: ${names[0]} ${Math.round(n * value(0, r, c, 'accuracy'))} of ${n}, ${names[i]} ${Math.round(n * value(i, r, c, 'accuracy'))} of ${n}; unmoved: ${names.map((name, k) => `${name} ${percent(centred[k], 1)}`).join(', ')}.`,
      `Agreement counts equal answers, right or wrong: ${percent(value(i, r, c, 'agreement'))}. KL(${names[0]} ‖ ${names[i]}) at temperature ${state.temperature}, times its square: ${short(value(i, r, c, 'kl'))} nats.`];
  });
}

export default { render: view(setup) };
