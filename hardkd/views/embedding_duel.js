// EmbeddingDuel: teacher's and students' features in a plane, each image with its shifted copies.
// Arrays: images (n,C,H,W) bytes; label (n,); for student i from 1: teacher{i} and student{i} (T,n,V,2) places, tail{i}
// (T,2,n) of both, gap{i} (T,n), step{i} (T,) for runs.
import { mean, percent, short, clamp } from './numbers/basics.js';
import { byClass, COPY_LINES, freeSpot, momentAt, nameSpots, pictureCorners, windowOf } from './numbers/duel.js';
import { view, make, panel } from './kit/frame.js';
import { timeline, tick, choose } from './kit/controls.js';
import {
  canvas, painter, write, writeUnknown, polyline, outlineRect, colourOf, marker, tint, PALETTE, SMALL,
} from './kit/canvas.js';
import { scatter, imageGrid, bars, lines } from './kit/charts.js';

const MODES = ['model', 'class of the image', 'shift'], BY_CLASS = 1, BY_SHIFT = 2;
// Models are 0, the teacher, and 1, the student of a pair.
const WHO = ['teacher', 'student'];

// ---------------------------------------------------------------- what all panels read

// The moments of the runs: each run shows the one that is its nearest share of the longest run.
function timeOf(v, students) {
  const { state: { moments }, place } = v, T = (s) => v.array(`tail${s}`).shape[0];
  const frame = () => (v.covered ? 0 : clamp(place.get('frame'), 0, moments - 1));
  const share = (s, f) => momentAt(T(s), moments, f);
  const steps = (s) => (v.has(`step${s}`) ? Array.from(v.array(`step${s}`).data) : Array(T(s)).fill(0));
  const longest = students.reduce((a, b) => (T(b) > T(a) ? b : a));
  const alike = students.every((s) => String(steps(s)) === String(steps(longest)));
  const times = alike ? steps(longest) : Array.from({ length: moments }, (_, f) => 100 * f / Math.max(1, moments - 1));
  return {
    T, frame, share, alike, times, moments,
    moment: (s) => share(s, frame()),
    step: (s) => steps(s)[share(s, frame())],
    when: (f) => (alike ? `step ${short(times[f])}` : `${times[f].toFixed(0)} % of the run`),
  };
}
// Places, tails and gaps at the moment that is shown.
function measuresOf(v, n, V, time) {
  const every = (f) => mean(Array.from({ length: n }, (_, i) => f(i)));
  const m = {
    at(s, who, i, k) {
      const from = ((time.moment(s) * n + i) * V + k) * 2, { data } = v.array(`${WHO[who]}${s}`);
      return [data[from], data[from + 1]];
    },
    tail: (s, who, i, t = time.moment(s)) => v.array(`tail${s}`).data[(t * 2 + who) * n + i],
    tails: (s, who, t = time.moment(s)) => every((i) => m.tail(s, who, i, t)),
    gap: (s, i) => v.array(`gap${s}`).data[time.moment(s) * n + i],
    gaps: (s) => every((i) => m.gap(s, i)),
  };
  return m;
}
function duelOf(v) {
  const { state: { names, looks, classes, shifts, runs }, place } = v, images = v.array('images'), n = images.shape[0];
  const labels = v.array('label').data, students = names.slice(1).map((_, i) => i + 1), time = timeOf(v, students);
  const one = () => clamp(place.get('student'), 1, students.length), mode = () => place.get('colour');
  const shown = () => (place.get('beside') ? students : [one()]), withTeacher = () => place.get('teacher');
  // A run each, with a teacher's projection of its own.
  const several = () => runs && shown().length > 1;
  const pairs = () => shown().flatMap((s) => [[0, s], [1, s]]);
  return {
    n, labels, students, time, one, shown, mode, withTeacher, several, order: byClass(labels), paint: painter(images),
    ...measuresOf(v, n, shifts.length, time),
    image: () => clamp(place.get('image'), 0, n - 1),
    called: (i) => classes[labels[i]],
    lookOf: (who, s) => looks[names[who && s]],
    colourOf: (who, s) => colourOf(v, looks[names[who && s]]),
    drawn: () => (withTeacher() ? [0, 1] : [1]),
    window: windowOf(students.flatMap((s) => WHO.map((who) => v.array(`${who}${s}`).data))),
    // Who has a tail of his own: [model, student] each, and how they are called.
    models: () => (several() ? pairs() : [[0, shown()[0]], ...shown().map((s) => [1, s])]),
    nameOf: ([who, s]) => (who ? names[s] : several() ? `teacher (${names[s]})` : 'teacher'),
    // Whose colour fades: by class, all images of other classes than the chosen one's.
    isFaded(i) { return mode() === BY_CLASS && labels[i] !== labels[this.image()]; },
    shade: (k) => tint((shifts[k][0] + shifts[k][1] + 4) / 8),
  };
}

function addControls(v, d) {
  const { place, state: { names } } = v;
  if (d.time.moments > 1) timeline(v, d.time.moments, d.time.when);
  const who = choose('student', names.slice(1), d.one() - 1, (i) => place.set({ student: i + 1, beside: false }));
  const beside = tick('all side by side', place.get('beside'), (on) => place.set({ beside: on }));
  const colour = choose('colour by', MODES, d.mode(), (i) => place.set({ colour: i }));
  const teacher = tick('teacher', d.withTeacher(), (on) => place.set({ teacher: on }));
  v.controls.append(...(d.students.length > 1 ? [who.node, beside.node] : []), colour.node, teacher.node);
  v.onDraw(() => {
    who.set(d.one() - 1);
    beside.set(place.get('beside'));
    colour.set(d.mode());
    teacher.set(d.withTeacher());
  });
}

// ---------------------------------------------------------------- what the marks mean

function drawDot(v, ctx, look, x, y, r, fill) {
  Object.assign(ctx, { fillStyle: fill, strokeStyle: v.colours().ink, lineWidth: 1 });
  marker(ctx, look, x, y, r);
  ctx.stroke();
}
function drawScale(v, ctx, x, y) {
  for (let i = 0; i < 48; i += 1) {
    ctx.fillStyle = tint(i / 47);
    ctx.fillRect(x + i, y - 5, 1.5, 10);
  }
  outlineRect(ctx, x, y - 5, 49, 10, v.colours().line);
}
function marksOf(v, d) {
  const { names, looks } = v.state, { ink, line } = v.colours();
  const models = [...(d.withTeacher() ? [0] : []), ...d.shown()].map((m) => names[m]);
  const dot = (name) => ({ text: name,
    draw: (ctx, x, y) => drawDot(v, ctx, looks[name], x + 7, y, 5, colourOf(v, looks[name])) });
  const stroke = (text, colour, dash, wide = 1.5) => ({ text,
    draw: (ctx, x, y) => polyline(ctx, [[x, y], [x + 16, y]], { colour, wide, dash }) });
  const marks = models.map(dot);
  if (d.withTeacher()) marks.push(stroke('a pair: the same image', line, [], 1));
  if (v.covered) return marks;
  marks.push(stroke('copies moved left and right', ink, []), stroke('up and down', ink, [2, 2]));
  if (d.mode() !== BY_SHIFT) return marks;
  marks.push({ text: 'moved by −4 to +4 pixels', wide: 56, draw: (ctx, x, y) => drawScale(v, ctx, x, y) });
  return marks;
}
// The marks in as many lines as they need.
function laidOut(ctx, marks, wide) {
  let x = 0, y = 10;
  ctx.font = SMALL;
  return marks.map((mark) => {
    const indent = mark.wide || 22, size = Math.min(wide, indent + ctx.measureText(mark.text).width + 14);
    if (x && x + size > wide) { x = 0; y += 18; }
    const place = { ...mark, x, y, indent, room: size - indent };
    x += size;
    return place;
  });
}
function addLegend(v, d) {
  const drawing = canvas(v, v.stage, {
    label: 'legend', height: (wide) => laidOut(drawing.ctx, marksOf(v, d), wide).at(-1).y + 12,
    draw(ctx, wide) {
      const marks = laidOut(ctx, marksOf(v, d), wide);
      for (const { text, draw, x, y, indent, room } of marks) {
        draw(ctx, x, y);
        write(ctx, text, x + indent, y, { colour: v.colours().ink, font: SMALL, base: 'middle', wide: room });
      }
      drawing.say(`legend: ${marks.map((mark) => mark.text).join('; ')}`);
    } });
}

// ---------------------------------------------------------------- a plane a student

// An image as it is when moved: whole pixels, what comes in is black.
function drawMoved(ctx, paint, i, [dx, dy], x, y, side) {
  const { H, W } = paint, scale = side / Math.max(H, W);
  const left = x + (side - W * scale) / 2, top = y + (side - H * scale) / 2;
  ctx.save();
  ctx.beginPath();
  ctx.rect(left, top, W * scale, H * scale);
  ctx.clip();
  ctx.fillStyle = PALETTE.black;
  ctx.fillRect(x, y, side, side);
  paint(ctx, i, x + dx * scale, y + dy * scale, side);
  ctx.restore();
}
// The copies of image i, as one of the two models sees them: a line each way, a small mark each.
function drawTail(v, ctx, d, { at }, who, i, hue) {
  const { ink, line } = v.colours(), isChosen = i === d.image(), byShift = d.mode() === BY_SHIFT;
  COPY_LINES.forEach((way, vertical) => {
    const points = way.map((k) => at(who, i, k)), dash = !vertical ? [] : isChosen ? [6, 4] : [2, 2];
    if (isChosen) polyline(ctx, points, { colour: ink, wide: 4.5, dash });
    polyline(ctx, points, { colour: hue, wide: isChosen ? 2.5 : 1, dash });
    way.forEach((k, j) => {
      if (!k) return;
      ctx.fillStyle = byShift ? d.shade(k) : hue;
      marker(ctx, { marker: vertical ? 'D' : 'o' }, ...points[j], (byShift ? 2.4 : 1.6) + isChosen * 2);
      if (!byShift && !isChosen) return;
      Object.assign(ctx, { strokeStyle: isChosen ? ink : line, lineWidth: 0.75 });
      ctx.stroke();
    });
  });
}
// Pairs, tails and points; the chosen image last, on top of all.
function drawPoints(v, ctx, d, spot) {
  const { ink, line } = v.colours(), chosen = d.image(), byShift = d.mode() === BY_SHIFT, { s, at } = spot;
  const others = d.order.filter((i) => i !== chosen), faded = others.filter((i) => d.isFaded(i));
  const ids = [...faded, ...others.filter((i) => !d.isFaded(i)), chosen];
  if (d.withTeacher()) for (const i of ids) {
    polyline(ctx, [at(0, i, 0), at(1, i, 0)], i === chosen ? { colour: ink, wide: 1.5 } : { colour: line, wide: 0.75 });
  }
  for (const group of [ids.slice(0, -1), [chosen]]) for (const who of d.drawn().reverse()) for (const i of group) {
    const own = d.colourOf(who, s), isChosen = i === chosen;
    ctx.globalAlpha = isChosen || byShift ? 1 : 0.3;                  // the other images' tails stay behind the points
    if (!v.covered) drawTail(v, ctx, d, spot, who, i, byShift || d.isFaded(i) ? line : own);
    ctx.globalAlpha = 1;
    drawDot(v, ctx, d.lookOf(who, s), ...at(who, i, 0), isChosen ? 7 : 4, d.isFaded(i) ? line : own);
  }
}
// The chosen image beside the points of its copies, as many as find room: the unmoved first, then the ends of the
// tails.
function drawPictures(v, ctx, d, { s, at, sides }) {
  const side = 24, i = d.image(), copies = v.covered ? [0] : [0, 1, 4, 5, 8, 2, 3, 6, 7];
  const corners = pictureCorners(copies.map((k) => at(1, i, k)), at(1, i, 0), side, sides);
  for (const { k, x, y } of corners) {
    drawMoved(ctx, d.paint, i, v.state.shifts[copies[k]], x, y, side);
    outlineRect(ctx, x - 1, y - 1, side + 2, side + 2, d.colourOf(1, s), 2);
  }
  return corners.map(({ x, y }) => [x + side / 2, y + side / 2, side + 4, side + 4]);
}
// The names of the classes near the middle of their points, where they cover nothing; the chosen's first, others only
// where there is room.
function drawNames(v, ctx, d, { at, sides }, taken) {
  const { ink, page } = v.colours(), { classes } = v.state, own = d.labels[d.image()], models = d.drawn();
  const dots = d.order.flatMap((i) => models.map((who) => at(who, i, 0)));
  for (const k of [own, ...new Set(d.order.map((i) => d.labels[i]))].filter((c, j) => !j || c !== own)) {
    const points = d.order.filter((i) => d.labels[i] === k).map((i) => at(models[0], i, 0));
    const font = k === own ? `600 ${SMALL}` : SMALL, middle = [0, 1].map((axis) => mean(points.map((p) => p[axis])));
    ctx.font = font;
    const wide = Math.min(96, ctx.measureText(classes[k]).width) + 8;
    const spots = nameSpots(middle, wide, sides, k === own), free = freeSpot(spots, wide, dots, taken);
    if (!free && k !== own) continue;
    const [x, y] = free || spots[1];
    taken.push([x, y, wide, 16]);
    ctx.fillStyle = page;
    ctx.globalAlpha = 0.8;
    ctx.fillRect(x - wide / 2, y - 8, wide, 16);
    ctx.globalAlpha = 1;
    if (k === own) outlineRect(ctx, x - wide / 2, y - 8, wide, 16, ink);
    write(ctx, classes[k], x, y + 0.5, { colour: ink, align: 'center', base: 'middle', wide: 96, font });
  }
}
function addPlane(v, d, row, s) {
  const { node, title } = panel(row), { names } = v.state, { time, order } = d, [across, along] = d.window;
  node.style.flex = '4 1 24rem';
  const tails = () => `tail ${short(d.tails(s, 1))}, teacher ${short(d.tails(s, 0))}`;
  v.onDraw(() => {
    node.hidden = !d.shown().includes(s);
    const step = time.alike ? '' : `, step ${time.step(s)}`;
    title.textContent = v.covered ? `${names[s]}: the images unmoved` : `${names[s]}${step}: ${tails()}`;
  });
  const draw = (ctx, X, Y) => {
    const at = (who, i, k) => { const [x, y] = d.at(s, who, i, k); return [X(x), Y(y)]; };
    const spot = { s, at, sides: [X(across[0]), X(across[1]), Y(along[1]), Y(along[0])] };
    drawPoints(v, ctx, d, spot);
    drawNames(v, ctx, d, spot, drawPictures(v, ctx, d, spot));
  };
  const nearest = ({ x, y }) => {
    const far = ([a, b]) => Math.hypot(a - x, b - y);
    const away = (i) => Math.min(...d.drawn().map((who) => far(d.at(s, who, i, 0))));
    return order.reduce((a, b) => (away(b) < away(a) ? b : a));
  };
  const next = (by) => v.place.set({ image: order[clamp(order.indexOf(d.image()) + by, 0, d.n - 1)] });
  const chosen = () => `Chosen: image ${d.image()} (${d.called(d.image())}). The arrow keys choose another.`;
  scatter(v, node, {
    name: `${names[s]} and teacher in one plane`, most: 420,
    points: () => [], span: () => ({ x: across, y: along }), down: false,
    labels: () => ['first direction', 'second direction'], extra: draw,
    drag: (point) => v.place.set({ image: nearest(point) }),
    keys: ([a, b], more) => next((a || b) * (more ? 3 : 1)),
    say: () => `${v.covered ? `${d.n} images, unmoved.` : `Mean ${tails()}.`} ${chosen()}` });
}

// ---------------------------------------------------------------- the chosen image, its copies, how long its tail is

function drawCopy(v, ctx, d, k, a) {
  const { ink, line } = v.colours(), [dx, dy] = v.state.shifts[k], far = dx || dy;
  const x = (dx / 2 + 2) * (a + 3), y = (dy / 2 + 2) * (a + 15);
  const isShaded = d.mode() === BY_SHIFT && k && !v.covered;
  drawMoved(ctx, d.paint, d.image(), [dx, dy], x, y, a);
  outlineRect(ctx, x + 0.5, y + 0.5, a - 1, a - 1, isShaded ? d.shade(k) : line, isShaded ? 3 : 1);
  const text = k ? `${far < 0 ? '−' : '+'}${Math.abs(far)}` : 'unmoved';
  write(ctx, text, x + a / 2, y + a + 11, { colour: ink, align: 'center', font: SMALL });
}
function addCopies(v, d, row) {
  const { node, title } = panel(row), side = (wide) => Math.min(44, Math.floor(wide / 5) - 3);
  node.style.flex = '1 1 12.5rem';
  v.onDraw(() => { title.textContent = `Image ${d.image()} (${d.called(d.image())}) and its copies`; });
  const drawing = canvas(v, node, {
    label: 'the copies', height: (wide) => 5 * (side(wide) + 15),
    draw(ctx, wide) {
      const a = side(wide), pitch = a + 3, small = { colour: v.colours().ink, font: SMALL, wide: 2 * pitch - 6 };
      v.state.shifts.forEach((_, k) => drawCopy(v, ctx, d, k, a));
      write(ctx, 'pixels down ↓', 3 * pitch + 3, a * 0.6, small);
      write(ctx, 'pixels right →', 3 * pitch + 3, 3 * (a + 15) + a * 0.4, small);
      drawing.say(`image ${d.image()} (${d.called(d.image())}), unmoved and moved by 2 and 4 pixels to each side`);
    } });
}
// The longest mean tail of all runs and moments.
function longestOf(d) {
  const longer = (s, t) => Math.max(d.tails(s, 0, t), d.tails(s, 1, t));
  const each = d.students.flatMap((s) => Array.from({ length: d.time.T(s) }, (_, t) => longer(s, t)));
  return Math.max(1e-6, ...each);
}
function addLengths(v, d, row, longest) {
  const groups = [], look = { color: PALETTE.aside }, lengths = (f) => d.models().map(([who, s]) => f(s, who));
  v.onDraw(() => groups.splice(0, groups.length, ...d.models().map(d.nameOf)));
  const { node } = panel(row, 'Tail length'), own = () => lengths((s, who) => d.tail(s, who, d.image()));
  node.style.flex = '1 1 12.5rem';
  node.append(make('p', {}, 'In mean distances between images: 0 is one point, 1 as far as another image.'));
  bars(v, node, { name: 'tail length', classes: groups, form: short, hidden: () => v.covered,
    series: () => [{ name: 'mean', look, values: lengths(d.tails) },
      { name: 'this image', look: { ...look, hatch: '/' }, values: own() }],
    span: () => [0, Math.max(longest, ...(v.covered ? [] : own()))] });
}
// All images; below each how long its tail is.
function addImages(v, d, row, longest) {
  const { node, title } = panel(row), full = Math.max(1, longest);
  const barred = () => d.models().filter(([who]) => who || !d.several());
  const under = { tall: 0, draw(ctx, i, x, y, wide) {
    if (v.covered) return;
    barred().forEach(([who, s], j) => {
      ctx.fillStyle = v.colours().soft;
      ctx.fillRect(x, y + 5 * j, wide, 4);
      ctx.fillStyle = d.colourOf(who, s);
      ctx.fillRect(x, y + 5 * j, wide * clamp(d.tail(s, who, i) / full, 0, 1), 4);
    });
  } };
  node.style.flex = '3 1 14rem';
  v.onDraw(() => {
    under.tall = 5 * barred().length + 2;
    title.textContent = v.covered ? 'The images; choose one' : `The images; bars: tails (full: ${short(full)})`;
  });
  const tails = (i) => d.models().map(([who, s]) => `${d.nameOf([who, s])} ${short(d.tail(s, who, i))}`).join(', ');
  imageGrid(v, node, { array: v.array('images'), name: 'images', side: 40, at: (i) => i, order: () => d.order, under,
    label: (i) => `image ${i} (${d.called(i)})${v.covered ? '' : `: tail ${tails(i)}`}` });
}

// ---------------------------------------------------------------- tails over a run

function addCourse(v, d, row) {
  const { moments, frame, share, times, alike } = d.time, { names, looks } = v.state;
  const curve = (s, who) => Array.from({ length: moments }, (_, f) => d.tails(s, who, share(s, f)));
  const curves = d.students.flatMap((s) => [1, 0].map((who) => ({ s, who, values: curve(s, who) })));
  const teacherLook = (s) => ({ ...looks.teacher, linestyle: ['-', ':', '-.'][Math.max(0, d.shown().indexOf(s)) % 3] });
  const series = () => curves.filter((c) => c.who || d.shown().includes(c.s)).map(({ s, who, values }) => ({
    name: d.nameOf([who, s]), look: who ? looks[names[s]] : teacherLook(s), values: v.covered ? [] : values }));
  const { node } = panel(row, 'How long the tails are, over the run');
  node.style.flex = '4 1 24rem';
  const chart = lines(v, node, {
    name: 'mean tail length', x: times, xlabel: alike ? "student's step" : '% of the run', ylabel: 'mean tail length',
    zero: true, tall: 200, series,
    cursor: () => (v.covered ? null : frame()),
    seek: (f) => { if (!v.covered) v.place.set({ frame: f }); },
    until: () => (v.covered ? 0 : moments) });
  v.onDraw(() => { if (v.covered && chart.width) writeUnknown(chart.ctx, chart.width / 2, 90, v.colours().ink); });
}

// ---------------------------------------------------------------- words

function captionOf(v, d) {
  const i = d.image(), { names } = v.state, { moments, frame, when } = d.time;
  const start = moments > 1 ? `${when(frame())[0].toUpperCase()}${when(frame()).slice(1)}: ` : '';
  if (v.covered) {
    return `${start}${d.n} images as the teacher and ${names.slice(1).join(', ')} see them, unmoved. `
      + 'Where do their copies, moved by 2 and 4 pixels, fall?';
  }
  const each = (f) => d.shown().map(f).join('; ');
  const first = (s) => (moments > 1 && frame() ? ` (at first ${short(d.tails(s, 1, 0))})` : '');
  const means = each((s) => `${names[s]} ${short(d.tails(s, 1))}${first(s)}, teacher ${short(d.tails(s, 0))}, `
    + `pair gap ${short(d.gaps(s))}`);
  const own = each((s) => `${names[s]} ${short(d.tail(s, 1, i))}, teacher ${short(d.tail(s, 0, i))}`);
  return `${start}${moments > 1 ? 'mean' : 'Mean'} tail length ${means}. Image ${i} (${d.called(i)}): ${own}.`;
}
function explanationOf(v, d) {
  if (v.covered) return ['Answer the question first.'];
  const i = d.image(), { names, shifts, spread, runs } = v.state;
  return [
    ...d.shown().map((s) => `${names[s]}: tail length of image ${i} = mean of |f(moved) − f(unmoved)| over its `
      + `${shifts.length - 1} copies / mean of |f(unmoved) − f(another, unmoved)| = ${short(d.tail(s, 1, i))}; `
      + `the teacher's ${short(d.tail(s, 0, i))}. Pair gap = 1 − cos(teacher, ${names[s]}) = ${short(d.gap(s, i))}; `
      + `mean over ${d.n} images ${short(d.gaps(s))}.`),
    'Lengths and gaps are measured in all directions of the features; the plane shows two of them.',
    runs ? 'The plane holds the two directions in which teacher and student spread most at the last moment: '
      + `${d.shown().map((s) => `${percent(spread[s - 1])} of the spread (${names[s]})`).join(', ')}; `
      + 'it stays the same for all moments.'
      : "The plane holds the two directions in which the teacher's features spread most, "
      + `${percent(spread[d.one() - 1])} of the spread; a student's features come into the teacher's space by ridge `
      + 'regression on unmoved images.'];
}

function setup(v) {
  const d = duelOf(v), row = make('div', { class: 'hk-row' }), longest = longestOf(d);
  addControls(v, d);
  addLegend(v, d);
  v.stage.append(row);
  for (const s of d.students) addPlane(v, d, row, s);
  addCopies(v, d, row);
  addLengths(v, d, row, longest);
  addImages(v, d, row, longest);
  if (d.time.moments > 1) addCourse(v, d, row);
  v.onDraw(() => v.caption(captionOf(v, d)));
  v.explain(() => explanationOf(v, d));
}

export default { render: view(setup) };
