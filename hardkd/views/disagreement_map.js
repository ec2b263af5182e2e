// DisagreementMap: disagreement over two kinds of warps. Arrays: disagreement (S,n,G,G), the teacher's change (n,G,G),
// its sure (n,G,G), probs (M,n,G,G,K) bytes, images (n,C,H,W) bytes, label (n,), back (G*G,6): where the pixels of a
// cell look; with a recorded run step (T,) and cloud (T,2), the augmentor's widths in parts of the map's reach. Image n
// is one that the kernel sent.
import { argmax, clamp, mean, percent, short } from './numbers/basics.js';
import { SURE, bestCell, hardnessOf, inReach, meanRow } from './numbers/planes.js';
import { warped } from './warp.js';
import { view, make, panel, rowOf } from './kit/frame.js';
import { button, choose, timeline } from './kit/controls.js';
import { canvas, FONT, write, PALETTE, outlineRect, outlined, veil, colourOf, dashes, painter } from './kit/canvas.js';
import { heatGrid, bars } from './kit/charts.js';

// ---------------------------------------------------------------- numbers

// One image's numbers: sent with the view, or what the kernel answered.
function plane(v) {
  const { state, place } = v, { names, axes } = state, G = axes[0].at.length, A = G * G, K = state.classes.length;
  const [n, C, H, W] = v.array('images').shape, S = names.length - 1, size = C * H * W;
  const d = { ...state, G, A, n, S, shape: [C, H, W], asked: null };
  const part = (name, index, length) => v.array(name).data.subarray(index * length, (index + 1) * length);
  const answered = (name, index, length) => d.asked[name].data.subarray(index * length, (index + 1) * length);
  const from = (i, name, sent, asked, length) => (i < n ? part(name, sent, length) : answered(name, asked, length));
  d.shown = () => {
    if (place.get('image') < n) return place.get('image');
    return d.asked ? n : 0;
  };
  d.student = () => place.get('student');
  d.disagreement = (i, s = d.student()) => from(i, 'disagreement', (s - 1) * n + i, s - 1, A);
  d.teacherChange = (i) => from(i, 'change', i, 0, A);
  d.sureBytes = (i) => from(i, 'sure', i, 0, A);
  d.picture = (i) => (i < n ? part('images', i, size) : d.asked.image.data);
  d.label = (i) => (i < n ? v.array('label').data[i] : d.asked.label);
  const probs = (i, model, k) => from(i, 'probs', (model * n + i) * A + k, model * A + k, K);
  d.probabilities = (i, model, k) => Array.from(probs(i, model, k), (b) => b / 255);
  d.back = (k) => part('back', k, 6);
  d.cloud = (t) => part('cloud', t, 2);
  return Object.assign(d, fields(v, d), places(v, d));
}
// What the map shows: the mean of the images, or one of them.
function fields(v, d) {
  const isMean = () => v.place.get('mean'), { n, A, S } = d;
  const means = { sure: meanRow(n, A, d.sureBytes), teacherChange: meanRow(n, A, d.teacherChange),
    disagreement: Array.from({ length: S }, (_, s) => meanRow(n, A, (i) => d.disagreement(i, s + 1))) };
  const field = () => (isMean() ? means.disagreement[d.student() - 1] : d.disagreement(d.shown()));
  const isSure = (k) => (isMean() ? means.sure : d.sureBytes(d.shown()))[k] >= SURE;
  const highest = (s) => Math.max(...(isMean() ? means.disagreement[s] : d.disagreement(d.shown(), s + 1)));
  return {
    isMean, means, field, isSure,
    change: () => (isMean() ? means.teacherChange : d.teacherChange(d.shown())),
    best: () => bestCell(field(), isSure),
    ceiling: () => Math.max(1e-6, ...Array.from({ length: S }, (_, s) => highest(s))),
    terms(i, k) {
      const disagreement = d.disagreement(i)[k], change = d.teacherChange(i)[k];
      return [['disagreement', disagreement, d.names[d.student()]], ['teacher’s change of mind', change, d.names[0]],
        ['hardness', hardnessOf(disagreement, change, d.weight), 'augmentor']];
    },
  };
}
// Cells, and the one that is looked at: chosen, or else the middle while the question is open, later the cell with the
// most.
function places(v, { G, axes }) {
  const sign = (x) => (x > 0 ? '+' : x < 0 ? '−' : '');
  const number = (x) => `${sign(x)}${short(Math.abs(Number(x.toFixed(6))))}`;
  const along = (a, i) => `${a.name} ${number(a.at[i])} ${a.unit}`;
  const cellOf = (k) => ({ row: Math.floor(k / G), col: k % G });
  return {
    number, cellOf,
    index: ({ row, col }) => row * G + col,
    spot: ({ row, col }) => `${along(axes[0], col)}, ${along(axes[1], row)}`,
    here() {
      const row = v.place.get('row'), best = v.covered ? -1 : this.best();
      if (row !== null) return { row, col: v.place.get('col') };
      return best < 0 ? { row: (G - 1) / 2, col: (G - 1) / 2 } : cellOf(best);
    },
    now() { return this.index(this.here()); },
  };
}

// ---------------------------------------------------------------- the question and the controls

// The reader's mark, and what it is worth.
function judgeMark(v, d) {
  let waiting = v.covered;
  v.mark = () => v.place.get('mark');
  v.judge = ([row, col]) => {
    const { sure, disagreement: [field] } = d.means, k = d.index({ row, col });
    const best = bestCell(field, (i) => sure[i] >= SURE);
    const start = `Your mark at ${d.spot({ row, col })}:`;
    if (sure[k] < SURE) return `${start} there the teacher is not sure.`;
    return `${start} ${short(field[k])} nats, ${percent(field[k] / field[best])} of the most there is.`;
  };
  v.onDraw(() => {
    if (!waiting || v.covered) return;
    waiting = false;
    v.place.set({ row: null, col: null });
  });
}

function controls(v, d) {
  const { place } = v, set = (changes) => () => place.set(changes);
  const student = choose('student', d.names.slice(1), d.student() - 1, (i) => place.set({ student: i + 1 }));
  const maps = [`mean of ${d.n} images`, 'this image'];
  const whose = choose('map', maps, d.isMean() ? 0 : 1, (i) => place.set({ mean: i === 0 }));
  const next = button('next image', () => place.set({ image: (d.shown() + 1) % d.n }));
  const most = button('go to the most', set({ row: null, col: null }));
  v.controls.append(most, next, whose.node, ...(d.S > 1 ? [student.node] : []), askKernel(v, d));
  v.onDraw(() => {
    student.set(d.student() - 1);
    whose.set(d.isMean() ? 0 : 1);
  });
  if (v.has('cloud')) timeline(v, v.array('step').shape[0], (i) => `step ${v.array('step').data[i]}`);
}
// Any image of the data, which the kernel looks at.
function askKernel(v, d) {
  const last = d.available - 1;
  const index = make('input', { type: 'number', min: 0, max: last, value: 0, style: 'width: 6em' });
  const ask = button('ask the kernel', async () => {
    const answer = await v.ask({ index: clamp(Math.round(Number(index.value) || 0), 0, last) });
    if (!answer) return;
    d.asked = answer;
    v.place.set({ image: d.n, mean: false, index: answer.index });
    v.draw();
  });
  const style = 'display: inline-flex; gap: .4rem; flex-wrap: wrap';
  return make('span', { style }, make('label', {}, `image 0 to ${last}`, index), ask);
}

// ---------------------------------------------------------------- the map

// Hatched where the teacher is not sure, with the augmentor's cloud, the mark and the maximum.
function mapPanel(v, d, row) {
  const { node, title } = panel(row, '', 'hk-broad'), { G } = d;
  const whose = () => (d.isMean() ? `mean of ${d.n} images` : 'this image');
  const name = () => `KL(${d.names[0]} ‖ ${d.names[d.student()]}), nats, ${whose()}`;
  const axis = (a) => [d.number(a.at[0]), d.number(a.at[G - 1]), '0'], label = (a) => `${a.name}, ${a.unit}`;
  const valueAt = (k) => (v.covered ? 'not shown yet' : `${short(d.field()[k])} nats`);
  const words = (k) => `${valueAt(k)}, the teacher is ${d.isSure(k) ? 'sure' : 'not sure'}`;
  node.style.flex = '2 1 24rem';
  heatGrid(v, node, {
    rows: G, cols: G, most: 340, at: () => d.here(), name, span: () => [0, d.ceiling()],
    form: (x) => (x && x < 0.1 ? x.toExponential(0) : short(x)),
    values: (r, c) => (v.covered ? null : d.field()[r * G + c]),
    on: (cell) => v.place.set({ ...cell, ...(v.covered ? { mark: [cell.row, cell.col] } : {}) }),
    axes: { x: axis(d.axes[0]), y: axis(d.axes[1]), xlabel: label(d.axes[0]), ylabel: label(d.axes[1]) },
    extra: (ctx, X, Y, cell) => drawOver(ctx, v, d, { X, Y, cell, x: X(-0.5), y: Y(-0.5), side: G * cell }),
    say: (r, c) => `${d.spot({ row: r, col: c })}: ${words(r * G + c)}` });
  v.onDraw(() => { title.textContent = name(); });
  const cloud = v.has('cloud') ? '; green frame: as far as the augmentor goes' : '';
  const key = `hatched: the teacher is not sure any more${cloud}`;
  node.append(make('p', { style: 'margin-top: .5rem; font-size: 12px' }, key));
}
function drawOver(ctx, v, d, g) {
  const best = v.covered ? -1 : d.best(), mark = v.place.get('mark'), { X, Y } = g;
  ctx.save();
  ctx.beginPath();
  ctx.rect(g.x, g.y, g.side, g.side);
  ctx.clip();
  drawUnsure(ctx, v, d, g);
  outlined(ctx, () => drawBorder(ctx, d, g));
  if (v.has('cloud') && !v.covered) drawCloud(ctx, v, d, g);
  ctx.restore();
  if (best >= 0) {
    const { row, col } = d.cellOf(best);
    drawStar(ctx, X(col), Y(row), 9, 5);
    drawFlag(ctx, 'most', X(col), Y(row) - 13);
  }
  if (!mark) return;
  drawStar(ctx, X(mark[1]), Y(mark[0]), 8, 4);
  drawFlag(ctx, 'you', X(mark[1]), Y(mark[0]) + 14);
}
function drawUnsure(ctx, v, d, { x, y, side, cell }) {
  ctx.beginPath();
  for (let k = 0; k < d.A; k += 1) {
    const { row, col } = d.cellOf(k);
    if (!d.isSure(k)) ctx.rect(x + col * cell, y + row * cell, cell + 0.5, cell + 0.5);
  }
  veil(ctx, x, y, side, v.colours().dark && v.covered);
}
// The border of where the teacher is sure.
function drawBorder(ctx, { A, G, isSure, cellOf }, { x, y, cell }) {
  ctx.beginPath();
  for (let k = 0; k < A; k += 1) {
    const { row, col } = cellOf(k), east = x + (col + 1) * cell, south = y + (row + 1) * cell;
    if (col + 1 < G && isSure(k) !== isSure(k + 1)) {
      ctx.moveTo(east, south - cell);
      ctx.lineTo(east, south);
    }
    if (row + 1 < G && isSure(k) !== isSure(k + G)) {
      ctx.moveTo(east - cell, south);
      ctx.lineTo(east, south);
    }
  }
  ctx.stroke();
}
function drawCloud(ctx, v, d, { X, Y, cell, x, y }) {
  const middle = (d.G - 1) / 2, [rx, ry] = Array.from(d.cloud(v.place.get('frame')), (w) => w * middle * cell);
  const left = X(middle) - rx, top = Y(middle) - ry, look = d.looks.augmentor;
  const frame = (colour, wide) => outlineRect(ctx, left, top, 2 * rx, 2 * ry, colour, wide);
  frame(PALETTE.black, 5);
  frame(PALETTE.white, 3.5);
  ctx.setLineDash(dashes(look));
  frame(colourOf(v, look), 2.5);
  ctx.setLineDash([]);
  drawFlag(ctx, 'augmentor', Math.max(x, left) - 3, rx > 60 ? Math.max(y, top) + 12 : top - 9);
}
function drawFlag(ctx, text, x, y) {
  const far = x > 270, at = x + (far ? -9 : 9);
  ctx.font = `600 ${FONT}`;
  ctx.textAlign = far ? 'right' : 'left';
  ctx.textBaseline = 'middle';
  ctx.lineWidth = 3;
  ctx.strokeStyle = PALETTE.black;
  ctx.strokeText(text, at, y);
  ctx.fillStyle = PALETTE.white;
  ctx.fillText(text, at, y);
}
function drawStar(ctx, x, y, r, points) {
  ctx.beginPath();
  for (let i = 0; i < 2 * points; i += 1) {
    const a = Math.PI * (i / points - 0.5), far = i % 2 ? r * 0.45 : r;
    ctx.lineTo(x + far * Math.cos(a), y + far * Math.sin(a));
  }
  ctx.closePath();
  ctx.lineWidth = 3;
  ctx.strokeStyle = PALETTE.black;
  ctx.stroke();
  ctx.fillStyle = PALETTE.white;
  ctx.fill();
}

// ---------------------------------------------------------------- one cell

// The image there, and its loss terms.
function cellPanel(v, d, row) {
  const { node, title } = panel(row, ''), held = { data: new Uint8Array(d.picture(0).length), shape: d.shape };
  const paint = painter(held), side = (wide) => Math.min(wide, 190);
  node.style.flex = '1 1 15rem';
  const drawing = canvas(v, node, {
    label: 'image in this cell', height: (wide) => side(wide) + 128,
    draw(ctx, wide) {
      const i = d.shown(), k = d.now(), terms = d.terms(i, k), size = side(wide);
      warped(d.picture(i), d.shape, d.back(k), held.data);
      paint(ctx, 0, 1, 1, size - 2);
      outlineRect(ctx, 0.5, 0.5, size - 1, size - 1, v.colours().line);
      drawTerms(ctx, v, d, terms, size + 12, wide);
      const words = v.covered ? '' : terms.map(([name, value]) => `${name} ${short(value)}`).join(', ');
      drawing.say(`Image of ${d.classes[d.label(i)]} at ${d.spot(d.here())}. ${words}`);
    } });
  const numbered = () => (d.shown() < d.n ? `${d.shown() + 1} of ${d.n}` : v.place.get('index'));
  v.onDraw(() => { title.textContent = `image ${numbered()}, in this cell`; });
}
function drawTerms(ctx, v, d, terms, top, wide) {
  const { ink, soft } = v.colours(), far = Math.max(...terms.map(([, value]) => Math.abs(value)), 1e-6);
  const zero = terms[2][1] < 0 && !v.covered ? wide * 0.35 : 0, room = wide - zero - 56;
  const before = ['', `− ${short(d.weight)} × `, '= '], long = (value) => value / far * (value < 0 ? zero - 46 : room);
  terms.forEach(([name, value, who], j) => {
    const y = top + 38 * j, hidden = v.covered && j !== 1, length = hidden ? 0 : long(value);
    write(ctx, `${before[j]}${name}`, 0, y + 8, { colour: ink, wide });
    ctx.fillStyle = soft;
    ctx.fillRect(zero, y + 13, 1, 14);
    ctx.fillStyle = colourOf(v, d.looks[who]);
    ctx.fillRect(zero + Math.min(0, length), y + 14, Math.abs(length), 12);
    const end = value < 0 ? zero + 4 : zero + Math.max(0, length) + 5;
    write(ctx, hidden ? '?' : short(value), end, y + 20, { colour: ink, base: 'middle' });
  });
}
// Both opinions of it; only the teacher's while the question is open.
function opinionsPanel(v, d, row) {
  const { node, title } = panel(row, '');
  const values = (m) => d.probabilities(d.shown(), m, d.now());
  const opinion = (m) => ({ name: d.names[m], look: d.looks[d.names[m]], values: values(m) });
  const series = () => seenModels(v, d).map(opinion);
  bars(v, node, { classes: d.classes, truth: () => d.label(d.shown()), series });
  v.onDraw(() => { title.textContent = v.covered ? `what ${d.names[0]} says there` : 'what they say there'; });
}
const seenModels = (v, d) => (v.covered ? [0] : [0, d.student()]);

// ---------------------------------------------------------------- words

function caption(v, d) {
  const i = d.shown(), k = d.now(), sure = d.isSure(k);
  const answer = (m) => {
    const p = d.probabilities(i, m, k);
    return `${d.names[m]} says ${d.classes[argmax(p)]} (${percent(Math.max(...p))})`;
  };
  const all = seenModels(v, d).map(answer).join(', ');
  const start = `At ${d.spot(d.here())}, image of ${d.classes[d.label(i)]}: ${all}.`;
  if (!v.covered) return v.caption(`${start} ${mostWords(d, k, sure)}${cloudWords(v, d)}`);
  const on = d.isMean() ? ` on ${percent(d.means.sure[k] / 255)} of ${d.n} images` : '';
  return v.caption(`${start} The teacher is ${sure ? '' : 'not '}sure there${on}.`);
}
function mostWords(d, k, sure) {
  const best = d.best(), field = d.field();
  if (best < 0) return 'The teacher is sure nowhere.';
  return `Most while the teacher is sure: ${short(field[best])} nats at ${d.spot(d.cellOf(best))}; `
    + `here ${short(field[k])}${sure ? '' : ', but the teacher is not sure here'}.`;
}
function cloudWords(v, d) {
  if (!v.has('cloud')) return '';
  const t = v.place.get('frame'), shares = d.cloud(t);
  const widths = d.axes.map((a, j) => `${a.name} ±${short(inReach(a, shares[j]))} ${a.unit}`).join(', ');
  return ` The augmentor at step ${v.array('step').data[t]}: ${widths}.`;
}

function explained(v, d) {
  if (v.covered) return ['Answer the question first.'];
  const [disagreement, change, hardness] = d.terms(d.shown(), d.now()).map(([, value]) => short(value));
  const mostly = d.isMean() ? `, for at least half of the ${d.n} images` : '', w = short(d.weight), T = d.temperature;
  return [`Disagreement: KL(${d.names[0]} ‖ ${d.names[d.student()]}) of the answers softened at temperature ${T}, `
      + `times ${T}². Here, for this image: ${disagreement} nats.`,
    "The teacher's change of mind: the same between its answers on this image and on the untouched one: "
      + `${change} nats.`,
    `Hardness = disagreement − ${w} × change = ${disagreement} − ${w} × ${change} = ${hardness} nats: `
      + 'what the augmentor climbs.',
    `Sure: its answer on the untouched image still has at least 50 %${mostly}. Over the whole map, `
      + `the mean disagreement is ${short(mean(d.field()))}, the mean change ${short(mean(d.change()))}.`];
}

function setup(v) {
  const d = plane(v);
  judgeMark(v, d);
  controls(v, d);
  const row = rowOf(v.stage);
  mapPanel(v, d, row);
  cellPanel(v, d, row);
  opinionsPanel(v, d, row);
  v.onDraw(() => caption(v, d));
  v.explain(() => explained(v, d));
}

export default { render: view(setup) };
