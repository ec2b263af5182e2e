// IcdMatrix: one batch as ICD sees it: similarities, softmax over rows and over columns, what each row pays; students
// turn on a circle.
// Arrays: teacher_angle (n,), student_angle (S,n) degrees; measured (S,n,n) cosines; images (n,C,H,W) bytes; label
// (n,).
// The last image is the spare one.
import { argmax, clamp, percent } from './numbers/basics.js';
import {
  RADIAN, fourFigures, wrapped, batchOf, icdTerms, icdLoss, penaltyParts, leastContrast, rightAngledContrast, onCircle,
  breakSymmetry, spreadOut,
} from './numbers/icd.js';
import { view, make, panel } from './kit/frame.js';
import { slider, tick, choose, button, dragging } from './kit/controls.js';
import {
  canvas, painter, write, writeUp, polyline, outlineRect, fillTile, outlined, colourOf, filling, marker, tint, PALETTE,
  SMALL,
} from './kit/canvas.js';

// What all panels read: the images in the batch, where their vectors stand, and ICD's numbers for this place.
function matrixOf(v) {
  const { state: { names, looks, classes }, place } = v, images = v.array('images'), n = images.shape[0], B = n - 1;
  const label = v.array('label').data, teachers = Array.from(v.array('teacher_angle').data);
  const who = () => place.get('student') - 1, row = () => clamp(place.get('row'), 0, B - 1);
  const scale = () => (v.covered ? 1 : place.get('logit_scale')), free = () => !place.get('vectors');
  const turned = () => (place.get('angles')?.length === n ? place.get('angles') : null);
  const students = () => turned() || Array.from(v.array('student_angle').data.subarray(who() * n, (who() + 1) * n));
  const similarity = (at, angles) => {
    const measured = (i, j) => scale() * v.array('measured').data[(who() * n + i) * n + j];
    const circle = () => onCircle(at.map((i) => angles[i]), at.map((i) => teachers[i]), scale());
    const cosines = free() ? circle() : at.map((i) => at.map((j) => measured(i, j)));
    return cosines.map((values) => values.map((x) => x + place.get('bias')));
  };
  // All numbers, once for a place.
  let key = '', known = null;
  const now = () => {
    const here = `${JSON.stringify(place.now)} ${v.covered}`;
    if (here === key) return known;
    key = here;
    const at = batchOf(n, place.get('duplicate')), angles = students(), L = similarity(at, angles), terms = icdTerms(L);
    known = { ...terms, L, at, angles, total: icdLoss(terms, place.get('invariance_weight')) };
    return known;
  };
  return {
    n, B, teachers, row, scale, free, students, now, paint: painter(images),
    chosen: () => now().at[row()],
    student: () => names[place.get('student')],
    called: (i) => `'${classes[label[i]]}'`,
    twice: label[0] === label[B],
    roles: () => ({ teacher: looks[names[0]], student: looks[names[place.get('student')]] }),
    // Students turned to other angles: [image, degrees] each.
    turnAll(changes, k = row()) {
      const angles = [...students()];
      for (const [i, degrees] of changes) angles[i] = wrapped(degrees);
      place.set({ angles, vectors: 0, row: k });
    },
    turn(degrees, k = row()) { if (!v.covered && free()) this.turnAll([[now().at[k], Math.round(degrees)]], k); },
  };
}

function addControls(v, m) {
  const { place, state: { names, width } } = v;
  const set = (name) => (x) => place.set({ [name]: x });
  const dial = slider('scale', { min: 0, max: 10, step: 0.1, value: place.get('logit_scale'), format: fourFigures,
    on: set('logit_scale') });
  const bias = slider('bias', { min: -5, max: 5, step: 0.5, value: place.get('bias'), format: fourFigures,
    on: set('bias') });
  const weight = slider('invariance weight', { min: 0, max: 5, step: 0.1, value: place.get('invariance_weight'),
    format: fourFigures, on: set('invariance_weight') });
  const angle = slider('turn the student', { min: -180, max: 180, value: 0, format: (x) => `${Math.round(x)}°`,
    on: (x) => m.turn(x) });
  const setStudent = (i) => place.set({ student: i + 1, angles: null });
  const whose = choose('student', names.slice(1), place.get('student') - 1, setStudent);
  const kinds = ['on the circle', `as measured, ${width} numbers`];
  const vectors = choose('vectors', kinds, place.get('vectors'), set('vectors'));
  const last = m.twice ? `a class twice: the last image is of ${m.called(0)} too`
    : `another last image (there is no second one of ${m.called(0)})`;
  const double = tick(last, place.get('duplicate'), set('duplicate'));
  const copy = button('Copy the teacher', () => m.turnAll(m.teachers.map((a, i) => [i, a])));
  const breaking = button('Break the symmetry', () => {
    const { at } = m.now(), angles = breakSymmetry(at.map((i) => m.teachers[i]), Math.max(1, m.scale()));
    m.turnAll(at.map((i, k) => [i, angles[k]]));
  });
  const whoever = names.length > 2 ? [whose.node] : [], dials = [dial, bias, weight, angle].map(({ node }) => node);
  v.controls.append(...dials, ...whoever, vectors.node, double.node, copy, breaking);
  v.onDraw(() => {
    dial.set(m.scale());
    bias.set(place.get('bias'));
    weight.set(place.get('invariance_weight'));
    angle.set(m.now().angles[m.chosen()]);
    angle.input.disabled = !m.free();
    whose.set(place.get('student') - 1);
    vectors.set(place.get('vectors'));
    double.set(place.get('duplicate'));
  });
}

// ------------------------------ the circle: teachers on it, students just inside, an image beside each teacher

const SIDE = 26, TOP = 20;
const circleOf = (wide) => {
  const side = Math.min(wide, 330), R = side / 2 - SIDE - 15;
  return { side, x: side / 2, y: TOP + side / 2, R, inner: R * 0.84 };
};
const spotAt = ({ x, y }, degrees, r) => [x + r * Math.cos(degrees * RADIAN), y - r * Math.sin(degrees * RADIAN)];

function drawCircleLegend(v, ctx, m, { side }) {
  const { teacher, student } = m.roles(), { ink } = v.colours();
  ctx.fillStyle = colourOf(v, teacher);
  marker(ctx, teacher, 8, 9, 5);
  write(ctx, 'teacher', 17, 13, { colour: ink });
  ctx.fillStyle = colourOf(v, student);
  marker(ctx, student, 76, 9, 5);
  write(ctx, m.student(), 85, 13, { colour: ink, wide: Math.max(40, side - 90) });
}
// The image beside its teacher, and what joins teacher and student.
function drawPair(v, ctx, m, i, isChosen, teacher, student, image) {
  const { ink, line } = v.colours(), [x, y] = image.map((middle) => middle - SIDE / 2);
  polyline(ctx, [teacher, image], { colour: line });
  polyline(ctx, [teacher, student], isChosen ? { colour: ink, wide: 2.5 } : { colour: line, wide: 1.2 });
  m.paint(ctx, i, x, y, SIDE);
  outlineRect(ctx, x - 0.5, y - 0.5, SIDE + 1, SIDE + 1, line);
}
function placeOption(node, m, i, isChosen, [ix, iy], teacher, student) {
  Object.assign(node.style, { left: `${ix - SIDE / 2}px`, top: `${iy - SIDE / 2}px` });
  node.tabIndex = isChosen ? 0 : -1;
  node.setAttribute('aria-selected', isChosen);
  const at = `teacher at ${Math.round(teacher)}°, student at ${Math.round(student)}°`;
  node.setAttribute('aria-label', `image ${i} of ${m.called(i)}: ${at}`);
}
function drawVectors(v, ctx, m, g, t) {
  const { at, angles } = m.now(), { page } = v.colours();
  for (const [role, r] of [['teacher', g.R], ['student', g.inner]]) at.forEach((i, k) => {
    const [x, y] = spotAt(g, role === 'teacher' ? t[k] : angles[i], r), look = m.roles()[role];
    const big = role === 'student' && k === m.row() ? 8 : 6;
    ctx.fillStyle = page;
    marker(ctx, look, x, y, big + 1.5);
    ctx.fillStyle = colourOf(v, look);
    marker(ctx, look, x, y, big);
  });
}
function drawCircle(v, ctx, m, g, options) {
  const { at, angles } = m.now(), { ink, line, soft } = v.colours(), t = at.map((i) => m.teachers[i]);
  const stands = spreadOut(t, (SIDE + 5) / (g.R + 26) / RADIAN);
  drawCircleLegend(v, ctx, m, g);
  ctx.globalAlpha = m.free() ? 1 : 0.3;
  ctx.lineWidth = 1;
  for (const [r, colour] of [[g.R, line], [g.inner, soft]]) {
    ctx.strokeStyle = colour;
    ctx.beginPath();
    ctx.arc(g.x, g.y, r, 0, 7);
    ctx.stroke();
  }
  at.forEach((i, k) => {
    const image = spotAt(g, stands[k], g.R + 26);
    drawPair(v, ctx, m, i, k === m.row(), spotAt(g, t[k], g.R), spotAt(g, angles[i], g.inner), image);
    placeOption(options[k], m, i, k === m.row(), image, t[k], angles[i]);
  });
  drawVectors(v, ctx, m, g, t);
  ctx.globalAlpha = 1;
  if (m.free()) {
    const pairs = at.map((i, k) => `image ${i} teacher ${Math.round(t[k])}°, student ${Math.round(angles[i])}°`);
    return `circle: ${pairs.join('; ')}`;
  }
  const { width } = v.state, texts = ['as measured:', `${width} numbers each,`, 'not on this circle'];
  const middle = { colour: ink, align: 'center', base: 'middle', font: '13px system-ui, sans-serif' };
  texts.forEach((text, k) => write(ctx, text, g.x, g.y - 16 + 17 * k, middle));
  return `vectors as measured, ${width} numbers each: not on this circle`;
}
// A student is turned by the pointer, from where it was grasped; an image is chosen.
function letDrag(v, m, circle, cells) {
  let held = null, slip = 0;
  const nearestStudent = (g, x, y) => {
    const away = ([a, b]) => Math.hypot(x - a, y - b);
    const far = m.now().at.map((i) => away(spotAt(g, m.now().angles[i], g.inner)));
    const near = far.indexOf(Math.min(...far));
    return far[near] < 24 ? near : null;
  };
  dragging(cells, (e, down) => {
    const box = circle.box.getBoundingClientRect(), g = circleOf(circle.width);
    const x = e.clientX - box.left, y = e.clientY - box.top;
    const pointed = Math.atan2(g.y - y, x - g.x) / RADIAN, k = [...cells.children].indexOf(e.target);
    if (!down) { if (held !== null) m.turn(pointed + slip, held); return; }
    held = k < 0 ? nearestStudent(g, x, y) : null;
    if (held === null) { if (k >= 0) v.place.set({ row: k }); return; }
    slip = m.now().angles[m.now().at[held]] - pointed;
    v.place.set({ row: held });
    cells.children[held].focus();
    e.preventDefault();
  });
  cells.addEventListener('pointerup', () => { held = null; });
  // The focus stays on the chosen image.
  cells.addEventListener('mousedown', (e) => { if (e.target === cells) e.preventDefault(); });
}
function letKeys(v, m, cells) {
  cells.addEventListener('keydown', (e) => {
    const way = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[e.key];
    const to = { Home: 0, End: m.B - 1 }[e.key] ?? (way && (m.row() + way + m.B) % m.B);
    if (to === undefined) return;
    e.preventDefault();
    if (way && e.shiftKey) {
      m.turn(m.now().angles[m.chosen()] + ({ ArrowUp: 5, ArrowRight: -5, ArrowDown: -5 }[e.key] ?? 5));
      return;
    }
    v.place.set({ row: to });
    cells.children[to].focus();
  });
}
function addCircle(v, m, parent) {
  const { node, title } = panel(parent);
  Object.assign(node.style, { flex: '1 1 15rem', maxWidth: '21rem' });
  const cells = make('div', { class: 'hk-cells', role: 'listbox',
    'aria-label': 'images in the batch; arrow keys choose one, Shift and an arrow turn its student by 5 degrees' });
  const style = `position:absolute;width:${SIDE}px;height:${SIDE}px`;
  cells.append(...Array.from({ length: m.B }, () => make('div', { role: 'option', tabindex: -1, style })));
  const circle = canvas(v, node, {
    label: 'teacher and student vectors', height: (wide) => circleOf(wide).side + TOP,
    draw: (ctx, wide) => circle.say(drawCircle(v, ctx, m, circleOf(wide), cells.children)) });
  circle.box.append(cells);
  v.onDraw(() => {
    const what = v.covered ? 'teacher and student' : m.free() ? 'drag its student' : 'as measured';
    title.textContent = `Image ${m.chosen()} of ${m.called(m.chosen())}: ${what}`;
  });
  letDrag(v, m, circle, cells);
  letKeys(v, m, cells);
  return node;
}

// ------------------------------ the three maps: a click chooses a row or, in the map of columns, a column

const MARGIN = 38, UPPER = 26;
function drawCells(v, ctx, m, { value, span, chosen }, cell) {
  const [low, high] = span(), { at } = m.now(), side = Math.min(cell - 1, 20), k = m.row();
  at.forEach((i, a) => {
    m.paint(ctx, i, MARGIN + (a + 0.5) * cell - side / 2, UPPER - 5 - side, side);
    m.paint(ctx, i, MARGIN - 5 - side, UPPER + (a + 0.5) * cell - side / 2, side);
    at.forEach((_, b) => {
      const t = (value(a, b) - low) / (high - low || 1), colour = t > 0.55 ? PALETTE.black : PALETTE.white;
      ctx.fillStyle = tint(t);
      fillTile(ctx, MARGIN + b * cell, UPPER + a * cell, MARGIN + (b + 1) * cell, UPPER + (a + 1) * cell);
      if (cell < 17 || !((chosen === 'row' && a === k) || (chosen === 'column' && b === k))) return;
      const hundredths = (100 * Math.min(value(a, b), cell < 21 ? 0.99 : 1)).toFixed(0);
      const x = MARGIN + (b + 0.5) * cell, y = UPPER + (a + 0.5) * cell + 0.5;
      write(ctx, hundredths, x, y, { colour, align: 'center', base: 'middle', font: SMALL });
    });
  });
}
// Whose rows and columns they are, which one is chosen, and what the colours mean.
function drawMapFrame(v, ctx, m, { span, form, chosen }, cell) {
  const size = cell * m.B, k = m.row(), { ink, line } = v.colours(), { teacher, student } = m.roles();
  const small = { colour: ink, font: SMALL };
  ctx.fillStyle = filling(ctx, v, teacher);
  ctx.fillRect(MARGIN, UPPER - 4, size, 3);
  ctx.fillStyle = colourOf(v, student);
  ctx.fillRect(MARGIN - 4, UPPER, 3, size);
  outlined(ctx, () => {
    if (chosen === 'column') ctx.strokeRect(MARGIN + k * cell, UPPER + 1, cell, size - 2);
    else ctx.strokeRect(MARGIN + 1, UPPER + k * cell, size - 2, cell);
  });
  writeUp(ctx, 'rows: student', 7, UPPER + size / 2, small);
  write(ctx, 'columns: teacher', MARGIN + size / 2, UPPER + size + 13, { ...small, align: 'center' });
  const y = UPPER + size + 20, [low, high] = span();
  for (let i = 0; i < 40; i += 1) {
    ctx.fillStyle = tint(i / 39);
    ctx.fillRect(MARGIN + size * i / 40, y, size / 40 + 0.6, 8);
  }
  outlineRect(ctx, MARGIN, y, size, 8, line);
  write(ctx, form(low), MARGIN, y + 20, small);
  write(ctx, form(high), MARGIN + size, y + 20, { ...small, align: 'right' });
}
// map: title, basis (how wide), value(row, column), span() of the values, form of a value, chosen (row, column or
// neither), say(chosen).
function addMap(v, m, parent, map) {
  const { node } = panel(parent, map.title), cellOf = (wide) => Math.min(wide - MARGIN - 2, 230) / m.B;
  // Many rows on a narrow page: one map below the other.
  const isAlone = () => v.stage.firstChild.clientWidth < 560 && m.B > 9;
  v.onDraw(() => { node.style.flex = isAlone() ? '1 1 100%' : map.basis; });
  const drawing = canvas(v, node, {
    label: map.title, height: (wide) => UPPER + cellOf(wide) * m.B + 46,
    draw(ctx, wide) {
      drawCells(v, ctx, m, map, cellOf(wide));
      drawMapFrame(v, ctx, m, map, cellOf(wide));
      drawing.say(`${map.title}. ${map.say(m.row())}`);
    } });
  drawing.box.style.cursor = 'pointer';
  dragging(drawing.box, (e) => {
    const box = drawing.box.getBoundingClientRect(), cell = cellOf(drawing.width);
    const at = map.chosen === 'column' ? e.clientX - box.left - MARGIN : e.clientY - box.top - UPPER;
    v.place.set({ row: clamp(Math.floor(at / cell), 0, m.B - 1) });
  });
}
function addMaps(v, m, parent) {
  const pair = make('div', { class: 'hk-row', style: 'flex:2 1 19rem;gap:.75rem .6rem;min-width:0' });
  const peak = (values) => {
    const best = argmax(values), i = m.now().at[best];
    const largest = `the largest is that of image ${i} of ${m.called(i)}, ${percent(values[best], 1)}`;
    return `its own ${percent(values[m.row()], 1)}, ${largest}`;
  };
  const reach = () => Math.max(m.scale(), 1e-3), bias = () => v.place.get('bias');
  addMap(v, m, parent, {
    title: 'Similarity L', basis: '1 1 9rem', chosen: '', value: (a, b) => m.now().L[a][b],
    form: (x) => fourFigures(x).replace('-', '−'),
    span: () => [Math.min(0, bias()) - reach(), Math.max(0, bias()) + reach()],
    say: (k) => `Row ${m.now().at[k]}: ${m.now().L[k].map(fourFigures).join(', ')}` });
  parent.append(pair);
  const softmaxed = { basis: '1 1 8rem', span: () => [0, 1], form: percent };
  addMap(v, m, pair, { ...softmaxed, title: 'Row softmax', chosen: 'row', value: (a, b) => m.now().rows[a][b],
    say: (k) => `Student ${m.now().at[k]} among teachers: ${peak(m.now().rows[k])}` });
  addMap(v, m, pair, { ...softmaxed, title: 'Column softmax', chosen: 'column', value: (a, b) => m.now().columns[b][a],
    say: (k) => `Teacher ${m.now().at[k]} among students: ${peak(m.now().columns[k])}` });
}

// ---------------------------------------------------------------- what each row pays, and the sum

const PAY = { left: 34, low: 26, head: 32, tall: 158 };
function drawPayAxes(v, ctx, wide, most, Y) {
  const { ink, line, soft } = v.colours(), { looks } = v.state;
  let x = PAY.left;
  for (const [name, what] of [['contrast', 'row'], ['penalty', 'column vs row']]) {
    const text = wide < 340 ? name : `${name} (${what})`;
    ctx.fillStyle = filling(ctx, v, looks[name]);
    ctx.fillRect(x, 3, 14, 10);
    write(ctx, text, x + 19, 12, { colour: ink, wide: wide - x - 20 });
    x += ctx.measureText(text).width + 30;
  }
  for (const y of [0, most / 2, most]) {
    polyline(ctx, [[PAY.left, Y(y)], [wide, Y(y)]], { colour: y ? soft : line });
    const nats = String(Number(y.toPrecision(2)));
    write(ctx, nats, PAY.left - 5, Y(y), { colour: ink, font: SMALL, align: 'right', base: 'middle' });
  }
}
function drawPays(v, ctx, m, slot, Y) {
  const { contrast, penalty, at } = m.now(), { ink } = v.colours(), bar = Math.min(slot * 0.38, 30);
  at.forEach((i, k) => {
    const middle = PAY.left + (k + 0.5) * slot;
    [['contrast', contrast[k], -bar - 1], ['penalty', penalty[k], 1]].forEach(([name, value, shift]) => {
      ctx.fillStyle = filling(ctx, v, v.state.looks[name]);
      ctx.fillRect(middle + shift, Y(value), bar, Y(0) - Y(value));
      if (slot <= 58) return;
      const nats = String(Number(value.toFixed(2)));
      write(ctx, nats, middle + shift + bar / 2, Y(value) - 4, { colour: ink, font: SMALL, align: 'center' });
    });
    m.paint(ctx, i, middle - 10, PAY.tall - 22, 20);
    if (k === m.row()) outlineRect(ctx, middle - 11, PAY.tall - 23, 22, 22, ink, 2);
  });
}
function addPays(v, m, parent) {
  const { node } = panel(parent, 'What each row pays, nats'), atChance = Math.log(m.B);
  const slotOf = (wide) => (wide - PAY.left - 4) / m.B;
  node.style.flex = '1 1 100%';
  const drawing = canvas(v, node, {
    label: 'contrast and penalty of each row', height: () => PAY.tall,
    draw(ctx, wide) {
      const { contrast, penalty, at } = m.now(), most = Math.max(atChance, ...contrast, ...penalty) * 1.02;
      const Y = (x) => PAY.head + (1 - clamp(x / most, 0, 1)) * (PAY.tall - PAY.head - PAY.low);
      drawPayAxes(v, ctx, wide, most, Y);
      drawPays(v, ctx, m, slotOf(wide), Y);
      const level = [[PAY.left, Y(atChance)], [wide, Y(atChance)]];
      polyline(ctx, level, { colour: v.colours().ink, wide: 1.2, dash: [2, 3] });
      const each = at.map((i, k) => `image ${i} ${fourFigures(contrast[k])} and ${fourFigures(penalty[k])}`).join('; ');
      drawing.say(`contrast and penalty: ${each}; chance ${fourFigures(atChance)}`);
    } });
  drawing.box.style.cursor = 'pointer';
  dragging(drawing.box, (e) => {
    const x = e.clientX - drawing.box.getBoundingClientRect().left - PAY.left;
    v.place.set({ row: clamp(Math.floor(x / slotOf(drawing.width)), 0, m.B - 1) });
  });
}
function sumOf({ contrast, penalty, weight, loss }) {
  const [c, p, w, total] = [contrast, penalty, weight, loss].map(fourFigures);
  return `${c} + ${w} · ${p} = ${total}`;
}
function addSums(v, m, parent) {
  const written = Array.from({ length: 4 }, () => make('p'));
  parent.append(...written);
  v.onDraw(() => {
    const { total } = m.now();
    const texts = [`mean contrast ${fourFigures(total.contrast)}`, `mean penalty ${fourFigures(total.penalty)}`,
      `loss = ${sumOf(total)}`,
      `dotted: chance, ln ${m.B} = ${fourFigures(Math.log(m.B))}`];
    texts.forEach((text, i) => { written[i].textContent = text; });
  });
}

// ---------------------------------------------------------------- words

function captionOf(v, m) {
  const { rows, columns, at, total } = m.now(), { B } = m, bias = v.place.get('bias');
  const [byRow, byColumn] = [rows, columns].map((all) => all.filter((p, k) => argmax(p) === k).length);
  const many = (count, all) => (count === B ? `${all} ${B}` : `${count} of ${B}`);
  const sentences = [
    `${m.student()} at scale ${fourFigures(m.scale())}: contrast ${fourFigures(total.contrast)} `
    + `(chance ${fourFigures(Math.log(B))}), penalty ${fourFigures(total.penalty)}, loss ${sumOf(total)}.`,
    `${many(byRow, 'All')} students find their own teacher (rows), ${byRow === byColumn ? 'and' : 'but'} `
    + `${many(byColumn, 'all')} teachers their own student (columns).`];
  if (Math.abs(total.penalty) < 1e-6) sentences.push('L is symmetric: columns say what rows say.');
  if (bias) sentences.push(`The bias moves every entry by ${fourFigures(bias)}; neither softmax notices.`);
  if (v.place.get('duplicate') && m.twice) {
    const both = `Images ${at[0]} and ${at[B - 1]} are both of ${m.called(0)}`;
    sentences.push(`${both}, yet each counts as wrong for the other.`);
  }
  return sentences.join(' ');
}
function explanationOf(v, m) {
  const { rows, columns, contrast, penalty, at } = m.now(), k = m.row(), s = m.scale(), { B } = m;
  const parts = penaltyParts(m.now(), k), j = argmax(parts.map(Math.abs)), c = fourFigures(columns[k][j]);
  return [
    `Row of image ${at[k]}: contrast = −ln (its row's softmax at its own teacher) = −ln ${fourFigures(rows[k][k])} = `
    + `${fourFigures(contrast[k])}.`,
    `Its penalty = Σ c·(ln c − ln r), c: its teacher's column over the ${B} students, r: its own row over the ${B} `
    + `teachers. The term that weighs most, image ${at[j]}: ${c}·(ln ${c} − ln ${fourFigures(rows[k][j])}) = `
    + `${fourFigures(parts[j])}; all together ${fourFigures(penalty[k])}.`,
    `All entries equal: contrast ln ${B} = ${fourFigures(Math.log(B))}. Cosines end at 1 and −1, so at scale `
    + `${fourFigures(s)} it never falls below ln(1 + ${B - 1}·e^(−2·${fourFigures(s)})) = `
    + `${fourFigures(leastContrast(B, s))}; where the others are at right angles (cosine 0) it is `
    + `ln(1 + ${B - 1}·e^(−${fourFigures(s)})) = ${fourFigures(rightAngledContrast(B, s))}.`,
    `The bias ${fourFigures(v.place.get('bias'))} is added to all ${B * B} entries; a softmax only knows differences, `
    + 'so contrast and penalty stay, and its gradient is 0.',
    `Trained is τ, scale = exp(τ) clamped to at most 10${s > 0 ? `; here τ = ${fourFigures(Math.log(s))}` : ''}. `
    + 'Above τ = ln 10 = 2.303 its gradient is exactly 0: this loss cannot bring it back.'];
}

function setup(v) {
  const m = matrixOf(v), above = make('div', { class: 'hk-row' });
  const right = make('div', { class: 'hk-row hk-panel', style: 'flex:3 1 20rem;min-width:0' });
  v.place.on((changed) => {
    if (changed.includes('student') && !changed.includes('angles')) v.place.set({ angles: null });
  });
  addControls(v, m);
  v.stage.append(above);
  const left = addCircle(v, m, above);
  above.append(right);
  addMaps(v, m, right);
  addPays(v, m, right);
  addSums(v, m, left);
  v.onDraw(() => v.caption(captionOf(v, m)));
  v.explain(() => explanationOf(v, m));
}

export default { render: view(setup) };
