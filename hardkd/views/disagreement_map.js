// DisagreementMap: disagreement over two kinds of warps. Arrays: disagreement (S,n,G,G), change (n,G,G) and sure (n,G,G) of the
// teacher, probs (M,n,G,G,K) bytes, images (n,C,H,W) bytes, label (n,), back (G*G,6): where pixels look in each cell;
// with a recorded run step (T,) and cloud (T,2), the augmentor's widths in parts of the map's reach. image n is one that the kernel sent.
import { clamp, percent, argmax, mean, short } from './numbers/basics.js';
import { warped } from './warp.js';
import { make, panel, view } from './kit/frame.js';
import { button, choose, timeline } from './kit/controls.js';
import { canvas, write, colourOf, dashes, painter } from './kit/canvas.js';
import { heatGrid, bars } from './kit/charts.js';

function setup(v) {
  const { state, place } = v, { names, looks, classes, axes, temperature, weight } = state, G = axes[0].at.length, K = classes.length, A = G * G;
  const images = v.array('images'), [n, C, H, W] = images.shape, shape = [C, H, W], size = C * H * W, back = v.array('back').data, S = names.length - 1;
  const chosen = () => place.get('student'), middle = { row: (G - 1) / 2, col: (G - 1) / 2 };
  const number = (x) => `${x > 0 ? '+' : x < 0 ? '−' : ''}${short(Math.abs(Number(x.toFixed(6))))}`;
  const spot = ({ row, col }) => [[axes[0], col], [axes[1], row]].map(([a, i]) => `${a.name} ${number(a.at[i])} ${a.unit}`).join(', ');

  const wide = (a, share) => (a.unit === '%' ? 100 * ((1 + a.at[G - 1] / 100) ** share - 1) : share * a.at[G - 1]);   // of the cloud

  // One image's numbers: sent with the view, or asked for.
  let asked = null;
  const shown = () => (place.get('image') < n ? place.get('image') : asked ? n : 0);
  const part = (name, from, length) => v.array(name).data.subarray(from, from + length);
  const apart = (i, s = chosen()) => (i < n ? part('disagreement', ((s - 1) * n + i) * A, A) : asked.disagreement.data.subarray((s - 1) * A, s * A));
  const change = (i) => (i < n ? part('change', i * A, A) : asked.change.data);
  const sureOf = (i) => (i < n ? part('sure', i * A, A) : asked.sure.data);
  const probs = (i, model, at) => Array.from(i < n ? part('probs', ((model * n + i) * A + at) * K, K) : asked.probs.data.subarray((model * A + at) * K, (model * A + at + 1) * K), (b) => b / 255);
  const label = (i) => (i < n ? v.array('label').data[i] : asked.label);
  const average = (get) => { const total = new Float64Array(A); for (let i = 0; i < n; i += 1) { const x = get(i); for (let k = 0; k < A; k += 1) total[k] += x[k] / n; } return total; };
  const means = { sure: average(sureOf), change: average(change), apart: Array.from({ length: S }, (_, s) => average((i) => apart(i, s + 1))) };
  const field = () => (place.get('mean') ? means.apart[chosen() - 1] : apart(shown()));
  const doubt = () => (place.get('mean') ? means.change : change(shown()));
  const sure = (at) => (place.get('mean') ? means.sure : sureOf(shown()))[at] >= 127.4;
  const top = () => { const f = field(); let best = -1; for (let k = 0; k < A; k += 1) if (sure(k) && (best < 0 || f[k] > f[best])) best = k; return best; };
  const cellOf = (k) => ({ row: Math.floor(k / G), col: k % G }), at = ({ row, col }) => row * G + col;

  // The cell that is looked at: chosen, or else the middle while the question is open, later the cell with the most.
  const here = () => { const r = place.get('row'); return r !== null ? { row: r, col: place.get('col') } : v.covered || top() < 0 ? middle : cellOf(top()); };

  // The reader's mark, and what it is worth.
  v.mark = () => place.get('mark');
  v.judge = ([row, col]) => {
    const f = means.apart[0], k = row * G + col, best = f.reduce((b, x, i) => (means.sure[i] >= 127.4 && (b < 0 || x > f[b]) ? i : b), -1);
    const said = `Your mark at ${spot({ row, col })}:`;
    return means.sure[k] < 127.4 ? `${said} there the teacher is not sure.` : `${said} ${short(f[k])} nats, ${percent(f[k] / f[best])} of the most there is.`;
  };
  let waiting = v.covered;
  v.onDraw(() => { if (waiting && !v.covered) { waiting = false; place.set({ row: null, col: null }); } });

  // Controls.
  const student = choose('student', names.slice(1), chosen() - 1, (i) => place.set({ student: i + 1 }));
  const whose = choose('map', [`mean of ${n} images`, 'this image'], place.get('mean') ? 0 : 1, (i) => place.set({ mean: i === 0 }));
  const next = button('next image', () => place.set({ image: (shown() + 1) % n }));
  const most = button('go to the most', () => place.set({ row: null, col: null }));
  const index = make('input', { type: 'number', min: 0, max: state.available - 1, value: 0, style: 'width: 6em' });
  const ask = button('ask the kernel', async () => {
    const told = await v.ask({ index: clamp(Math.round(Number(index.value) || 0), 0, state.available - 1) });
    if (told) { asked = told; place.set({ image: n, mean: false, index: told.index }); v.draw(); }
  });
  v.controls.append(most, next, whose.node, ...(S > 1 ? [student.node] : []), make('span', { style: 'display: inline-flex; gap: .4rem; flex-wrap: wrap' }, make('label', {}, `image 0 to ${state.available - 1}`, index), ask));
  v.onDraw(() => { student.set(chosen() - 1); whose.set(place.get('mean') ? 0 : 1); });
  if (v.has('cloud')) timeline(v, v.array('step').shape[0], (i) => `step ${v.array('step').data[i]}`);

  // The map: hatched where the teacher is not sure, with the augmentor's cloud, the mark and the maximum.
  const row = panel(v.stage).node;
  row.className = 'hk-row'; row.replaceChildren();
  const plane = panel(row, '', 'hk-broad');
  const title = () => `KL(${names[0]} ‖ ${names[chosen()]}), nats, ${place.get('mean') ? `mean of ${n} images` : 'this image'}`;
  plane.node.style.flex = '2 1 24rem';
  const flag = (ctx, text, x, y, colour) => {
    const far = x > 270;
    ctx.font = '600 12px system-ui, sans-serif'; ctx.textAlign = far ? 'right' : 'left'; ctx.textBaseline = 'middle';
    const dx = far ? -9 : 9;
    ctx.lineWidth = 3; ctx.strokeStyle = '#000'; ctx.strokeText(text, x + dx, y); ctx.fillStyle = colour; ctx.fillText(text, x + dx, y);
  };
  const star = (ctx, x, y, r, points) => {
    ctx.beginPath();
    for (let i = 0; i < 2 * points; i += 1) { const a = Math.PI * (i / points - 0.5), l = i % 2 ? r * 0.45 : r; ctx.lineTo(x + l * Math.cos(a), y + l * Math.sin(a)); }
    ctx.closePath(); ctx.lineWidth = 3; ctx.strokeStyle = '#000'; ctx.stroke(); ctx.fillStyle = '#fff'; ctx.fill();
  };
  const extra = (ctx, X, Y, cell) => {
    const x0 = X(0) - cell / 2, y0 = Y(0) - cell / 2, side = G * cell, { dark } = v.colours();
    ctx.save(); ctx.beginPath(); ctx.rect(x0, y0, side, side); ctx.clip();
    ctx.save(); ctx.beginPath();
    for (let k = 0; k < A; k += 1) if (!sure(k)) ctx.rect(x0 + (k % G) * cell, y0 + Math.floor(k / G) * cell, cell + 0.5, cell + 0.5);
    ctx.fillStyle = 'rgba(128, 128, 128, 0.55)'; ctx.fill(); ctx.clip();
    ctx.strokeStyle = dark && v.covered ? 'rgba(255, 255, 255, 0.7)' : 'rgba(0, 0, 0, 0.55)'; ctx.lineWidth = 1; ctx.beginPath();
    for (let t = -side; t < side; t += 9) { ctx.moveTo(x0 + t, y0 + side); ctx.lineTo(x0 + t + side, y0); }
    ctx.stroke(); ctx.restore();
    const edges = () => {
      ctx.beginPath();
      for (let r = 0; r < G; r += 1) for (let c = 0; c < G; c += 1) {
        const s = sure(r * G + c), x = x0 + c * cell, y = y0 + r * cell;
        if (c + 1 < G && s !== sure(r * G + c + 1)) { ctx.moveTo(x + cell, y); ctx.lineTo(x + cell, y + cell); }
        if (r + 1 < G && s !== sure(r * G + G + c)) { ctx.moveTo(x, y + cell); ctx.lineTo(x + cell, y + cell); }
      }
      ctx.stroke();
    };
    for (const [colour, width] of [['#000', 4], ['#fff', 2]]) { ctx.strokeStyle = colour; ctx.lineWidth = width; edges(); }
    if (v.has('cloud') && !v.covered) {
      const [w, h] = part('cloud', 2 * place.get('frame'), 2), rx = w * (G - 1) / 2 * cell, ry = h * (G - 1) / 2 * cell, cx = X((G - 1) / 2), cy = Y((G - 1) / 2);
      for (const [colour, width, dash] of [['#000', 5, []], ['#fff', 3.5, []], ['#009E73', 2.5, dashes(looks.augmentor)]]) {
        ctx.strokeStyle = colour; ctx.lineWidth = width; ctx.setLineDash(dash); ctx.strokeRect(cx - rx, cy - ry, 2 * rx, 2 * ry);
      }
      ctx.setLineDash([]);
      flag(ctx, 'augmentor', Math.max(x0, cx - rx) - 3, rx > 60 ? Math.max(y0, cy - ry) + 12 : cy - ry - 9, '#fff');
    }
    ctx.restore();
    if (!v.covered && top() >= 0) { const c = cellOf(top()); star(ctx, X(c.col), Y(c.row), 9, 5); flag(ctx, 'most', X(c.col), Y(c.row) - 13, '#fff'); }
    const mark = place.get('mark');
    if (mark) { star(ctx, X(mark[1]), Y(mark[0]), 8, 4); flag(ctx, 'you', X(mark[1]), Y(mark[0]) + 14, '#fff'); }
  };
  const ends = (a) => [number(a.at[0]), number(a.at[G - 1]), '0'];
  const ceiling = () => Math.max(1e-6, ...(place.get('mean') ? means.apart.map((f) => Math.max(...f)) : Array.from({ length: S }, (_, s) => Math.max(...apart(shown(), s + 1)))));
  heatGrid(v, plane.node, {
    rows: G, cols: G, most: 340, at: here, name: title, extra, span: () => [0, ceiling()], form: (x) => (x && x < 0.1 ? x.toExponential(0) : short(x)),
    values: (r, c) => (v.covered ? null : field()[r * G + c]),
    on: (cell) => place.set({ ...cell, ...(v.covered ? { mark: [cell.row, cell.col] } : {}) }),
    axes: { x: ends(axes[0]), y: ends(axes[1]), xlabel: `${axes[0].name}, ${axes[0].unit}`, ylabel: `${axes[1].name}, ${axes[1].unit}` },
    say: (r, c) => `${spot({ row: r, col: c })}: ${v.covered ? 'not shown yet' : `${short(field()[r * G + c])} nats`}, the teacher is ${sure(r * G + c) ? 'sure' : 'not sure'}` });
  v.onDraw(() => { plane.title.textContent = title(); });
  const key = make('p', { style: 'margin-top: .5rem; font-size: 12px' }, `hatched: the teacher is not sure any more${v.has('cloud') ? '; green frame: as far as the augmentor goes' : ''}`);
  plane.node.append(key);

  // One cell: the image there, its loss terms, both opinions.
  const one = panel(row, ''), held = { data: new Uint8Array(size), shape }, paint = painter(held), pic = (wide) => Math.min(wide, 190);
  one.node.style.flex = '1 1 15rem';
  const terms = () => { const i = shown(), k = at(here()), d = apart(i)[k], t = change(i)[k]; return [['disagreement', d, names[chosen()]], ['teacher’s change of mind', t, names[0]], ['hardness', d - weight * t, 'augmentor']]; };
  const drawing = canvas(v, one.node, {
    label: 'image in this cell', height: (wide) => pic(wide) + 128,
    draw(ctx, wide) {
      const i = shown(), side = pic(wide), { ink, line, soft } = v.colours();
      warped(i < n ? part('images', i * size, size) : asked.image.data, shape, back.subarray(6 * at(here()), 6 * at(here()) + 6), held.data);
      paint(ctx, 0, 1, 1, side - 2); ctx.strokeStyle = line; ctx.lineWidth = 1; ctx.strokeRect(0.5, 0.5, side - 1, side - 1);
      const all = terms(), far = Math.max(...all.map((x) => Math.abs(x[1])), 1e-6), zero = all[2][1] < 0 && !v.covered ? wide * 0.35 : 0, room = wide - zero - 56;
      all.forEach(([name, value, who], j) => {
        const y = side + 12 + 38 * j, covered = v.covered && j !== 1, length = covered ? 0 : value / far * (value < 0 ? zero - 46 : room);
        write(ctx, `${j === 1 ? `− ${short(weight)} × ` : j === 2 ? '= ' : ''}${name}`, 0, y + 8, { colour: ink, wide });
        ctx.fillStyle = soft; ctx.fillRect(zero, y + 13, 1, 14);
        ctx.fillStyle = colourOf(v, looks[who]); ctx.fillRect(zero + Math.min(0, length), y + 14, Math.abs(length), 12);
        write(ctx, covered ? '?' : short(value), value < 0 ? zero + 4 : zero + Math.max(0, length) + 5, y + 20, { colour: ink, base: 'middle' });
      });
      drawing.say(`Image of ${classes[label(i)]} at ${spot(here())}. ${v.covered ? '' : all.map(([name, value]) => `${name} ${short(value)}`).join(', ')}`);
    } });
  const both = panel(row, '');
  bars(v, both.node, { classes, truth: () => label(shown()), series: () => [0, ...(v.covered ? [] : [chosen()])].map((i) => ({ name: names[i], look: looks[names[i]], values: probs(shown(), i, at(here())) })) });
  v.onDraw(() => { one.title.textContent = `image ${shown() < n ? `${shown() + 1} of ${n}` : place.get('index')}, in this cell`; both.title.textContent = v.covered ? `what ${names[0]} says there` : 'what they say there'; });

  v.onDraw(() => {
    const k = at(here()), i = shown(), who = v.covered ? [0] : [0, chosen()], p = who.map((m) => { const q = probs(i, m, k); return `${names[m]} says ${classes[argmax(q)]} (${percent(Math.max(...q))})`; });
    const start = `At ${spot(here())}, image of ${classes[label(i)]}: ${p.join(', ')}.`;
    if (v.covered) return v.caption(`${start} The teacher is ${sure(k) ? '' : 'not '}sure there${place.get('mean') ? ` on ${percent(means.sure[k] / 255)} of ${n} images` : ''}.`);
    const m = top(), f = field(), end = m < 0 ? 'The teacher is sure nowhere.' : `Most while the teacher is sure: ${short(f[m])} nats at ${spot(cellOf(m))}; here ${short(f[k])}${sure(k) ? '' : ', but the teacher is not sure here'}.`;
    const cloud = v.has('cloud') ? ` The augmentor at step ${v.array('step').data[place.get('frame')]}: ${axes.map((a, j) => `${a.name} ±${short(wide(a, part('cloud', 2 * place.get('frame') + j, 1)[0]))} ${a.unit}`).join(', ')}.` : '';
    return v.caption(`${start} ${end}${cloud}`);
  });
  v.explain(() => {
    if (v.covered) return ['Answer the question first.'];
    const [[, d], [, t], [, h]] = terms(), T = temperature;
    return [`Disagreement: KL(${names[0]} ‖ ${names[chosen()]}) of the answers softened at temperature ${T}, times ${T}². Here, for this image: ${short(d)} nats.`,
      `The teacher's change of mind: the same between its answers on this image and on the untouched one: ${short(t)} nats.`,
      `Hardness = disagreement − ${short(weight)} × change = ${short(d)} − ${short(weight)} × ${short(t)} = ${short(h)} nats: what the augmentor climbs.`,
      `Sure: its answer on the untouched image still has at least 50 %${place.get('mean') ? `, for at least half of the ${n} images` : ''}. Over the whole map, the mean disagreement is ${short(mean(Array.from(field())))}, the mean change ${short(mean(Array.from(doubt())))}.`];
  });
}

export default { render: view(setup) };
