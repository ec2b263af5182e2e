// Charts that answer to pointer and keys: image grids, maps, bars, lines, planes, and a sheet to draw on.
import { clamp, percent, argmax, short, likeliest } from '../numbers/basics.js';
import { make } from './frame.js';
import { dragging } from './controls.js';
import { canvas, FONT, write, PALETTE, crosshair, colourOf, filling, dashes, marker, painter, tint, grey } from './canvas.js';

// A grid of images with something under each, one of them selected (place.image).
// array: bytes (T,n,C,H,W) or (n,C,H,W); at(i): which image of the array cell i shows; order(): image ids in reading order;
// under: {tall, draw(ctx, id, x, y, wide)}; label(id): what a screen reader says of it.
export function imageGrid(v, parent, { array, name, at, order, under = { tall: 0, draw() {} }, label, side = 56, border = () => null, on = (image) => v.place.set({ image }) }) {
  const paint = painter(array), cells = make('div', { class: 'hk-cells', role: 'listbox', 'aria-label': name });
  let shown = [], cols = 1, pitch = side;
  const measure = (wide) => { shown = order(); cols = clamp(Math.floor(wide / side), 2, Math.max(2, Math.min(16, shown.length))); pitch = wide / cols; };
  const drawing = canvas(v, parent, {
    label: name,
    height: (wide) => { measure(wide); return Math.max(1, Math.ceil(shown.length / cols)) * (Math.min(pitch, 96) + under.tall + 4); },
    draw(ctx) {
      const inner = Math.min(pitch, 96) - 4, step = inner + 8 + under.tall;
      shown.forEach((id, i) => {
        const x = (i % cols) * pitch + (pitch - inner) / 2, y = Math.floor(i / cols) * step + 2;
        paint(ctx, at(id), x, y, inner);
        const colour = border(id);
        if (colour) { ctx.strokeStyle = colour; ctx.lineWidth = 3; ctx.strokeRect(x + 1, y + 1, inner - 2, inner - 2); }
        under.draw(ctx, id, x, y + inner + 2, inner);
      });
      place(ctx);
    } });
  drawing.box.append(cells);
  const pick = (i, focus) => {
    on(shown[clamp(i, 0, shown.length - 1)]);
    if (focus) cells.children[shown.indexOf(v.place.get('image'))]?.focus();
  };
  const place = () => {
    while (cells.children.length < shown.length) cells.append(make('div', { role: 'option', tabindex: -1 }));
    while (cells.children.length > shown.length) cells.lastChild.remove();
    const columns = `repeat(${cols}, 1fr)`;
    if (cells.style.gridTemplateColumns !== columns) cells.style.gridTemplateColumns = columns;
    const chosen = Math.max(0, shown.indexOf(v.place.get('image')));
    shown.forEach((id, i) => {
      const node = cells.children[i], here = i === chosen;
      if (node.getAttribute('aria-selected') !== String(here)) { node.setAttribute('aria-selected', here); node.tabIndex = here ? 0 : -1; }
      if (here || !node.hasAttribute('aria-label')) node.setAttribute('aria-label', label(id));
    });
  };
  cells.addEventListener('focusin', (e) => { const i = [...cells.children].indexOf(e.target); if (i >= 0) e.target.setAttribute('aria-label', label(shown[i])); });
  cells.addEventListener('click', (e) => { const i = [...cells.children].indexOf(e.target); if (i >= 0) pick(i, true); });
  cells.addEventListener('keydown', (e) => {
    const i = shown.indexOf(v.place.get('image')), to = { ArrowLeft: i - 1, ArrowRight: i + 1, ArrowUp: i - cols, ArrowDown: i + cols, Home: 0, End: shown.length - 1 }[e.key];
    if (to === undefined) return;
    e.preventDefault();
    if (to >= 0 && to < shown.length) pick(to, true);
  });
  return drawing;
}

// A map of values over a grid with a crosshair that pointer and arrows move.
// values(row, col) in units of span [low, high], or null where nothing is to be seen yet; at(): {row, col};
// on({row, col}); axes: {x: [first, last, middle], y: [first, last, middle], xlabel, ylabel} (the middle is their mean unless given); extra(ctx, toX, toY, cell) draws on top; say(row, col).
export function heatGrid(v, parent, { name, rows, cols, values, span, scale = 'viridis', at, on, axes, extra, say, form = short, most = 250 }) {
  const left = 40, low = 34, top = 4, bar = 12, right = 58;
  const side = (wide) => Math.min(wide - left - right, most);
  const drawing = canvas(v, parent, {
    label: typeof name === 'function' ? name() : name,
    height: (wide) => side(wide) * rows / cols + top + low,
    draw(ctx, wide) {
      const size = side(wide), cell = size / cols, tall = cell * rows, { ink, line, soft } = v.colours(), [a, b] = span();
      for (let r = 0; r < rows; r += 1) for (let c = 0; c < cols; c += 1) {
        const value = values(r, c);
        ctx.fillStyle = value === null ? soft : tint((value - a) / (b - a || 1), scale);
        const x0 = Math.round(left + c * cell), y0 = Math.round(top + r * cell);
        ctx.fillRect(x0, y0, Math.round(left + (c + 1) * cell) - x0, Math.round(top + (r + 1) * cell) - y0);
      }
      if (Array.from({ length: rows * cols }).some((_, i) => values(Math.floor(i / cols), i % cols) === null))
        write(ctx, '?', left + size / 2 - size / 4, top + tall / 4, { colour: ink, align: 'center', base: 'middle', font: '600 28px system-ui, sans-serif' });
      extra?.(ctx, (c) => left + (c + 0.5) * cell, (r) => top + (r + 0.5) * cell, cell);
      const { row, col } = at(), x = left + (col + 0.5) * cell, y = top + (row + 0.5) * cell, r = Math.max(cell * 0.7, 6);
      crosshair(ctx, x, y, r);
      for (let i = 0; i <= 40; i += 1) { ctx.fillStyle = tint(1 - i / 40, scale); ctx.fillRect(left + size + 8, top + (i / 41) * tall, bar, tall / 41 + 0.6); }
      ctx.strokeStyle = line; ctx.lineWidth = 1; ctx.strokeRect(left + size + 8, top, bar, tall);
      const opts = { colour: ink, font: '11px system-ui, sans-serif' };
      for (const [value, y0, base] of [[b, top, 'top'], [(a + b) / 2, top + tall / 2, 'middle'], [a, top + tall, 'bottom']]) write(ctx, form(value), left + size + 12 + bar, y0, { ...opts, base });
      const y1 = top + tall + 12, middle = (p) => p[2] ?? short((p[0] + p[1]) / 2);
      [axes.x[0], middle(axes.x), axes.x[1]].forEach((t, i) => write(ctx, String(t), left + cell / 2 + i * (size - cell) / 2, y1, { ...opts, align: 'center' }));
      [axes.y[0], middle(axes.y), axes.y[1]].forEach((t, i) => write(ctx, String(t), left - 4, top + cell / 2 + i * (tall - cell) / 2, { ...opts, align: 'right', base: 'middle' }));
      write(ctx, axes.xlabel, left + size / 2, y1 + 15, { ...opts, align: 'center' });
      ctx.save(); ctx.translate(9, top + tall / 2); ctx.rotate(-Math.PI / 2); write(ctx, axes.ylabel, 0, 0, { ...opts, align: 'center', base: 'middle' }); ctx.restore();
      const text = `${typeof name === 'function' ? name() : name}. ${say(row, col)}`;
      drawing.say(text); area.setAttribute('aria-label', text);
    } });
  const area = make('div', { class: 'hk-cells', role: 'application', tabindex: 0, 'aria-roledescription': 'map; move with the arrow keys', 'aria-label': '' });
  drawing.box.append(area);
  const go = (row, col) => on({ row: clamp(row, 0, rows - 1), col: clamp(col, 0, cols - 1) });
  const point = (e) => {
    const { left: x0, top: y0 } = area.getBoundingClientRect(), cell = side(drawing.width) / cols;
    go(Math.floor((e.clientY - y0 - top) / cell), Math.floor((e.clientX - x0 - left) / cell));
  };
  dragging(area, point);
  area.addEventListener('keydown', (e) => {
    const { row, col } = at(), far = e.shiftKey ? 3 : 1;
    const to = { ArrowLeft: [row, col - far], ArrowRight: [row, col + far], ArrowUp: [row - far, col], ArrowDown: [row + far, col], Home: [(rows - 1) / 2, (cols - 1) / 2] }[e.key];
    if (!to) return;
    e.preventDefault();
    go(...to.map(Math.floor));
  });
  return Object.assign(drawing, { area });
}

// Horizontal bars, one group a class: series() = [{name, look, values}], classes = names. Options: log axis, marks (truth), form.
export function bars(v, parent, { name = 'probabilities', classes, series, top = 10, log = () => false, truth = () => null, span = () => [0, 1], form = percent, hidden = () => false }) {
  const thick = 9, gap = 7, head = 20;
  const drawing = canvas(v, parent, {
    label: name,
    height: () => { const s = series(); return head + Math.min(top, classes.length) * (s.length * thick + gap) + 4; },
    draw(ctx, wide) {
      const all = series(), shown = likeliest(all.map((s) => s.values), top), { ink, soft } = v.colours(), [low, high] = span(), floor = 1e-6;
      const left = Math.min(wide * 0.4, 16 + Math.max(...shown.map((k) => { ctx.font = FONT; return ctx.measureText(classes[k]).width; }))), room = wide - left - 52;
      const place = (p) => (log() ? 1 - Math.log(Math.max(p, floor)) / Math.log(floor) : (p - low) / (high - low || 1)) * room;
      let x = left;
      for (const s of all) {
        ctx.fillStyle = filling(ctx, v, s.look); ctx.fillRect(x, 4, 14, 9);
        write(ctx, s.name, x + 18, 12, { colour: ink, wide: Math.max(20, Math.min(wide / all.length - 34, wide - x - 20)) });
        x += Math.min(ctx.measureText(s.name).width + 32, wide / all.length);
      }
      shown.forEach((k, i) => {
        const y = head + i * (all.length * thick + gap);
        write(ctx, classes[k], left - 6, y + all.length * thick / 2, { colour: ink, align: 'right', base: 'middle', wide: left - 8, font: k === truth() ? `600 ${FONT}` : FONT });
        ctx.fillStyle = soft; ctx.fillRect(left, y, 1, all.length * thick);
        if (hidden()) return;
        all.forEach((s, j) => {
          const a = place(Math.max(low, Math.min(0, high))), b = place(s.values[k]);
          ctx.fillStyle = filling(ctx, v, s.look);
          ctx.fillRect(left + Math.min(a, b), y + j * thick, Math.abs(b - a), thick - 1);
          if (Math.abs(b - a) >= room / 200) write(ctx, form(s.values[k]), left + Math.max(a, b) + 4, y + j * thick + thick / 2, { colour: ink, base: 'middle', font: '10px system-ui, sans-serif' });
        });
      });
      drawing.say(`${name}: ${hidden() ? 'not shown yet' : all.map((s) => { const k = argmax(Array.from(s.values)); return `${s.name} ${classes[k]} ${form(s.values[k])}`; }).join(', ')}`);
    } });
  return drawing;
}
// Curves over x, each named at its end, with a cursor. series() = [{name, look, values}]; cursor(): index into x; seek(i).
export function lines(v, parent, { name, x, xlabel, ylabel, series, cursor = () => null, seek = null, tall = 170, until = () => x.length, zero = false }) {
  const left = 46, low = 32, top = 16;
  let room = 1, right = 80;
  const drawing = canvas(v, parent, {
    label: name,
    height: () => tall,
    draw(ctx, wide) {
      const all = series(), { ink, line, soft } = v.colours(), seen = until(), values = all.flatMap((s) => Array.from(s.values).filter(Number.isFinite));
      ctx.font = FONT;
      right = clamp(14 + Math.max(...all.map((s) => ctx.measureText(s.name).width)), 30, wide * 0.35);
      room = wide - left - right;
      let [a, b] = [Math.min(...values, ...(zero ? [0] : [])), Math.max(...values)];
      if (!values.length) [a, b] = [0, 1];
      if (b - a < 1e-12) [a, b] = [a - 0.5, b + 0.5];
      const first = x[0], last = x[x.length - 1], X = (i) => left + (last === first ? 0 : (x[i] - first) / (last - first)) * room, Y = (y) => top + (b - y) / (b - a) * (tall - top - low);
      const small = { colour: ink, font: '11px system-ui, sans-serif' };
      ctx.lineWidth = 1;
      for (const y of new Set([a, (a + b) / 2, b, ...(a < 0 && b > 0 ? [0] : [])])) {
        ctx.strokeStyle = y === 0 ? line : soft; ctx.beginPath(); ctx.moveTo(left, Y(y)); ctx.lineTo(left + room, Y(y)); ctx.stroke();
        if (y !== 0 || a === 0) write(ctx, short(y), left - 5, Y(y), { ...small, align: 'right', base: 'middle' });
      }
      for (const t of [0, (x.length - 1) >> 1, x.length - 1]) write(ctx, short(x[t]), X(t), tall - 18, { ...small, align: 'center' });
      write(ctx, xlabel, left + room / 2, tall - 5, { ...small, align: 'center' });
      write(ctx, ylabel, 2, 10, small);
      const ends = [];
      for (const s of all) {
        const colour = colourOf(v, s.look), end = Math.min(seen, s.values.length) - 1;
        ctx.strokeStyle = ctx.fillStyle = colour; ctx.lineWidth = 2; ctx.setLineDash(dashes(s.look)); ctx.beginPath();
        for (let i = 0; i <= end; i += 1) ctx.lineTo(X(i), Y(s.values[i]));
        ctx.stroke(); ctx.setLineDash([]);
        if (end >= 0) { marker(ctx, s.look, X(end), Y(s.values[end])); ends.push({ text: s.name, from: [X(end), Y(s.values[end])], y: Y(s.values[end]), colour }); }
      }
      ends.sort((p, q) => p.y - q.y);
      ends.forEach((e, i) => { e.y = Math.max(e.y, i ? ends[i - 1].y + 14 : top); });
      ends.reverse().forEach((e, i, r) => { e.y = Math.min(e.y, i ? r[i - 1].y - 14 : tall - low); });
      for (const e of ends) {
        if (e.from[0] > left + room - 30) { ctx.strokeStyle = e.colour; ctx.lineWidth = 1; ctx.beginPath(); ctx.moveTo(...e.from); ctx.lineTo(left + room + 6, e.y); ctx.stroke(); }
        write(ctx, e.text, left + room + 9, e.y, { colour: ink, base: 'middle', wide: right - 10 });
      }
      const c = cursor();
      if (c !== null) { ctx.strokeStyle = ink; ctx.lineWidth = 1.5; ctx.beginPath(); ctx.moveTo(X(c), top - 4); ctx.lineTo(X(c), tall - low + 4); ctx.stroke(); }
      const here = c === null ? null : Math.min(c, seen - 1);
      drawing.say(`${name}${here === null || here < 0 ? '' : `; at ${xlabel} ${short(x[here])}: ${all.map((s) => `${s.name} ${short(s.values[here])}`).join(', ')}`}`);
    } });
  if (seek) {
    drawing.box.style.cursor = 'ew-resize';
    dragging(drawing.box, (e) => {
      const t = x[0] + (e.clientX - drawing.box.getBoundingClientRect().left - left) / room * (x[x.length - 1] - x[0]);
      seek(x.reduce((best, value, i) => (Math.abs(value - t) < Math.abs(x[best] - t) ? i : best), 0));
    });
  }
  return drawing;
}
// Points in a plane. points() = [{look, xy: [[x, y], ...], size, faint}]; span() = {x: [low, high], y: [low, high]}; labels() = [x, y];
// y grows downwards when `down`. under(ctx, X, Y) draws below the points, extra on top; drag({x, y}) when the plane is dragged in; say(): its words.
export function scatter(v, parent, { name, points, span, labels, down = true, under, extra, drag = null, keys = null, say, most = 320 }) {
  const left = 44, low = 34, top = 6, right = 12;
  const side = (wide) => Math.min(wide - left - right, most);
  const X = (x, size) => left + (x - span().x[0]) / (span().x[1] - span().x[0]) * size;
  const Y = (y, size) => top + (down ? y - span().y[0] : span().y[1] - y) / (span().y[1] - span().y[0]) * size;
  const drawing = canvas(v, parent, {
    label: name,
    height: (wide) => side(wide) + top + low,
    draw(ctx, wide) {
      const size = side(wide), { ink, line, soft } = v.colours(), s = span(), small = { colour: ink, font: '11px system-ui, sans-serif' };
      ctx.strokeStyle = line; ctx.lineWidth = 1; ctx.strokeRect(left, top, size, size);
      ctx.strokeStyle = soft; ctx.beginPath();
      if (s.x[0] < 0 && s.x[1] > 0) { ctx.moveTo(X(0, size), top); ctx.lineTo(X(0, size), top + size); }
      if (s.y[0] < 0 && s.y[1] > 0) { ctx.moveTo(left, Y(0, size)); ctx.lineTo(left + size, Y(0, size)); }
      ctx.stroke();
      for (const t of [s.x[0], (s.x[0] + s.x[1]) / 2, s.x[1]]) write(ctx, short(t), X(t, size), top + size + 13, { ...small, align: 'center' });
      for (const t of [s.y[0], (s.y[0] + s.y[1]) / 2, s.y[1]]) write(ctx, short(t), left - 4, Y(t, size), { ...small, align: 'right', base: 'middle' });
      const [xlabel, ylabel] = labels();
      write(ctx, xlabel, left + size / 2, top + size + 28, { ...small, align: 'center' });
      ctx.save(); ctx.translate(8, top + size / 2); ctx.rotate(-Math.PI / 2); write(ctx, ylabel, 0, 0, { ...small, align: 'center', base: 'middle' }); ctx.restore();
      ctx.save(); ctx.beginPath(); ctx.rect(left - 6, top - 6, size + 12, size + 12); ctx.clip();
      under?.(ctx, (x) => X(x, size), (y) => Y(y, size));
      for (const p of points()) {
        ctx.fillStyle = colourOf(v, p.look); ctx.globalAlpha = p.faint ? 0.35 : 1;
        for (const [x, y] of p.xy) marker(ctx, p.look, X(x, size), Y(y, size), p.size || 4);
        ctx.globalAlpha = 1;
      }
      extra?.(ctx, (x) => X(x, size), (y) => Y(y, size));
      ctx.restore();
      const text = `${name}. ${say()}`;
      drawing.say(text); area?.setAttribute('aria-label', text);
    } });
  const area = drag && make('div', { class: 'hk-cells', role: 'application', tabindex: 0, 'aria-roledescription': 'plane; move with the arrow keys', 'aria-label': name });
  if (!drag) return drawing;
  drawing.box.append(area);
  dragging(area, (e) => {
    const box = area.getBoundingClientRect(), size = side(drawing.width), s = span(), fx = (e.clientX - box.left - left) / size, fy = (e.clientY - box.top - top) / size;
    drag({ x: clamp(s.x[0] + fx * (s.x[1] - s.x[0]), ...s.x), y: clamp(down ? s.y[0] + fy * (s.y[1] - s.y[0]) : s.y[1] - fy * (s.y[1] - s.y[0]), ...s.y) });
  });
  area.addEventListener('keydown', (e) => { const step = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[e.key]; if (step) { e.preventDefault(); keys(step, e.shiftKey); } });
  return Object.assign(drawing, { area });
}

// A small sheet to draw on with pointer or keys: pixels is a Float32Array (H*W) in [0,1], changed in place; on() after each stroke.
export function sketch(v, parent, { name, H, W, pixels, on, overlay }) {
  let brush = { x: (W - 1) / 2, y: (H - 1) / 2 }, focused = false;
  const drawing = canvas(v, parent, {
    label: name,
    height: (wide) => Math.min(wide, 260) * H / W,
    draw(ctx, wide) {
      const side = Math.min(wide, 260) / W;
      for (let y = 0; y < H; y += 1) for (let x = 0; x < W; x += 1) { ctx.fillStyle = grey(pixels[y * W + x]); ctx.fillRect(x * side, y * side, side + 0.6, side + 0.6); }
      overlay?.(ctx, side);
      if (focused) { ctx.strokeStyle = PALETTE.chosen; ctx.lineWidth = 2; ctx.strokeRect((brush.x - 1) * side, (brush.y - 1) * side, 3 * side, 3 * side); }
    } });
  const area = make('div', { class: 'hk-cells', role: 'application', tabindex: 0, 'aria-roledescription': 'sheet; arrow keys move the brush, Space draws', 'aria-label': name });
  area.addEventListener('focus', () => { focused = true; v.draw(); });
  area.addEventListener('blur', () => { focused = false; if (v.alive) v.draw(); });
  drawing.box.append(area);
  const stroke = () => {
    for (let y = 0; y < H; y += 1) for (let x = 0; x < W; x += 1) {
      const near = Math.hypot(x - brush.x, y - brush.y);
      if (near < 2) pixels[y * W + x] = Math.max(pixels[y * W + x], clamp(2 - near, 0, 1));
    }
    on();
  };
  dragging(area, (e) => {
    const box = area.getBoundingClientRect(), side = Math.min(drawing.width, 260) / W;
    brush = { x: clamp((e.clientX - box.left) / side - 0.5, 0, W - 1), y: clamp((e.clientY - box.top) / side - 0.5, 0, H - 1) };
    stroke();
  });
  area.addEventListener('keydown', (e) => {
    const step = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[e.key];
    if (step) { e.preventDefault(); brush = { x: clamp(brush.x + step[0], 0, W - 1), y: clamp(brush.y + step[1], 0, H - 1) }; v.draw(); }
    if (e.key === ' ') { e.preventDefault(); stroke(); }
  });
  return Object.assign(drawing, { area });
}
