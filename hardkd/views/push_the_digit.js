// PushTheDigit: one image, pushed. Arrays: images (n,C,H,W) bytes, label (n,), known (M,n,K) logits of the unmoved
// images, order (L,2) shifts from the shortest to the longest, and the weights of the networks that run here ('0/name',
// '1/name', ...).
// state.nets: for each model what makeNet takes, or null where the kernel answers; image -1 is the reader's own
// drawing.
import { argmax, clamp, percent, softmax } from './numbers/basics.js';
import { isDark } from './numbers/contrast.js';
import { isBreak, kindOf, lengthOf, movesIn, ringOf, saysTheSame, withMoves } from './numbers/pushes.js';
import { makeNet } from './net.js';
import { warped, lookBack } from './warp.js';
import { view, make, panel } from './kit/frame.js';
import { base64 } from './kit/page.js';
import { choose, button, slider, dragging } from './kit/controls.js';
import {
  canvas, painter, write, writeUp, crosshair, disc, outlineRect, colourOf, PALETTE, SMALL,
} from './kit/canvas.js';
import { bars, sketch } from './kit/charts.js';

const STILL = { dx: 0, dy: 0, tried: [0, 0], broke: null };
const pause = (ms) => new Promise((go) => { setTimeout(go, ms); });
const written = (move) => `(${move[0]}, ${move[1]})`;
const farOf = (move) => `${lengthOf(move).toFixed(1)} pixels`;
const floats = (bytes) => Float32Array.from(bytes, (b) => b / 255);

// ---------------------------------------------------------------- who answers

// The networks that run in this page (null: the kernel answers), and those that do not say here of two images what
// torch said of them.
function networksOf(v) {
  const { state: { names, nets, classes } } = v, images = v.array('images'), known = v.array('known').data;
  const strangers = [];
  const [n, ...shape] = images.shape, size = shape.reduce((a, b) => a * b), few = Math.min(2, n), K = classes.length;
  const wake = (layers, i) => {
    if (!layers) return null;
    const used = layers.flatMap((layer) => ['weight', 'bias', 'scale', 'shift'].map((k) => layer[k]).filter(Boolean));
    const net = makeNet(layers, Object.fromEntries(used.map((k) => [k, v.array(`${i}/${k}`).data])));
    const logits = net.run(floats(images.data.subarray(0, few * size)), few);
    if (saysTheSame(logits, known.subarray(i * n * K, (i * n + few) * K))) return net;
    strangers.push(names[i]);
    return null;
  };
  const awake = nets.map(wake);
  return { nets: awake, away: names.filter((_, i) => !awake[i]), strangers };
}

// What is pushed: an image or the reader's drawing, turned and scaled, at a shift.
function imageOf(v) {
  const { place } = v, images = v.array('images'), [, C, H, W] = images.shape, shape = [C, H, W], size = C * H * W;
  const sheet = new Float32Array(H * W), isDrawing = () => place.get('image') < 0;
  let drawn = '';
  const original = () => {
    if (isDrawing()) return Uint8Array.from({ length: size }, (_, i) => Math.round(255 * sheet[i % (H * W)]));
    return images.data.subarray(place.get('image') * size, (place.get('image') + 1) * size);
  };
  return {
    shape, size, H, W, sheet, isDrawing,
    isEmpty: () => isDrawing() && !drawn,
    // The bytes after a move.
    moved: ([dx, dy], out = new Uint8Array(size)) => warped(original(), shape,
      lookBack(shape, { dx, dy, turn: place.get('turn'), scale: place.get('scale') / 100 }), out),
    // The sheet as the place has it.
    refresh() {
      if (place.get('drawn') === drawn) return;
      drawn = place.get('drawn');
      const bytes = atob(drawn);
      sheet.forEach((_, i) => { sheet[i] = drawn ? bytes.charCodeAt(i) / 255 : 0; });
    },
    // The place as the sheet has it.
    keep() {
      drawn = base64(Uint8Array.from(sheet, (p) => Math.round(255 * p)));
      place.set({ ...STILL, drawn });
    },
  };
}

// What has been said after each move. A scene is an image as it is drawn, turned and scaled; a new one forgets the
// last.
function opinionsOf(v, image) {
  const { state: { names, classes }, place } = v, n = v.array('images').shape[0], K = classes.length;
  const known = v.array('known').data, unmoved = (i, m) => known.subarray((m * n + i) * K, (m * n + i + 1) * K);
  let scene = '', opinions = new Map();
  const keep = (move, logits) => opinions.set(String(move), logits.map((z) => softmax(z)));
  return {
    keep, scene: () => scene,
    of: (move) => opinions.get(String(move)),
    // Whether this is a new scene.
    refresh() {
      const now = JSON.stringify(['image', 'turn', 'scale', 'drawn'].map((k) => place.get(k)));
      if (now === scene) return false;
      scene = now;
      opinions = new Map();
      const isPlain = !image.isDrawing() && place.get('turn') === 0 && place.get('scale') === 100;
      if (isPlain) keep([0, 0], names.map((_, m) => unmoved(place.get('image'), m)));
      return true;
    },
  };
}
// Who is asked: networks in this page, and the kernel.
function questionsOf(v, image, opinions, { nets, away }) {
  const { size, moved } = image, { scene, of, keep } = opinions, K = v.state.classes.length;
  let pending = '';
  // All logits of some images; those of networks that are away are in the kernel's answer.
  const logitsOf = (bytes, count, answer) => {
    const x = floats(bytes), part = count * K;
    return nets.map((net, m) => (net ? net.run(x, count) : answer.logits.data.subarray(m * part, (m + 1) * part)));
  };
  // Ask all networks about some moves, a few at a time; false when the answer came too late or not at all.
  // Where all run in this page, the first few are answered at once, without a pause: the next panel draws them.
  const consider = async (moves) => {
    const asked = scene(), todo = moves.filter((move) => !of(move));
    const step = away.length ? Math.max(1, Math.floor(3e5 / size)) : 6;
    for (let i = 0; i < todo.length; i += step) {
      const part = todo.slice(i, i + step), bytes = new Uint8Array(part.length * size);
      part.forEach((move, k) => moved(move, bytes.subarray(k * size, (k + 1) * size)));
      const answer = away.length ? await v.ask({ images: base64(bytes), count: part.length }) : {};
      if (!answer || asked !== scene() || !v.alive) return false;
      const logits = logitsOf(bytes, part.length, answer);
      part.forEach((move, k) => keep(move, logits.map((z) => z.subarray(k * K, (k + 1) * K))));
      if (i + step < todo.length && !away.length) await pause(0);
      if (asked !== scene()) return false;
    }
    return true;
  };
  // Ask about the move that is shown, once.
  const look = (move) => {
    const wanted = scene() + move;
    if (wanted === pending || (of(move) && of([0, 0]))) return;
    pending = wanted;
    consider([[0, 0], move]).then((done) => { if (done && away.length) v.draw(); });
  };
  return { consider, look };
}

// ---------------------------------------------------------------- where the reader is

function pushOf(v) {
  const { state: { max_shift: reach, classes, names }, place } = v, networks = networksOf(v), image = imageOf(v);
  const opinions = opinionsOf(v, image), { consider, look } = questionsOf(v, image, opinions, networks);
  const moves = movesIn(v.array('order').data);
  let hunt = 0;
  const here = () => [place.get('dx'), place.get('dy')], student = () => place.get('student');
  const label = () => {
    if (!image.isDrawing()) return v.array('label').data[place.get('image')];
    const unmoved = opinions.of([0, 0]);
    return unmoved ? argmax(unmoved[0]) : null;
  };
  const p = {
    reach, moves, image, opinions, consider, here, student, label, ...networks,
    both: () => [0, student()],
    nameOf: (m) => names[m],
    className: () => classes[label()],
    tried: (more) => withMoves(place.get('tried'), more),
    isBreak: (move) => isBreak(opinions.of(move), opinions.of([0, 0]), student()),
    // Back to the unmoved image, with other settings; a search that runs is called off by everything that moves.
    anew: (changes) => place.set({ ...changes, tried: [0, 0], broke: null }),
    push(dx, dy) {
      hunt += 1;
      const move = [clamp(dx, -reach, reach), clamp(dy, -reach, reach)];
      place.set({ dx: move[0], dy: move[1], tried: p.tried([move]) });
    },
    choose(m) {
      hunt += 1;
      place.set({ student: m, broke: null });
    },
    refresh() {
      image.refresh();
      if (opinions.refresh()) hunt += 1;
      look(here());
    },
    find: () => search(v, p, { begin: () => (hunt += 1), current: () => hunt }),
  };
  return p;
}
// Outwards ring by ring, until a move breaks.
async function search(v, p, { begin, current }) {
  const started = begin(), calm = matchMedia('(prefers-reduced-motion: reduce)').matches;
  p.anew({ dx: 0, dy: 0 });
  for (let r = 1; r <= p.reach; r += 1) {
    const ring = ringOf(p.moves, r);
    if (!await p.consider([[0, 0], ...ring]) || started !== current() || !v.alive) return;
    const broke = ring.find(p.isBreak);
    v.place.set({ tried: p.tried(ring), ...(broke ? { broke, dx: broke[0], dy: broke[1] } : {}) });
    if (broke) return;
    if (!calm) await pause(90);
    if (started !== current()) return;
  }
  v.place.set({ broke: [] });
}

function addControls(v, p) {
  const { place, state: { names } } = v, { image } = p, n = v.array('images').shape[0];
  const student = choose('student', names.slice(1), p.student() - 1, (i) => p.choose(i + 1));
  const next = button('next image', () => place.set({ ...STILL, image: (place.get('image') + 1) % n }));
  const own = button('draw your own', () => place.set({ ...STILL, image: image.isDrawing() ? 0 : -1 }));
  const clear = button('clear the sheet', () => place.set({ ...STILL, drawn: '' }));
  const find = button('find the break', p.find);
  find.className = 'hk-main';
  const turn = slider('turn', { min: -180, max: 180, step: 5, value: 0, format: (x) => `${x}°`,
    on: (x) => p.anew({ turn: x }) });
  const scale = slider('scale', { min: 50, max: 150, step: 5, value: 100, format: (x) => `${x} %`,
    on: (x) => p.anew({ scale: x }) });
  const style = 'display: flex; flex-wrap: wrap; flex: 1 1 100%; gap: .35rem .9rem';
  const wide = make('div', { style }, turn.node, scale.node), drawers = image.H * image.W <= 4096 ? [own, clear] : [];
  v.controls.append(find, next, ...drawers, ...(names.length > 2 ? [student.node] : []), wide);
  v.onDraw(() => {
    p.refresh();
    student.set(p.student() - 1);
    turn.set(place.get('turn'));
    scale.set(place.get('scale'));
    own.setAttribute('aria-pressed', image.isDrawing());
    clear.hidden = !image.isDrawing();
  });
}

// --------------------------------------------- the sheet, the image under the reader's hand, both opinions

function addSheet(v, p, row) {
  const { node } = panel(row, 'your sheet: pointer, or arrows and Space', 'hk-narrow');
  const { H, W, sheet, isDrawing, keep } = p.image;
  v.onDraw(() => {
    if (!isDrawing()) node.remove();
    else if (!node.parentNode) row.prepend(node);
  });
  sketch(v, node, { name: 'a sheet to draw on', H, W, pixels: sheet, on: keep });
}
function area(what) {
  return make('div', { class: 'hk-cells', role: 'application', tabindex: 0, 'aria-roledescription': what });
}
// The keys of image and map.
function letKeys(v, p, node) {
  const { place } = v;
  const actOf = (key, far) => {
    const [dx, dy] = p.here(), turn = place.get('turn'), scale = place.get('scale');
    return {
      ArrowLeft: () => p.push(dx - far, dy), ArrowRight: () => p.push(dx + far, dy),
      ArrowUp: () => p.push(dx, dy - far), ArrowDown: () => p.push(dx, dy + far), Home: () => p.push(0, 0),
      '[': () => p.anew({ turn: Math.max(-180, turn - 5) }), ']': () => p.anew({ turn: Math.min(180, turn + 5) }),
      '-': () => p.anew({ scale: Math.max(50, scale - 5) }), '+': () => p.anew({ scale: Math.min(150, scale + 5) }),
    }[key];
  };
  node.addEventListener('keydown', (e) => {
    const act = actOf(e.key, e.shiftKey ? 3 : 1);
    if (!act || v.covered || e.ctrlKey || e.metaKey || e.altKey) return;
    e.preventDefault();
    act();
  });
}
function addHand(v, p, row) {
  const { node } = panel(row, 'push it'), { shape, size, H, W } = p.image, held = { data: new Uint8Array(size), shape };
  const paint = painter(held), side = (wide) => Math.min(wide, 250), over = area('image; push it with the arrow keys');
  node.style.flex = '0 1 250px';
  const picture = canvas(v, node, {
    label: 'the image', height: (wide) => side(wide) * Math.min(1, H / W) + 2,
    draw(ctx, wide) {
      const s = side(wide) - 2, top = H < W ? (1 - H / W) * s / 2 : 0;
      p.image.moved(p.here(), held.data);
      paint(ctx, 0, 1, 1 - top, s);
      outlineRect(ctx, 0.5, 0.5, s + 1, s * Math.min(1, H / W) + 1, v.colours().line);
      const isOwn = p.label() === null || p.image.isDrawing();
      const name = `${isOwn ? 'your drawing' : `image of ${p.className()}`}, moved by ${written(p.here())}`;
      picture.say(`${name}, turned by ${v.place.get('turn')}°, scaled to ${v.place.get('scale')} %`);
      const how = 'arrows push, with Shift by 3 pixels, [ and ] turn, + and - scale, Home puts it back';
      over.setAttribute('aria-label', `${name}; ${how}`);
    } });
  Object.assign(over.style, { cursor: 'grab', outlineOffset: '-3px' });
  picture.box.append(over);
  const how = 'drag, or arrows (Shift: 3 pixels); [ ] turn, + − scale, Home back';
  node.append(make('p', { style: 'margin-top: .5rem; font-size: 12px' }, how));
  let grip = null;
  dragging(over, (e, down) => {
    if (v.covered) return;
    const unit = (side(picture.width) - 2) / Math.max(H, W), [dx, dy] = p.here();
    if (down) grip = { x: e.clientX, y: e.clientY, dx, dy };
    p.push(grip.dx + Math.round((e.clientX - grip.x) / unit), grip.dy + Math.round((e.clientY - grip.y) / unit));
  });
  letKeys(v, p, over);
}
// What teacher and student say, as far as it is known.
function addOpinions(v, p, row) {
  const { node, title } = panel(row, ''), { classes, looks } = v.state, nothing = new Float32Array(classes.length);
  let last = null;
  v.onDraw(() => {
    const now = p.opinions.of(p.here());
    if (now) last = { scene: p.opinions.scene(), move: p.here(), now };
    if (last && last.scene !== p.opinions.scene()) last = null;
    title.textContent = last ? `what they say at ${written(last.move)}` : 'what they say';
  });
  bars(v, node, { classes, hidden: () => !last, truth: () => p.label() ?? -1,
    series: () => p.both().map((m) => ({
      name: p.nameOf(m), look: looks[p.nameOf(m)], values: last ? last.now[m] : nothing })) });
}

// ---------------------------------------------------------------- the map of moves: who was right

const MAP = { left: 40, top: 2 };
// For each kind of move its colour, its letter ('' is a dot), its words.
function kindsOf(v, p) {
  const [teacher, student] = p.both().map(p.nameOf), { looks } = v.state;
  return [[PALETTE.both, '', 'both right'], [colourOf(v, looks[teacher]), 'T', `only ${teacher}`],
    [colourOf(v, looks[student]), 'S', `only ${student}`], [PALETTE.neither, '×', 'neither']];
}
function drawCell(ctx, x, y, s, [colour, letter]) {
  ctx.fillStyle = colour;
  ctx.fillRect(x, y, s, s);
  const font = `600 ${Math.min(12, s - 2)}px system-ui, sans-serif`;
  const letters = { colour: isDark(colour) ? PALETTE.white : PALETTE.black, align: 'center', base: 'middle', font };
  if (letter && s > 7) write(ctx, letter, x + s / 2, y + s / 2 + 0.5, letters);
  if (!letter) disc(ctx, x + s / 2, y + s / 2, Math.max(1, s / 8), PALETTE.black);
}
// The cells of the moves tried; how many there are of each kind.
function drawTried(ctx, p, kinds, tried, s, X, Y) {
  const counts = kinds.map(() => 0);
  for (const move of tried) {
    const opinion = p.opinions.of(move);
    if (!opinion) continue;
    const kind = kindOf(opinion, p.student(), p.label());
    counts[kind] += 1;
    drawCell(ctx, X(move[0]) + 0.5, Y(move[1]) + 0.5, s - 1, kinds[kind]);
  }
  return counts;
}
function drawMapAxes(v, ctx, reach, room, s, X, Y) {
  const small = { colour: v.colours().ink, font: SMALL };
  for (const t of [-reach, 0, reach]) {
    write(ctx, String(t), X(t) + s / 2, room + 14, { ...small, align: 'center' });
    write(ctx, String(t), MAP.left - 4, Y(t) + s / 2, { ...small, align: 'right', base: 'middle' });
  }
  write(ctx, 'dx, pixels right', MAP.left + room / 2, room + 29, { ...small, align: 'center' });
  writeUp(ctx, 'dy, pixels down', 9, MAP.top + room / 2, small);
}
function drawMap(v, ctx, p, wide, room) {
  const s = room / (2 * p.reach + 1);
  const X = (dx) => MAP.left + (dx + p.reach) * s, Y = (dy) => MAP.top + (dy + p.reach) * s;
  const { ink, line, soft } = v.colours(), kinds = kindsOf(v, p), [dx, dy] = p.here(), broke = v.place.get('broke');
  ctx.fillStyle = soft;
  for (const move of p.moves) ctx.fillRect(X(move[0]) + 0.5, Y(move[1]) + 0.5, s - 1, s - 1);
  outlineRect(ctx, MAP.left, MAP.top, room, room, line);
  const tried = movesIn(p.tried([p.here()])), counts = drawTried(ctx, p, kinds, tried, s, X, Y);
  if (broke?.length) {
    Object.assign(ctx, { strokeStyle: ink, lineWidth: 2 });
    ctx.setLineDash([4, 3]);
    ctx.beginPath();
    ctx.arc(X(0) + s / 2, Y(0) + s / 2, lengthOf(broke) * s, 0, 2 * Math.PI);
    ctx.stroke();
    ctx.setLineDash([]);
  }
  crosshair(ctx, X(dx) + s / 2, Y(dy) + s / 2, Math.max(s * 0.75, 6), 1.6);
  drawMapAxes(v, ctx, p.reach, room, s, X, Y);
  kinds.forEach((kind, i) => {
    const x = MAP.left + (i % 2) * Math.max(96, room / 2), y = room + 42 + 20 * Math.floor(i / 2);
    drawCell(ctx, x, y, 13, kind);
    const space = Math.min(room / 2, wide - x) - 20;
    write(ctx, kind[2], x + 18, y + 7, { colour: ink, font: SMALL, base: 'middle', wide: space });
  });
  return { tried: tried.length, counted: kinds.map((kind, i) => `${kind[2]} ${counts[i]}`).join(', ') };
}
function addMap(v, p, row) {
  const { node } = panel(row, 'who was right, shift by shift'), span = (wide) => Math.min(wide - MAP.left - 8, 250);
  const plane = area('map; move with the arrow keys');
  const drawing = canvas(v, node, {
    label: 'shifts tried', height: (wide) => span(wide) + 84,
    draw(ctx, wide) {
      const { tried, counted } = drawMap(v, ctx, p, wide, span(wide));
      drawing.say(`${tried} shifts tried: ${counted}`);
      plane.setAttribute('aria-label', `shifts tried; now at ${written(p.here())}. ${counted}`);
    } });
  drawing.box.append(plane);
  dragging(plane, (e) => {
    const box = plane.getBoundingClientRect(), room = span(drawing.width), s = room / (2 * p.reach + 1);
    if (v.covered || e.clientY - box.top >= room + 4) return;
    const [x, y] = [e.clientX - box.left - MAP.left, e.clientY - box.top - MAP.top];
    p.push(Math.floor(x / s) - p.reach, Math.floor(y / s) - p.reach);
  });
  letKeys(v, p, plane);
}

// ---------------------------------------------------------------- words

function addNote(v, p) {
  const { names } = v.state, inPage = names.filter((_, i) => p.nets[i]);
  const sentences = [
    inPage.length ? `Runs in this page: ${inPage.join(', ')}.` : '',
    p.away.length ? `Needs the notebook's kernel: ${p.away.join(', ')}.` : '',
    p.strangers.length ? `Did not say here what it says in torch: ${p.strangers.join(', ')}.` : ''];
  v.stage.append(make('p', { style: 'font-size: 12px' }, sentences.filter(Boolean).join(' ')));
}
function breakWords(v, p) {
  const broke = v.place.get('broke'), count = v.place.get('tried').length / 2 - 1;
  const [teacher, student] = p.both().map(p.nameOf);
  if (v.covered) return ' Answer first, then push.';
  if (broke === null) return '';
  if (broke.length) return ` The smallest break: ${written(broke)}, ${farOf(broke)}; ${count} moves tried.`;
  return ` No break within ${p.reach} pixels: on ${count} moves ${student} never changed its mind `
    + `where ${teacher} kept its own.`;
}
function captionOf(v, p) {
  const { place, state: { classes } } = v, move = p.here(), opinion = p.opinions.of(move);
  const isDrawing = p.image.isDrawing();
  if (p.image.isEmpty()) return 'The sheet is empty: draw on it.';
  const turned = place.get('turn') ? `, turned by ${place.get('turn')}°` : '';
  const scaled = place.get('scale') !== 100 ? `, scaled to ${place.get('scale')} %` : '';
  const where = move[0] || move[1] ? `moved by ${written(move)}, ${farOf(move)}` : 'unmoved';
  const start = `${isDrawing ? 'Your drawing' : `Image of ${p.className()}`}, ${where}${turned}${scaled}`;
  if (!opinion || !p.opinions.of([0, 0])) return `${start}: asking the kernel for ${p.away.join(' and ')} …`;
  const sure = (m) => `${classes[argmax(opinion[m])]} (${percent(Math.max(...opinion[m]))})`;
  const says = p.both().map((m) => `${p.nameOf(m)} says ${sure(m)}`).join(', ');
  const counts = isDrawing ? ` (what ${p.nameOf(0)} says of it unmoved counts as right)` : '';
  return `${start}: ${says}${counts}.${breakWords(v, p)}`;
}
function explanationOf(v, p) {
  const { place, state: { classes, why } } = v, move = p.here();
  const moved = p.opinions.of(move), unmoved = p.opinions.of([0, 0]);
  const word = (opinion, m) => (opinion ? classes[argmax(opinion[m])] : '?');
  const course = (m) => `${p.nameOf(m)} ${word(unmoved, m)} → ${word(moved, m)}`;
  const verdict = !v.covered && moved && unmoved ? `: ${p.isBreak(move) ? 'a break' : 'no break'}` : '';
  return [
    `Each pixel (x, y) shows what stood at c + R(−${place.get('turn')}°)·((x, y) − c − ${written(move)}) / `
    + `${place.get('scale') / 100}, with c the middle: straight lines between four pixels, black outside.`,
    `A break: ${p.nameOf(p.student())}'s likeliest class is another than for the unmoved image, the teacher's is `
    + `the same. Here: ${course(p.student())}, ${course(0)}${verdict}.`,
    `The search goes outwards ring by ring: all moves of length 1 (rounded), then 2, up to ${p.reach}; `
    + `${p.moves.length - 1} in all, the shortest first.`,
    ...why];
}

function setup(v) {
  const p = pushOf(v), row = panel(v.stage).node;
  addControls(v, p);
  row.className = 'hk-row';
  row.replaceChildren();
  addSheet(v, p, row);
  addHand(v, p, row);
  addOpinions(v, p, row);
  addMap(v, p, row);
  addNote(v, p);
  v.onDraw(() => v.caption(captionOf(v, p)));
  v.explain(() => explanationOf(v, p));
}

export default { render: view(setup) };
