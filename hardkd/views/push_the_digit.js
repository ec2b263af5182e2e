// PushTheDigit: one image, pushed. Arrays: images (n,C,H,W) bytes, label (n,), known (M,n,K) logits of the unmoved images,
// order (L,2) shifts from the shortest to the longest, and the weights of the networks that run here ('0/name', '1/name', ...).
// state.nets: for each model what makeNet takes, or null where the kernel answers; image -1 is the reader's own drawing.
import { clamp, percent, argmax, softmax } from './numbers/basics.js';
import { makeNet } from './net.js';
import { warped, lookBack } from './warp.js';
import { base64 } from './kit/page.js';
import { make, panel, view } from './kit/frame.js';
import { slider, button, choose, dragging } from './kit/controls.js';
import { canvas, write, colourOf, painter } from './kit/canvas.js';
import { bars, sketch } from './kit/charts.js';

const STILL = { dx: 0, dy: 0, tried: [0, 0], broke: null };
const pause = (ms) => new Promise((go) => { setTimeout(go, ms); });

function setup(v) {
  const { state, place } = v, { names, looks, classes, max_shift: m } = state, K = classes.length, M = names.length;
  const images = v.array('images'), known = v.array('known').data, [n, C, H, W] = images.shape, shape = [C, H, W], size = C * H * W;
  const ways = Array.from({ length: v.array('order').shape[0] }, (_, i) => Array.from(v.array('order').data.subarray(2 * i, 2 * i + 2)));
  const here = () => [place.get('dx'), place.get('dy')], long = (d) => Math.hypot(...d).toFixed(1), at = (d) => `(${d[0]}, ${d[1]})`;
  const chosen = () => place.get('student'), drawing = () => place.get('image') < 0;

  // The networks that run in this page, each believed only after it has said of two images what torch said of them.
  const floats = (bytes) => Float32Array.from(bytes, (b) => b / 255), strangers = [];
  const awake = (layers, i) => {
    if (!layers) return null;
    const named = Object.fromEntries(layers.flatMap((layer) => ['weight', 'bias', 'scale', 'shift'].map((k) => layer[k]).filter(Boolean)).map((k) => [k, v.array(`${i}/${k}`).data]));
    const net = makeNet(layers, named), few = Math.min(2, n), said = net.run(floats(images.data.subarray(0, few * size)), few);
    const want = known.subarray(i * n * K, (i * n + few) * K), most = Math.max(1, ...want.map(Math.abs));
    if (said.every((z, k) => Math.abs(z - want[k]) <= 1e-4 * most)) return net;
    strangers.push(names[i]);
    return null;
  };
  const nets = state.nets.map(awake), away = names.filter((_, i) => !nets[i]);

  // What is pushed, and what has been said of it. A scene is an image as it is drawn, turned and scaled; a new one forgets the last.
  const pixels = new Float32Array(H * W);
  let drawn = '', scene = '', seen = new Map(), pending = '', hunt = 0;
  const original = () => (drawing() ? Uint8Array.from({ length: size }, (_, i) => Math.round(255 * pixels[i % (H * W)])) : images.data.subarray(place.get('image') * size, (place.get('image') + 1) * size));
  const moved = (d, out = new Uint8Array(size)) => warped(original(), shape, lookBack(shape, { dx: d[0], dy: d[1], turn: place.get('turn'), scale: place.get('scale') / 100 }), out);
  const opinion = (d) => seen.get(String(d));
  const refresh = () => {
    if (place.get('drawn') !== drawn) {
      drawn = place.get('drawn');
      const bytes = atob(drawn);
      pixels.forEach((_, i) => { pixels[i] = drawn ? bytes.charCodeAt(i) / 255 : 0; });
    }
    const now = JSON.stringify(['image', 'turn', 'scale', 'drawn'].map((k) => place.get(k)));
    if (now === scene) return;
    scene = now; seen = new Map(); hunt += 1;
    const i = place.get('image');
    if (i >= 0 && place.get('turn') === 0 && place.get('scale') === 100) seen.set('0,0', names.map((_, k) => softmax(known.subarray((k * n + i) * K, (k * n + i + 1) * K))));
  };
  // Ask all networks about some shifts, a few at a time; false when the answer came too late or not at all.
  const consider = async (shifts) => {
    const mine = scene, todo = shifts.filter((d) => !seen.has(String(d))), step = away.length ? Math.max(1, Math.floor(3e5 / size)) : 6;
    for (let i = 0; i < todo.length; i += step) {
      const part = todo.slice(i, i + step), bytes = new Uint8Array(part.length * size);
      part.forEach((d, k) => moved(d, bytes.subarray(k * size, (k + 1) * size)));
      const told = away.length ? await v.ask({ images: base64(bytes), count: part.length }) : {};
      if (!told || mine !== scene || !v.alive) return false;
      const x = floats(bytes), logits = nets.map((net, j) => (net ? net.run(x, part.length) : told.logits.data.subarray(j * part.length * K, (j + 1) * part.length * K)));
      part.forEach((d, k) => seen.set(String(d), logits.map((z) => softmax(z.subarray(k * K, (k + 1) * K)))));
      if (i + step < todo.length && !away.length) await pause(0);
      if (mine !== scene) return false;
    }
    return true;
  };
  const look = () => {
    const wanted = scene + here();
    if (wanted === pending || (opinion(here()) && opinion([0, 0]))) return;
    pending = wanted;
    consider([[0, 0], here()]).then((done) => { if (done && away.length) v.draw(); });
  };

  // What counts as right, and as a break: the student's likeliest class is another than for the unmoved image, the teacher's is not.
  const truth = () => { if (!drawing()) return v.array('label').data[place.get('image')]; const p = opinion([0, 0]); return p ? argmax(p[0]) : null; };
  const rights = (d) => opinion(d) && [0, chosen()].map((i) => argmax(opinion(d)[i]) === truth());
  const changed = (d, i) => argmax(opinion(d)[i]) !== argmax(opinion([0, 0])[i]);
  const breaks = (d) => changed(d, chosen()) && !changed(d, 0);
  const withTried = (more) => {
    const old = place.get('tried'), held = new Set(Array.from({ length: old.length / 2 }, (_, i) => `${old[2 * i]},${old[2 * i + 1]}`));
    return [...old, ...more.filter((d) => !held.has(String(d))).flat()];
  };
  const push = (dx, dy) => { hunt += 1; const d = [clamp(dx, -m, m), clamp(dy, -m, m)]; place.set({ dx: d[0], dy: d[1], tried: withTried([d]) }); };
  const anew = (changes) => place.set({ ...changes, tried: [0, 0], broke: null });
  const find = async () => {
    const mine = hunt += 1, calm = matchMedia('(prefers-reduced-motion: reduce)').matches;
    anew({ dx: 0, dy: 0 });
    for (let r = 1; r <= m; r += 1) {
      const ring = ways.filter((d) => Math.round(Math.hypot(...d)) === r);
      if (!await consider([[0, 0], ...ring]) || mine !== hunt || !v.alive) return;
      const broke = ring.find(breaks);
      place.set({ tried: withTried(ring), ...(broke ? { broke, dx: broke[0], dy: broke[1] } : {}) });
      if (broke) return;
      if (!calm) await pause(90);
      if (mine !== hunt) return;
    }
    place.set({ broke: [] });
  };

  // Controls.
  const student = choose('student', names.slice(1), chosen() - 1, (i) => { hunt += 1; place.set({ student: i + 1, broke: null }); });
  const next = button('next image', () => place.set({ ...STILL, image: (place.get('image') + 1) % n }));
  const own = button('draw your own', () => place.set({ ...STILL, image: drawing() ? 0 : -1 }));
  const clear = button('clear the sheet', () => place.set({ ...STILL, drawn: '' }));
  const search = button('find the break', find);
  search.className = 'hk-main';
  const turn = slider('turn', { min: -180, max: 180, step: 5, value: 0, format: (x) => `${x}°`, on: (x) => anew({ turn: x }) });
  const scale = slider('scale', { min: 50, max: 150, step: 5, value: 100, format: (x) => `${x} %`, on: (x) => anew({ scale: x }) });
  v.controls.append(search, next, ...(H * W <= 4096 ? [own, clear] : []), ...(M > 2 ? [student.node] : []), make('div', { style: 'display: flex; flex-wrap: wrap; flex: 1 1 100%; gap: .35rem .9rem' }, turn.node, scale.node));
  v.onDraw(() => {
    refresh(); look();
    student.set(chosen() - 1); turn.set(place.get('turn')); scale.set(place.get('scale'));
    own.setAttribute('aria-pressed', drawing()); clear.hidden = !drawing();
  });

  // The sheet (while the reader draws), the image under the reader's hand, both opinions, the shifts tried.
  const row = panel(v.stage).node;
  row.className = 'hk-row'; row.replaceChildren();
  const sheet = panel(row, 'your sheet: pointer, or arrows and Space', 'hk-narrow');
  v.onDraw(() => { if (!drawing()) sheet.node.remove(); else if (!sheet.node.parentNode) row.prepend(sheet.node); });
  sketch(v, sheet.node, { name: 'a sheet to draw on', H, W, pixels, on: () => { drawn = base64(Uint8Array.from(pixels, (p) => Math.round(255 * p))); place.set({ ...STILL, drawn }); } });

  const hand = panel(row, 'push it'), held = { data: new Uint8Array(size), shape }, paint = painter(held), side = (wide) => Math.min(wide, 250);
  hand.node.style.flex = '0 1 250px';
  const picture = canvas(v, hand.node, {
    label: 'the image', height: (wide) => side(wide) * Math.min(1, H / W) + 2,
    draw(ctx, wide) {
      const s = side(wide) - 2, top = H < W ? (1 - H / W) * s / 2 : 0;
      moved(here(), held.data);
      paint(ctx, 0, 1, 1 - top, s);
      ctx.strokeStyle = v.colours().line; ctx.lineWidth = 1; ctx.strokeRect(0.5, 0.5, s + 1, s * Math.min(1, H / W) + 1);
      const name = truth() === null ? 'your drawing' : drawing() ? 'your drawing' : `image of ${classes[truth()]}`;
      picture.say(`${name}, moved by ${at(here())}, turned by ${place.get('turn')}°, scaled to ${place.get('scale')} %`);
      area.setAttribute('aria-label', `${name}, moved by ${at(here())}; arrows push, with Shift by 3 pixels, [ and ] turn, + and - scale, Home puts it back`);
    } });
  const area = make('div', { class: 'hk-cells', role: 'application', tabindex: 0, 'aria-roledescription': 'image; push it with the arrow keys' });
  area.style.cursor = 'grab'; area.style.outlineOffset = '-3px';
  picture.box.append(area);
  hand.node.append(make('p', { style: 'margin-top: .5rem; font-size: 12px' }, 'drag, or arrows (Shift: 3 pixels); [ ] turn, + − scale, Home back'));
  let grip = null;
  dragging(area, (e, down) => {
    if (v.covered) return;
    const unit = (side(picture.width) - 2) / Math.max(H, W);
    if (down) grip = { x: e.clientX, y: e.clientY, dx: here()[0], dy: here()[1] };
    push(grip.dx + Math.round((e.clientX - grip.x) / unit), grip.dy + Math.round((e.clientY - grip.y) / unit));
  });
  const keys = (e) => {
    if (v.covered || e.ctrlKey || e.metaKey || e.altKey) return;
    const [dx, dy] = here(), far = e.shiftKey ? 3 : 1, a = place.get('turn'), s = place.get('scale');
    const acts = { ArrowLeft: () => push(dx - far, dy), ArrowRight: () => push(dx + far, dy), ArrowUp: () => push(dx, dy - far), ArrowDown: () => push(dx, dy + far), Home: () => push(0, 0),
      '[': () => anew({ turn: Math.max(-180, a - 5) }), ']': () => anew({ turn: Math.min(180, a + 5) }), '-': () => anew({ scale: Math.max(50, s - 5) }), '+': () => anew({ scale: Math.min(150, s + 5) }) };
    if (!acts[e.key]) return;
    e.preventDefault();
    acts[e.key]();
  };
  area.addEventListener('keydown', keys);

  const both = panel(row, ''), uniform = new Float32Array(K);
  let last = null;
  v.onDraw(() => {
    const now = opinion(here());
    if (now) last = { scene, d: here(), now };
    if (last && last.scene !== scene) last = null;
    both.title.textContent = last ? `what they say at ${at(last.d)}` : 'what they say';
  });
  bars(v, both.node, { classes, hidden: () => !last, truth: () => truth() ?? -1, series: () => [0, chosen()].map((i) => ({ name: names[i], look: looks[names[i]], values: last ? last.now[i] : uniform })) });

  const KINDS_OF_RIGHT = () => [['#009E73', '', 'both right'], [colourOf(v, looks[names[0]]), 'T', `only ${names[0]}`], [colourOf(v, looks[names[chosen()]]), 'S', `only ${names[chosen()]}`], ['#555', '×', 'neither']];
  const kind = (d) => { const r = rights(d); return r ? (r[0] ? (r[1] ? 0 : 1) : (r[1] ? 2 : 3)) : null; };
  const cell = (ctx, x, y, s, [colour, letter]) => {
    ctx.fillStyle = colour; ctx.fillRect(x, y, s, s);
    const dark = ['#555', '#0072B2', '#000000'].includes(colour);
    if (letter && s > 7) write(ctx, letter, x + s / 2, y + s / 2 + 0.5, { colour: dark ? '#fff' : '#000', align: 'center', base: 'middle', font: `600 ${Math.min(12, s - 2)}px system-ui, sans-serif` });
    if (!letter) { ctx.fillStyle = '#000'; ctx.beginPath(); ctx.arc(x + s / 2, y + s / 2, Math.max(1, s / 8), 0, 2 * Math.PI); ctx.fill(); }
  };
  const field = panel(row, 'who was right, shift by shift'), S = 2 * m + 1, left = 40, span = (wide) => Math.min(wide - left - 8, 250);
  const map = canvas(v, field.node, {
    label: 'shifts tried', height: (wide) => span(wide) + 84,
    draw(ctx, wide) {
      const room = span(wide), s = room / S, X = (dx) => left + (dx + m) * s, Y = (dy) => 2 + (dy + m) * s, { ink, line, soft, page } = v.colours(), small = { colour: ink, font: '11px system-ui, sans-serif' };
      ctx.fillStyle = soft;
      for (const d of ways) ctx.fillRect(X(d[0]) + 0.5, Y(d[1]) + 0.5, s - 1, s - 1);
      ctx.strokeStyle = line; ctx.lineWidth = 1; ctx.strokeRect(left, 2, room, room);
      const tried = withTried([here()]), looks4 = KINDS_OF_RIGHT(), counts = [0, 0, 0, 0];
      for (let i = 0; i < tried.length; i += 2) {
        const d = [tried[i], tried[i + 1]], k = kind(d);
        if (k !== null) { counts[k] += 1; cell(ctx, X(d[0]) + 0.5, Y(d[1]) + 0.5, s - 1, looks4[k]); }
      }
      const broke = place.get('broke');
      if (broke?.length) {
        ctx.strokeStyle = ink; ctx.lineWidth = 2; ctx.setLineDash([4, 3]);
        ctx.beginPath(); ctx.arc(X(0) + s / 2, Y(0) + s / 2, Math.hypot(...broke) * s, 0, 2 * Math.PI); ctx.stroke(); ctx.setLineDash([]);
      }
      const x = X(here()[0]) + s / 2, y = Y(here()[1]) + s / 2, r = Math.max(s * 0.75, 6);
      for (const [colour, width] of [['#000', 4], ['#fff', 2]]) {
        ctx.strokeStyle = colour; ctx.lineWidth = width; ctx.beginPath(); ctx.arc(x, y, r, 0, 2 * Math.PI);
        for (const [a, b] of [[1, 0], [-1, 0], [0, 1], [0, -1]]) { ctx.moveTo(x + a * r, y + b * r); ctx.lineTo(x + a * r * 1.6, y + b * r * 1.6); }
        ctx.stroke();
      }
      for (const t of [-m, 0, m]) {
        write(ctx, String(t), X(t) + s / 2, room + 14, { ...small, align: 'center' });
        write(ctx, String(t), left - 4, Y(t) + s / 2, { ...small, align: 'right', base: 'middle' });
      }
      write(ctx, 'dx, pixels right', left + room / 2, room + 29, { ...small, align: 'center' });
      ctx.save(); ctx.translate(9, 2 + room / 2); ctx.rotate(-Math.PI / 2); write(ctx, 'dy, pixels down', 0, 0, { ...small, align: 'center', base: 'middle' }); ctx.restore();
      looks4.forEach((look, i) => {
        const x0 = left + (i % 2) * Math.max(96, room / 2), y0 = room + 42 + 20 * Math.floor(i / 2);
        cell(ctx, x0, y0, 13, look);
        write(ctx, look[2], x0 + 18, y0 + 7, { ...small, base: 'middle', wide: Math.min(room / 2, wide - x0) - 20 });
      });
      const told = looks4.map((look, i) => `${look[2]} ${counts[i]}`).join(', ');
      map.say(`${tried.length / 2} shifts tried: ${told}`);
      plane.setAttribute('aria-label', `shifts tried; now at ${at(here())}. ${told}`);
    } });
  const plane = make('div', { class: 'hk-cells', role: 'application', tabindex: 0, 'aria-roledescription': 'map; move with the arrow keys' });
  map.box.append(plane);
  dragging(plane, (e) => {
    const box = plane.getBoundingClientRect(), s = span(map.width) / S;
    if (!v.covered && e.clientY - box.top < span(map.width) + 4) push(Math.floor((e.clientX - box.left - left) / s) - m, Math.floor((e.clientY - box.top - 2) / s) - m);
  });
  plane.addEventListener('keydown', keys);

  // Words.
  const note = make('p', { style: 'font-size: 12px' });
  note.textContent = [away.length < M ? `Runs in this page: ${names.filter((_, i) => nets[i]).join(', ')}.` : '',
    away.length ? `Needs the notebook's kernel: ${away.join(', ')}.` : '',
    strangers.length ? `Did not say here what it says in torch: ${strangers.join(', ')}.` : ''].filter(Boolean).join(' ');
  v.stage.append(note);
  v.onDraw(() => {
    const d = here(), p = opinion(d), broke = place.get('broke'), i = chosen(), name = names[i];
    const also = `${place.get('turn') ? `, turned by ${place.get('turn')}°` : ''}${place.get('scale') !== 100 ? `, scaled to ${place.get('scale')} %` : ''}`;
    const start = `${drawing() ? 'Your drawing' : `Image of ${classes[truth()]}`}, ${d[0] || d[1] ? `moved by ${at(d)}, ${long(d)} pixels` : 'unmoved'}${also}`;
    if (drawing() && !drawn) return v.caption('The sheet is empty: draw on it.');
    if (!p || !opinion([0, 0])) return v.caption(`${start}: asking the kernel for ${away.join(' and ')} …`);
    const says = [0, i].map((k) => `${names[k]} says ${classes[argmax(p[k])]} (${percent(Math.max(...p[k]))})`).join(', ');
    const count = place.get('tried').length / 2;
    const end = broke === null ? '' : broke.length
      ? ` The smallest break: ${at(broke)}, ${long(broke)} pixels; ${count - 1} moves tried.`
      : ` No break within ${m} pixels: on ${count - 1} moves ${name} never changed its mind where ${names[0]} kept its own.`;
    return v.caption(`${start}: ${says}${drawing() ? ` (what ${names[0]} says of it unmoved counts as right)` : ''}.${v.covered ? ' Answer first, then push.' : end}`);
  });
  v.explain(() => {
    const d = here(), s = place.get('scale') / 100, p = opinion(d), z = opinion([0, 0]), word = (q, i) => (q ? classes[argmax(q[i])] : '?'), i = chosen();
    return [`Each pixel (x, y) shows what stood at c + R(−${place.get('turn')}°)·((x, y) − c − ${at(d)}) / ${s}, with c the middle: straight lines between four pixels, black outside.`,
      `A break: ${names[i]}'s likeliest class is another than for the unmoved image, the teacher's is the same. Here: ${names[i]} ${word(z, i)} → ${word(p, i)}, ${names[0]} ${word(z, 0)} → ${word(p, 0)}${v.covered ? '' : p && z ? `: ${breaks(d) ? 'a break' : 'no break'}` : ''}.`,
      `The search goes outwards ring by ring: all moves of length 1 (rounded), then 2, up to ${m}; ${ways.length - 1} in all, the shortest first.`, ...state.why];
  });
}

export default { render: view(setup) };
