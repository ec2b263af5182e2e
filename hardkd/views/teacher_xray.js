// TeacherXray: what teachers ignore. Arrays: reach (M,G,4): width in its unit, and how far on the axis, with an
// interval; widths (G,W) of the slider; shares (M or M+1,G,W) of images that keep their class, NaN where not read, the
// reference last; pictures (G,W,n,C,H,W) bytes; answers (M,G,W,n) classes.
import { clamp, percent, short } from './numbers/basics.js';
import { lastKnown, logShare, logSpan, lowestShare, powersOfTwo } from './numbers/kept.js';
import { view, make, panel, rowOf, keysMove } from './kit/frame.js';
import { slider, choose, dragging, onArrows } from './kit/controls.js';
import { canvas, write, writeUnknown, widestText, polyline, SMALL, FONT, PALETTE } from './kit/canvas.js';
import { colourOf, dashes, disc, marker, ringed } from './kit/canvas.js';
import { imageGrid, drawCursor } from './kit/charts.js';

const percentOf = (share) => percent(share, 1).replace(' ', '\u00a0');

// What was recorded, and where the reader is in it.
function recorded(v) {
  const { state, place } = v, { names, generators } = state, M = names.length, G = generators.length;
  const [, , W, n] = v.array('answers').shape, { data: said } = v.array('answers');
  const reach = v.array('reach').data, widths = v.array('widths').data, shares = v.array('shares').data;
  const d = { ...state, M, G, W, n, who: state.reference ? [...names, state.reference] : names };
  d.hides = () => v.covered && M === 1;             // which change it is, is the question
  d.generator = () => (d.hides() ? 0 : place.get('generator'));
  d.step = () => (d.hides() ? 0 : place.get('step'));
  d.unit = (g) => (generators[g].unit === '°' ? '°' : `\u00a0${generators[g].unit}`.trimEnd());
  d.far = (m, g) => reach.subarray((m * G + g) * 4 + 1, (m * G + g) * 4 + 4);
  d.reached = (m, g) => `${state.whole[m][g] ? '≥' : '±'}${short(reach[(m * G + g) * 4])}${d.unit(g)}`;
  d.width = (g, w) => `±${short(widths[g * W + w])}${d.unit(g)}`;
  d.curve = (m, g) => Array.from(shares.subarray((m * G + g) * W, (m * G + g + 1) * W));
  d.answer = (m, i, w = d.step(), g = d.generator()) => said[((m * G + g) * W + w) * n + i];
  d.changed = (m, i, w) => d.answer(m, i, w) !== d.answer(m, i, 0);
  d.share = (m, g, w) => {
    const share = d.curve(m, g)[w];
    return Number.isFinite(share) ? percentOf(share) : `less than ${percentOf(state.keeps)}`;
  };
  d.far1 = Array.from({ length: M * G }, (_, k) => Array.from(d.far(Math.floor(k / G), k % G))).flat();
  d.span = logSpan(d.far1);
  return d;
}
const go = (v, d, changes) => {
  if (v.covered) return;
  const generator = clamp(changes.generator ?? d.generator(), 0, d.G - 1);
  v.place.set({ generator, step: clamp(changes.step ?? d.step(), 0, d.W - 1) });
};

function controls(v, d) {
  const kinds = choose('change', d.generators.map(({ name }) => name), d.generator(), (generator) => {
    go(v, d, { generator });
  });
  const far = slider('how far', { min: 0, max: d.W - 1, value: d.step(), on: (step) => go(v, d, { step }),
    format: (w) => d.width(d.generator(), w) });
  v.controls.append(kinds.node, far.node);
  v.onDraw(() => {
    kinds.set(d.generator());
    far.set(d.step());
  });
}

// ---------------------------------------------------------------- how far each model lets each change go

const CHART = { line: 18, row: 24, low: 34, right: 6 };
const CHOSEN = `600 ${FONT}`;

function chartPanel(v, d, row) {
  const { node, title } = panel(row, '', 'hk-xray');
  node.style.flex = '1 1 17rem';
  title.textContent = d.reference ? `How far it may go, times ${d.reference}`
    : 'How far it may go, of the most that makes sense';
  let g = {};
  const drawing = canvas(v, node, {
    label: 'how far each change may go',
    height(wide) {
      g = chartPlaces(drawing.ctx, d, wide);
      return g.head + d.G * CHART.row + CHART.low;
    },
    draw(ctx) {
      chartFrame(ctx, v, d, g);
      if (v.covered) writeUnknown(ctx, g.left + 0.8 * g.room, g.head + d.G * CHART.row / 2, v.colours().ink);
      else for (let k = 0; k < d.G; k += 1) chartRow(ctx, v, d, g, k);
      chartNames(ctx, v, d, g);
      const text = chartWords(v, d);
      drawing.say(text);
      area.setAttribute('aria-label', text);
    } });
  const area = make('div', keysMove('chart; up and down choose a change, left and right how far it goes'));
  drawing.box.append(area);
  area.style.cursor = 'pointer';
  dragging(area, (e) => {
    const y = e.clientY - area.getBoundingClientRect().top - g.head;
    go(v, d, { generator: Math.floor(y / CHART.row) });
  });
  onArrows(area, ([dx, dy], far) => go(v, d, { generator: d.generator() + dy, step: d.step() + dx * (far ? 3 : 1) }));
}
function chartPlaces(ctx, d, wide) {
  const left = Math.min(wide * 0.35, 14 + widestText(ctx, d.generators.map(({ name }) => name), CHOSEN));
  const texts = d.generators.map((_, k) => rowWords(d, k));
  const numbers = Math.min(wide * 0.4, widestText(ctx, texts, SMALL));
  const room = wide - left - numbers - 12 - CHART.right, legend = legendPlaces(ctx, d, wide);
  const X = (x) => left + 6 + (room - 12) * (d.reference ? logShare(x, d.span) : clamp(x, 0, 1));
  return { left, room, wide, X, legend, head: (legend[d.M - 1].line + 1) * CHART.line + 4 };
}
// Where each model's name stands: side by side, as long as there is room.
function legendPlaces(ctx, d, wide) {
  let x = 0, line = 0;
  return d.names.map((name) => {
    const room = Math.min(widestText(ctx, [name]) + 28, wide);
    if (x && x + room > wide + 8) [x, line] = [0, line + 1];
    x += room;
    return { x: x - room, line, room };
  });
}
// A change in its own unit: two numbers, or the least and the most of many.
function rowWords(d, k) {
  const reached = d.names.map((_, m) => d.reached(m, k));
  if (new Set(reached).size === 1) return reached[0];
  if (d.M < 3) return reached.join(', ').replace(`${d.unit(k)}, `, ', ');
  const order = d.names.map((_, m) => m).sort((a, b) => d.far(a, k)[0] - d.far(b, k)[0]);
  return `${reached[order[0]].replace(d.unit(k), '')} to ${reached[order[d.M - 1]].replace('±', '')}`;
}
function chartFrame(ctx, v, d, { left, room, wide, head, X }) {
  const { ink, line, soft } = v.colours(), { row, low } = CHART, bottom = head + d.G * row;
  ctx.fillStyle = soft;
  if (!d.hides()) ctx.fillRect(0, head + d.generator() * row, wide, row);
  for (let k = 0; k <= d.G; k += 1) {
    const y = head + k * row;
    polyline(ctx, [[left, y], [left + room, y]], { colour: soft });
  }
  const marks = d.reference ? powersOfTwo(...d.span) : [[0, '0'], [0.5, '50 %'], [1, '100 %']];
  const crowded = d.reference && X(2) - X(1) < 26;
  for (const [x, text] of marks) {
    if (crowded && Math.log2(x) % 2) continue;
    const isOne = d.reference && x === 1;
    polyline(ctx, [[X(x), head], [X(x), bottom + 4]], { colour: isOne ? ink : line, wide: isOne ? 1.5 : 0.5 });
    write(ctx, text, X(x), bottom + 16, { colour: ink, align: 'center', font: SMALL });
  }
  const ends = d.reference ? ['minds it more', 'ignores it'] : ['minds it', 'ignores it'];
  if (room > 180) write(ctx, `← ${ends[0]}`, left, bottom + low - 4, { colour: ink, font: SMALL });
  write(ctx, `${ends[1]} →`, left + room, bottom + low - 4, { colour: ink, font: SMALL, align: 'right' });
}
function chartRow(ctx, v, d, { X, left, room, head }, k) {
  const pitch = Math.min(6, (CHART.row - 8) / d.M), middle = head + (k + 0.5) * CHART.row;
  d.names.forEach((name, m) => {
    const [far, from, to] = d.far(m, k), y = middle + (m - (d.M - 1) / 2) * pitch, colour = colourOf(v, d.looks[name]);
    polyline(ctx, [[X(from), y], [X(to), y]], { colour, wide: 2 });
    ctx.fillStyle = colour;
    marker(ctx, d.looks[name], X(far), y, 4);
  });
  write(ctx, rowWords(d, k), left + room + 8, middle, { colour: v.colours().ink, base: 'middle', font: SMALL });
}
// Who is who, above; the changes, at the left.
function chartNames(ctx, v, d, { left, legend, head }) {
  const { ink } = v.colours();
  d.names.forEach((name, m) => {
    const { x, line, room } = legend[m], y = line * CHART.line;
    ctx.fillStyle = colourOf(v, d.looks[name]);
    marker(ctx, d.looks[name], x + 6, y + 9, 5);
    write(ctx, name, x + 16, y + 13, { colour: ink, wide: room - 18 });
  });
  d.generators.forEach(({ name }, k) => {
    const font = k === d.generator() && !d.hides() ? CHOSEN : FONT, y = head + (k + 0.5) * CHART.row;
    write(ctx, name, 6, y, { colour: ink, base: 'middle', font, wide: left - 8 });
  });
}
function chartWords(v, d) {
  const k = d.generator(), { name } = d.generators[k];
  if (v.covered) return `${name}: not shown yet`;
  const far = (m) => (d.reference ? `${short(d.far(m, k)[0])} times ${d.reference}` : percent(d.far(m, k)[0]));
  return `${name}: ${d.names.map((who, m) => `${who} ${d.reached(m, k)}, ${far(m)}`).join('; ')}`;
}

// ---------------------------------------------------------------- the images, and what is said of them

const LINE = 15;

function imagesPanel(v, d, parent) {
  const { node, title } = panel(parent);
  v.onDraw(() => {
    const k = d.generator(), now = `${d.generators[k].name} ${d.width(k, d.step())}`;
    title.textContent = d.hides() ? 'Untouched' : `${now}; boxed: changed its mind`;
  });
  imageGrid(v, node, {
    array: v.array('pictures'), name: 'changed images', order: () => Array.from({ length: d.n }, (_, i) => i),
    columns: (wide) => (wide < 44 * d.n ? Math.ceil(d.n / 2) : d.n),
    at: (i) => (d.generator() * d.W + d.step()) * d.n + i,
    under: { tall: d.M * LINE + 2, draw: (ctx, i, x, y, wide) => drawAnswers(ctx, v, d, i, { x, y, wide }) },
    label: (i) => `image ${i}: ${v.covered ? 'answers not shown yet' : imageWords(d, i)}` });
}
function answerWords(d, who, m, i) {
  const now = d.classes[d.answer(m, i)];
  if (!d.changed(m, i, d.step())) return `${who} says ${now}`;
  return `${who} has changed its mind from ${d.classes[d.answer(m, i, 0)]} to ${now}`;
}
const imageWords = (d, i) => d.names.map((who, m) => answerWords(d, who, m, i)).join(', ');
function drawAnswers(ctx, v, d, i, { x, y, wide }) {
  const { ink, page } = v.colours();
  d.names.forEach((name, m) => {
    const middle = y + (m + 0.5) * LINE + 1, colour = colourOf(v, d.looks[name]);
    const changed = !v.covered && d.changed(m, i, d.step());
    if (changed) {
      ctx.fillStyle = ink;
      ctx.fillRect(x, middle - LINE / 2 + 0.5, wide, LINE - 1);
      disc(ctx, x + 8, middle, 6.5, page);
    }
    ctx.fillStyle = colour;
    marker(ctx, d.looks[name], x + 8, middle, 4);
    const text = v.covered ? '?' : d.classes[d.answer(m, i)];
    write(ctx, text, x + 18, middle, { colour: changed ? page : ink, base: 'middle', wide: wide - 20,
      font: changed ? `600 ${FONT}` : FONT });
  });
}

// ---------------------------------------------------------------- the share of images that keep their class

const CURVE = { left: 40, low: 34, top: 10, tall: 170 };
const ASIDE = { color: PALETTE.aside, linestyle: ':', marker: 'D' };

function curvePanel(v, d, parent) {
  const { node, title } = panel(parent);
  const count = d.images.toLocaleString('en'), asked = percentOf(d.keeps);
  v.onDraw(() => { title.textContent = `Class kept, of ${count} images (dotted: ${asked} asked)`; });
  const g = {};
  const drawing = canvas(v, node, {
    label: 'share of images that keep their class',
    height: () => CURVE.tall,
    draw(ctx, wide) {
      Object.assign(g, curvePlaces(ctx, d, wide));
      curveFrame(ctx, v, d, g);
      if (v.covered) writeUnknown(ctx, CURVE.left + g.room / 2, CURVE.tall / 2, v.colours().ink);
      else drawCurves(ctx, v, d, g);
      if (!d.hides()) drawCursor(ctx, g.X(d.step()), CURVE.top - 4, CURVE.tall - CURVE.low + 4, v.colours().ink);
      drawing.say(v.covered ? 'share of images that keep their class: not shown yet' : shareWords(d));
    } });
  drawing.box.style.cursor = 'ew-resize';
  dragging(drawing.box, (e) => {
    const x = e.clientX - drawing.box.getBoundingClientRect().left - CURVE.left;
    go(v, d, { step: Math.round(x / g.room * (d.W - 1)) });
  });
}
function curvePlaces(ctx, d, wide) {
  const k = d.generator(), ends = d.who.map((_, m) => endWords(d, m, k));
  const right = clamp(18 + widestText(ctx, ends), 30, wide * 0.42);
  const room = wide - CURVE.left - right, low = lowestShare(d.who.flatMap((_, m) => d.curve(m, k)), d.keeps);
  const Y = (share) => CURVE.top + (1 - share) / (1 - low) * (CURVE.tall - CURVE.top - CURVE.low);
  return { room, right, low, Y, X: (w) => CURVE.left + room * w / (d.W - 1) };
}
const endWords = (d, m, k) => (m < d.M ? `${d.names[m]} ${d.reached(m, k)}` : d.reference);
function curveFrame(ctx, v, d, { room, low, X, Y }) {
  const { ink, line, soft } = v.colours(), k = d.generator(), small = { colour: ink, font: SMALL };
  for (const share of [1, (1 + low) / 2, low]) {
    polyline(ctx, [[CURVE.left, Y(share)], [CURVE.left + room, Y(share)]], { colour: soft });
    write(ctx, percent(share), CURVE.left - 5, Y(share), { ...small, align: 'right', base: 'middle' });
  }
  polyline(ctx, [[CURVE.left, Y(d.keeps)], [CURVE.left + room, Y(d.keeps)]], { colour: line, dash: [2, 3] });
  const every = room < 260 ? 5 : 3;
  for (let w = d.W - 1; w >= 0; w -= every) {
    write(ctx, d.width(k, w).slice(1).replace(d.unit(k), ''), X(w), CURVE.tall - 18, { ...small, align: 'center' });
  }
  const name = `${d.generators[k].name}, ±${d.unit(k)}`;
  write(ctx, name, CURVE.left + room / 2, CURVE.tall - 4, { ...small, align: 'center' });
}
function drawCurves(ctx, v, d, g) {
  const k = d.generator(), { ink } = v.colours();
  const ends = d.who.map((name, m) => {
    const look = m < d.M ? d.looks[name] : ASIDE, colour = colourOf(v, look);
    const shares = d.curve(m, k), last = lastKnown(shares);
    const points = shares.slice(0, last + 1).map((share, w) => [g.X(w), g.Y(share)]);
    polyline(ctx, points, { colour, wide: 2, dash: dashes(look) });
    if (d.step() <= last) ringed(ctx, v, look, ...points[d.step()], 4);
    return { text: endWords(d, m, k), from: points[last], y: points[last][1], look, colour };
  });
  ends.sort((p, q) => p.y - q.y || q.from[0] - p.from[0]);
  ends.forEach((e, i) => { e.y = Math.max(e.y, i ? ends[i - 1].y + 15 : CURVE.top); });
  ends.reverse().forEach((e, i, r) => { e.y = Math.min(e.y, i ? r[i - 1].y - 15 : CURVE.tall - CURVE.low); });
  const edge = CURVE.left + g.room;
  for (const e of ends) {
    ctx.fillStyle = e.colour;
    marker(ctx, e.look, edge + 9, e.y, 4);
    write(ctx, e.text, edge + 17, e.y, { colour: ink, base: 'middle', wide: g.right - 18 });
  }
}
function shareWords(d) {
  const k = d.generator(), w = d.step();
  return `At ${d.generators[k].name} ${d.width(k, w)} the class is kept on: `
    + `${d.who.map((name, m) => `${name} ${d.share(m, k, w)}`).join(', ')}.`;
}

// ---------------------------------------------------------------- in words

function caption(v, d) {
  const k = d.generator(), i = clamp(v.place.get('image'), 0, d.n - 1);
  if (!v.covered) v.caption(`${shareWords(d)} Image ${i}: ${byAnswer(d, i)}.`);
  else if (d.hides()) v.caption(`${d.n} of ${d.images} images, as they are.`);
  else v.caption(`Images changed by ${d.generators[k].name} ${d.width(k, d.step())}: who still sees what it saw?`);
}
// Who says what of an image: '8 (A, B), 0 (C)'.
function byAnswer(d, i) {
  const answers = [...new Set(d.names.map((_, m) => d.answer(m, i)))];
  if (answers.length === 1) return `${d.M > 1 ? 'all say' : 'it says'} ${d.classes[answers[0]]}`;
  const who = (answer) => d.names.filter((_, m) => d.answer(m, i) === answer).join(', ');
  return answers.map((answer) => `${d.classes[answer]} (${who(answer)})`).join(', ');
}
function explained(d) {
  const k = d.generator(), { name } = d.generators[k];
  const far = (m) => {
    const [x, low, high] = Array.from(d.far(m, k), short);
    return `${d.names[m]} ${x} (${low} to ${high})`;
  };
  const sentences = [
    `${name} up to ±w: each image is changed by a draw of its own, and the draw grows with w; nothing else changes.`,
    `How far: the largest w at which a model gives ${percentOf(d.keeps)} of the images the class that it gave them `
      + `untouched. ${d.names.map((who, m) => `${who} ${d.reached(m, k)}`).join(', ')}.`];
  if (d.reference) sentences.push(`Times ${d.reference}: that w, divided by the w of ${d.reference}: `
    + `${d.names.map((_, m) => far(m)).join('; ')}. Intervals: 95 % of 400 samples of the images, with replacement.`);
  return [...sentences, 'A curve ends where it was clear that too many are lost; no label is looked at.'];
}

function setup(v) {
  const d = recorded(v), row = rowOf(v.stage), right = make('div', { class: 'hk-panel' });
  controls(v, d);
  chartPanel(v, d, row);
  right.style.flex = '1 1 25rem';
  row.append(right);
  imagesPanel(v, d, right);
  curvePanel(v, d, right);
  v.onDraw(() => caption(v, d));
  v.explain(() => explained(d));
}

export default { render: view(setup) };
