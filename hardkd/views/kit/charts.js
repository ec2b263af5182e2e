// Charts that answer to pointer and keys: image grids, maps, bars, lines, planes, and a sheet to draw on.
import { clamp, percent, argmax, short, likeliest } from '../numbers/basics.js';
import { make, keysMove } from './frame.js';
import { dragging, onArrows } from './controls.js';
import { canvas, FONT, SMALL, write, writeUp, writeUnknown, widestText } from './canvas.js';
import { PALETTE, polyline, outlineRect, fillTile, crosshair, colourOf, filling, dashes, marker } from './canvas.js';
import { painter, tint, grey } from './canvas.js';

// ---------------------------------------------------------------- image grids

// A grid of images with something under each, one of them selected (place.image).
// array: bytes (T,n,C,H,W) or (n,C,H,W); at(id): which image of the array it is; order(): image ids in reading order;
// under: {tall, draw(ctx, id, x, y, wide)}; label(id): for a screen reader; border(id): its colour, or null;
// columns(wide): how many in a row, where not as many as fit.
export function imageGrid(v, parent, options) {
  const { array, name, order, label, side = 56, under = { tall: 0, draw() {} }, border = () => null } = options;
  const paint = painter(array), cells = make('div', { class: 'hk-cells', role: 'listbox', 'aria-label': name });
  const g = { shown: [], cols: 1, pitch: side };
  const measure = (wide) => {
    g.shown = order();
    const fit = options.columns ? options.columns(wide) : Math.floor(wide / side);
    g.cols = clamp(fit, 2, Math.max(2, Math.min(16, g.shown.length)));
    g.pitch = wide / g.cols;
  };
  const drawing = canvas(v, parent, {
    label: name,
    height(wide) {
      measure(wide);
      return Math.max(1, Math.ceil(g.shown.length / g.cols)) * (Math.min(g.pitch, 96) + under.tall + 4);
    },
    draw(ctx) {
      gridImages(ctx, g, (id) => options.at(id), { paint, under, border });
      gridCells(cells, g, v.place.get('image'), label);
    } });
  drawing.box.append(cells);
  gridAnswers(v, cells, g, label, options.on || ((image) => v.place.set({ image })));
  return drawing;
}
function gridImages(ctx, { shown, cols, pitch }, at, { paint, under, border }) {
  const inner = Math.min(pitch, 96) - 4, step = inner + 8 + under.tall;
  shown.forEach((id, i) => {
    const x = (i % cols) * pitch + (pitch - inner) / 2, y = Math.floor(i / cols) * step + 2, colour = border(id);
    paint(ctx, at(id), x, y, inner);
    if (colour) outlineRect(ctx, x + 1, y + 1, inner - 2, inner - 2, colour, 3);
    under.draw(ctx, id, x, y + inner + 2, inner);
  });
}
// One element for each image, for focus and screen readers.
function gridCells(cells, { shown, cols }, image, label) {
  while (cells.children.length < shown.length) cells.append(make('div', { role: 'option', tabindex: -1 }));
  while (cells.children.length > shown.length) cells.lastChild.remove();
  const columns = `repeat(${cols}, 1fr)`, chosen = Math.max(0, shown.indexOf(image));
  if (cells.style.gridTemplateColumns !== columns) cells.style.gridTemplateColumns = columns;
  shown.forEach((id, i) => {
    const node = cells.children[i], here = i === chosen;
    if (node.getAttribute('aria-selected') !== String(here)) {
      node.setAttribute('aria-selected', here);
      node.tabIndex = here ? 0 : -1;
    }
    if (here || !node.hasAttribute('aria-label')) node.setAttribute('aria-label', label(id));
  });
}
function gridAnswers(v, cells, g, label, on) {
  const indexOf = (node) => [...cells.children].indexOf(node);
  const pick = (i) => {
    on(g.shown[clamp(i, 0, g.shown.length - 1)]);
    cells.children[g.shown.indexOf(v.place.get('image'))]?.focus();
  };
  cells.addEventListener('focusin', (e) => {
    const i = indexOf(e.target);
    if (i >= 0) e.target.setAttribute('aria-label', label(g.shown[i]));
  });
  cells.addEventListener('click', (e) => { if (indexOf(e.target) >= 0) pick(indexOf(e.target)); });
  cells.addEventListener('keydown', (e) => {
    const i = g.shown.indexOf(v.place.get('image')), last = g.shown.length - 1;
    const rows = { ArrowUp: i - g.cols, ArrowDown: i + g.cols };
    const to = { ArrowLeft: i - 1, ArrowRight: i + 1, ...rows, Home: 0, End: last }[e.key];
    if (to === undefined) return;
    e.preventDefault();
    if (to >= 0 && to <= last) pick(to);
  });
}

// ---------------------------------------------------------------- maps

const HEAT = { left: 40, low: 34, top: 4, bar: 12, right: 58 };

// A map of values over a grid with a crosshair that pointer and arrows move.
// values(row, col) in units of span [low, high], or null where nothing is to be seen yet; at(): {row, col};
// on({row, col}) when the reader goes there;
// axes: {x: [first, last, middle], y: [first, last, middle], xlabel, ylabel} (the middle is their mean unless given);
// extra(ctx, toX, toY, cell) draws on top; say(row, col): what a screen reader hears.
export function heatGrid(v, parent, options) {
  const { rows, cols, at, on, extra, say, most = 250 } = options;
  const name = () => (typeof options.name === 'function' ? options.name() : options.name);
  const side = (wide) => Math.min(wide - HEAT.left - HEAT.right, most);
  const drawing = canvas(v, parent, {
    label: name(),
    height: (wide) => side(wide) * rows / cols + HEAT.top + HEAT.low,
    draw(ctx, wide) {
      const size = side(wide), cell = size / cols, g = { size, cell, tall: cell * rows }, { row, col } = at();
      const X = (c) => HEAT.left + (c + 0.5) * cell, Y = (r) => HEAT.top + (r + 0.5) * cell;
      heatTiles(ctx, v, g, options);
      extra?.(ctx, X, Y, cell);
      crosshair(ctx, X(col), Y(row), Math.max(cell * 0.7, 6));
      heatScale(ctx, v, g, options);
      heatAxes(ctx, g, options.axes, v.colours().ink);
      const text = `${name()}. ${say(row, col)}`;
      drawing.say(text);
      area.setAttribute('aria-label', text);
    } });
  const area = make('div', keysMove('map; move with the arrow keys'));
  drawing.box.append(area);
  const go = (row, col) => on({ row: clamp(Math.floor(row), 0, rows - 1), col: clamp(Math.floor(col), 0, cols - 1) });
  dragging(area, (e) => {
    const box = area.getBoundingClientRect(), cell = side(drawing.width) / cols;
    go((e.clientY - box.top - HEAT.top) / cell, (e.clientX - box.left - HEAT.left) / cell);
  });
  onArrows(area, ([dx, dy], far) => {
    const { row, col } = at(), step = far ? 3 : 1;
    go(row + dy * step, col + dx * step);
  }, () => go((rows - 1) / 2, (cols - 1) / 2));
  return Object.assign(drawing, { area });
}
// A scale, or a function that is asked at each draw.
const scaleOf = (scale) => (typeof scale === 'function' ? scale() : scale);
function heatTiles(ctx, v, { size, cell, tall }, { rows, cols, values, span, scale }) {
  const [a, b] = span(), { ink, soft } = v.colours(), X = (c) => HEAT.left + c * cell, Y = (r) => HEAT.top + r * cell;
  let hidden = false;
  for (let r = 0; r < rows; r += 1) {
    for (let c = 0; c < cols; c += 1) {
      const value = values(r, c);
      hidden ||= value === null;
      ctx.fillStyle = value === null ? soft : tint((value - a) / (b - a || 1), scaleOf(scale));
      fillTile(ctx, X(c), Y(r), X(c + 1), Y(r + 1));
    }
  }
  if (hidden) writeUnknown(ctx, HEAT.left + size / 4, HEAT.top + tall / 4, ink);
}
// The bar beside a map that says which colour is which number.
function heatScale(ctx, v, { size, tall }, { span, scale, form = short }) {
  const [a, b] = span(), { ink, line } = v.colours(), x = HEAT.left + size + 8, { top, bar } = HEAT;
  for (let i = 0; i <= 40; i += 1) {
    ctx.fillStyle = tint(1 - i / 40, scaleOf(scale));
    ctx.fillRect(x, top + (i / 41) * tall, bar, tall / 41 + 0.6);
  }
  outlineRect(ctx, x, top, bar, tall, line);
  const marks = [[b, top, 'top'], [(a + b) / 2, top + tall / 2, 'middle'], [a, top + tall, 'bottom']];
  for (const [value, y, base] of marks) write(ctx, form(value), x + 4 + bar, y, { colour: ink, font: SMALL, base });
}
function heatAxes(ctx, { size, cell, tall }, { x, y, xlabel, ylabel }, ink) {
  const small = { colour: ink, font: SMALL }, below = HEAT.top + tall + 12;
  const marks = ([first, last, middle]) => [first, middle ?? short((first + last) / 2), last].map(String);
  marks(x).forEach((text, i) => {
    write(ctx, text, HEAT.left + cell / 2 + i * (size - cell) / 2, below, { ...small, align: 'center' });
  });
  marks(y).forEach((text, i) => {
    const beside = HEAT.top + cell / 2 + i * (tall - cell) / 2;
    write(ctx, text, HEAT.left - 4, beside, { ...small, align: 'right', base: 'middle' });
  });
  write(ctx, xlabel, HEAT.left + size / 2, below + 15, { ...small, align: 'center' });
  writeUp(ctx, ylabel, 9, HEAT.top + tall / 2, small);
}

// ---------------------------------------------------------------- bars

const BARS = { thick: 9, gap: 7, head: 20, floor: 1e-6, number: '10px system-ui, sans-serif' };

// Horizontal bars, one group a class: series() = [{name, look, values}], classes = names. Options: log axis, truth (the
// class in bold), span, form of the numbers, hidden.
export function bars(v, parent, options) {
  const { name = 'probabilities', classes, series, top = 10, form = percent, hidden = () => false } = options;
  const rest = { log: () => false, truth: () => null, span: () => [0, 1], ...options, form };
  const groupTall = (all) => all.length * BARS.thick + BARS.gap;
  const drawing = canvas(v, parent, {
    label: name,
    height: () => BARS.head + Math.min(top, classes.length) * groupTall(series()) + 4,
    draw(ctx, wide) {
      const all = series(), shown = likeliest(all.map((s) => s.values), top);
      const left = Math.min(wide * 0.4, 16 + widestText(ctx, shown.map((k) => classes[k])));
      barNames(ctx, v, all, left, wide);
      shown.forEach((k, i) => {
        const y = BARS.head + i * groupTall(all), tall = all.length * BARS.thick, { ink, soft } = v.colours();
        const look = { colour: ink, align: 'right', base: 'middle', font: k === rest.truth() ? `600 ${FONT}` : FONT };
        write(ctx, classes[k], left - 6, y + tall / 2, { ...look, wide: left - 8 });
        ctx.fillStyle = soft;
        ctx.fillRect(left, y, 1, tall);
        if (!hidden()) barGroup(ctx, v, all, k, { left, y, room: wide - left - 52 }, rest);
      });
      const best = (s) => argmax(Array.from(s.values));
      const answer = (s) => `${s.name} ${classes[best(s)]} ${form(s.values[best(s)])}`;
      drawing.say(`${name}: ${hidden() ? 'not shown yet' : all.map(answer).join(', ')}`);
    } });
  return drawing;
}
function barNames(ctx, v, all, left, wide) {
  let x = left;
  for (const s of all) {
    ctx.fillStyle = filling(ctx, v, s.look);
    ctx.fillRect(x, 4, 14, 9);
    const room = Math.max(20, Math.min(wide / all.length - 34, wide - x - 20));
    write(ctx, s.name, x + 18, 12, { colour: v.colours().ink, wide: room });
    x += Math.min(ctx.measureText(s.name).width + 32, wide / all.length);
  }
}
function barGroup(ctx, v, all, k, { left, y, room }, { log, span, form }) {
  const [low, high] = span(), { thick, floor } = BARS;
  const share = (p) => (log() ? 1 - Math.log(Math.max(p, floor)) / Math.log(floor) : (p - low) / (high - low || 1));
  all.forEach((s, j) => {
    const a = share(Math.max(low, Math.min(0, high))) * room, b = share(s.values[k]) * room, upper = y + j * thick;
    ctx.fillStyle = filling(ctx, v, s.look);
    ctx.fillRect(left + Math.min(a, b), upper, Math.abs(b - a), thick - 1);
    if (Math.abs(b - a) < room / 200) return;
    const look = { colour: v.colours().ink, base: 'middle', font: BARS.number };
    write(ctx, form(s.values[k]), left + Math.max(a, b) + 4, upper + thick / 2, look);
  });
}

// ---------------------------------------------------------------- lines

const PLOT = { left: 46, low: 32, top: 16 };

// Curves over x, each named at its end, with a cursor. series() = [{name, look, values}]; cursor(): index into x;
// seek(i): dragged to; until(): how many of the values are to be seen; zero: the axis begins at 0.
export function lines(v, parent, options) {
  const { name, x, xlabel, series, cursor = () => null, seek = null, tall = 170, until = () => x.length } = options;
  const g = { tall, room: 1, right: 80 };
  const drawing = canvas(v, parent, {
    label: name,
    height: () => tall,
    draw(ctx, wide) {
      const all = series(), seen = until(), c = cursor();
      Object.assign(g, plotSpan(all, options.zero));
      g.right = clamp(14 + widestText(ctx, all.map((s) => s.name)), 30, wide * 0.35);
      g.room = wide - PLOT.left - g.right;
      const first = x[0], last = x[x.length - 1], share = (i) => (last === first ? 0 : (x[i] - first) / (last - first));
      g.X = (i) => PLOT.left + share(i) * g.room;
      g.Y = (y) => PLOT.top + (g.high - y) / (g.high - g.bottom) * (tall - PLOT.top - PLOT.low);
      plotAxes(ctx, v, g, options);
      plotEnds(ctx, v, g, all.map((s) => plotCurve(ctx, v, g, s, Math.min(seen, s.values.length) - 1)).filter(Boolean));
      if (c !== null) drawCursor(ctx, g.X(c), PLOT.top - 4, tall - PLOT.low + 4, v.colours().ink);
      const here = c === null ? -1 : Math.min(c, seen - 1);
      const values = () => all.map((s) => `${s.name} ${short(s.values[here])}`);
      drawing.say(`${name}${here < 0 ? '' : `; at ${xlabel} ${short(x[here])}: ${values().join(', ')}`}`);
    } });
  if (!seek) return drawing;
  drawing.box.style.cursor = 'ew-resize';
  dragging(drawing.box, (e) => {
    const share = (e.clientX - drawing.box.getBoundingClientRect().left - PLOT.left) / g.room;
    const t = x[0] + share * (x[x.length - 1] - x[0]);
    seek(x.reduce((best, value, i) => (Math.abs(value - t) < Math.abs(x[best] - t) ? i : best), 0));
  });
  return drawing;
}
// Where the reader is in a plot.
export function drawCursor(ctx, x, top, bottom, colour) {
  polyline(ctx, [[x, top], [x, bottom]], { colour, wide: 1.5 });
}
// The lowest and the highest value, never the same.
function plotSpan(all, zero) {
  const values = all.flatMap((s) => Array.from(s.values).filter(Number.isFinite));
  if (!values.length) return { bottom: 0, high: 1 };
  const bottom = Math.min(...values, ...(zero ? [0] : [])), high = Math.max(...values);
  return high - bottom < 1e-12 ? { bottom: bottom - 0.5, high: high + 0.5 } : { bottom, high };
}
function plotAxes(ctx, v, { tall, room, bottom, high, X, Y }, { x, xlabel, ylabel }) {
  const { ink, line, soft } = v.colours(), small = { colour: ink, font: SMALL }, { left } = PLOT;
  for (const y of new Set([bottom, (bottom + high) / 2, high, ...(bottom < 0 && high > 0 ? [0] : [])])) {
    polyline(ctx, [[left, Y(y)], [left + room, Y(y)]], { colour: y === 0 ? line : soft });
    if (y !== 0 || bottom === 0) write(ctx, short(y), left - 5, Y(y), { ...small, align: 'right', base: 'middle' });
  }
  const times = [0, (x.length - 1) >> 1, x.length - 1];
  for (const t of times) write(ctx, short(x[t]), X(t), tall - 18, { ...small, align: 'center' });
  write(ctx, xlabel, left + room / 2, tall - 5, { ...small, align: 'center' });
  write(ctx, ylabel, 2, 10, small);
}
// One curve and the sign at its end; returns where its name belongs.
function plotCurve(ctx, v, { X, Y }, { name, look, values }, end) {
  const colour = colourOf(v, look);
  const points = Array.from({ length: end + 1 }, (_, i) => [X(i), Y(values[i])]);
  polyline(ctx, points, { colour, wide: 2, dash: dashes(look) });
  if (end < 0) return null;
  const from = [X(end), Y(values[end])];
  ctx.fillStyle = colour;
  marker(ctx, look, ...from);
  return { text: name, from, y: from[1], colour };
}
// The names at the curves' ends, moved apart.
function plotEnds(ctx, v, { tall, room, right }, ends) {
  const edge = PLOT.left + room;
  ends.sort((p, q) => p.y - q.y);
  ends.forEach((e, i) => { e.y = Math.max(e.y, i ? ends[i - 1].y + 14 : PLOT.top); });
  ends.reverse().forEach((e, i, r) => { e.y = Math.min(e.y, i ? r[i - 1].y - 14 : tall - PLOT.low); });
  for (const e of ends) {
    if (e.from[0] > edge - 30) polyline(ctx, [e.from, [edge + 6, e.y]], { colour: e.colour });
    write(ctx, e.text, edge + 9, e.y, { colour: v.colours().ink, base: 'middle', wide: right - 10 });
  }
}

// ---------------------------------------------------------------- planes

const PLANE = { left: 44, low: 34, top: 6, right: 12 };

// Points in a plane. points() = [{look, xy: [[x, y], ...], size, faint}]; span() = {x: [low, high], y: [low, high]};
// labels() = [x, y]; y grows downwards when `down`. under(ctx, X, Y) draws below the points, extra on top;
// drag({x, y}) when the plane is dragged in; keys([dx, dy], far); say(): its words.
export function scatter(v, parent, options) {
  const { name, span, down = true, drag = null, keys = null, say, most = 320 } = options;
  const side = (wide) => Math.min(wide - PLANE.left - PLANE.right, most);
  const drawing = canvas(v, parent, {
    label: name,
    height: (wide) => side(wide) + PLANE.top + PLANE.low,
    draw(ctx, wide) {
      const { x: [west, east], y: [y0, y1] } = span(), size = side(wide);
      const X = (x) => PLANE.left + (x - west) / (east - west) * size;
      const Y = (y) => PLANE.top + (down ? y - y0 : y1 - y) / (y1 - y0) * size;
      planeFrame(ctx, v, { size, X, Y }, options);
      planePoints(ctx, v, { size, X, Y }, options);
      const text = `${name}. ${say()}`;
      drawing.say(text);
      area?.setAttribute('aria-label', text);
    } });
  const area = drag && make('div', keysMove('plane; move with the arrow keys', name));
  if (!drag) return drawing;
  drawing.box.append(area);
  dragging(area, (e) => {
    const box = area.getBoundingClientRect(), size = side(drawing.width), { x: [west, east], y: [y0, y1] } = span();
    const fx = (e.clientX - box.left - PLANE.left) / size, fy = (e.clientY - box.top - PLANE.top) / size;
    const y = down ? y0 + fy * (y1 - y0) : y1 - fy * (y1 - y0);
    drag({ x: clamp(west + fx * (east - west), west, east), y: clamp(y, y0, y1) });
  });
  onArrows(area, keys);
  return Object.assign(drawing, { area });
}
function planeFrame(ctx, v, { size, X, Y }, { span, labels }) {
  const { ink, line, soft } = v.colours(), { x, y } = span(), { left, top } = PLANE;
  const small = { colour: ink, font: SMALL };
  outlineRect(ctx, left, top, size, size, line);
  if (x[0] < 0 && x[1] > 0) polyline(ctx, [[X(0), top], [X(0), top + size]], { colour: soft });
  if (y[0] < 0 && y[1] > 0) polyline(ctx, [[left, Y(0)], [left + size, Y(0)]], { colour: soft });
  const marks = ([low, high]) => [low, (low + high) / 2, high];
  for (const t of marks(x)) write(ctx, short(t), X(t), top + size + 13, { ...small, align: 'center' });
  for (const t of marks(y)) write(ctx, short(t), left - 4, Y(t), { ...small, align: 'right', base: 'middle' });
  const [xlabel, ylabel] = labels();
  write(ctx, xlabel, left + size / 2, top + size + 28, { ...small, align: 'center' });
  writeUp(ctx, ylabel, 8, top + size / 2, small);
}
function planePoints(ctx, v, { size, X, Y }, { points, under, extra }) {
  ctx.save();
  ctx.beginPath();
  ctx.rect(PLANE.left - 6, PLANE.top - 6, size + 12, size + 12);
  ctx.clip();
  under?.(ctx, X, Y);
  for (const p of points()) {
    ctx.fillStyle = colourOf(v, p.look);
    ctx.globalAlpha = p.faint ? 0.35 : 1;
    for (const [x, y] of p.xy) marker(ctx, p.look, X(x), Y(y), p.size || 4);
    ctx.globalAlpha = 1;
  }
  extra?.(ctx, X, Y);
  ctx.restore();
}

// ---------------------------------------------------------------- a sheet to draw on

// A small sheet to draw on with pointer or keys: pixels is a Float32Array (H*W) in [0,1], changed in place;
// on() after each stroke.
export function sketch(v, parent, { name, H, W, pixels, on, overlay }) {
  const brush = { x: (W - 1) / 2, y: (H - 1) / 2, focused: false }, scale = (wide) => Math.min(wide, 260) / W;
  const drawing = canvas(v, parent, {
    label: name,
    height: (wide) => scale(wide) * H,
    draw(ctx, wide) {
      const side = scale(wide), { x, y, focused } = brush;
      pixels.forEach((p, i) => {
        ctx.fillStyle = grey(p);
        ctx.fillRect((i % W) * side, Math.floor(i / W) * side, side + 0.6, side + 0.6);
      });
      overlay?.(ctx, side);
      if (focused) outlineRect(ctx, (x - 1) * side, (y - 1) * side, 3 * side, 3 * side, PALETTE.chosen, 2);
    } });
  const area = make('div', keysMove('sheet; arrow keys move the brush, Space draws', name));
  drawing.box.append(area);
  const move = (x, y) => Object.assign(brush, { x: clamp(x, 0, W - 1), y: clamp(y, 0, H - 1) });
  const stroke = () => {
    sheetStroke(pixels, W, brush);
    on();
  };
  dragging(area, (e) => {
    const box = area.getBoundingClientRect(), side = scale(drawing.width);
    move((e.clientX - box.left) / side - 0.5, (e.clientY - box.top) / side - 0.5);
    stroke();
  });
  sheetKeys(v, area, brush, ([dx, dy]) => move(brush.x + dx, brush.y + dy), stroke);
  return Object.assign(drawing, { area });
}
function sheetKeys(v, area, brush, move, stroke) {
  const focus = (focused) => {
    brush.focused = focused;
    if (v.alive) v.draw();
  };
  area.addEventListener('focus', () => focus(true));
  area.addEventListener('blur', () => focus(false));
  onArrows(area, (way) => {
    move(way);
    v.draw();
  });
  area.addEventListener('keydown', (e) => {
    if (e.key !== ' ') return;
    e.preventDefault();
    stroke();
  });
}
function sheetStroke(pixels, W, brush) {
  pixels.forEach((p, i) => {
    const near = Math.hypot((i % W) - brush.x, Math.floor(i / W) - brush.y);
    if (near < 2) pixels[i] = Math.max(p, clamp(2 - near, 0, 1));
  });
}
