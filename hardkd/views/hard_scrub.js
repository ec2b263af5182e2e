// HardScrub: the film of a run. Arrays: images (T,n,C,H,W) and original (n,C,H,W) bytes; teacher and student (T,n,K) bytes of
// probability; disagreement (T,n), step (T,), y (n,); widths (T,G) where the augmentor has them.
import { argmax, mean, short } from './numbers/basics.js';
import { panel, view } from './kit/frame.js';
import { button, tick, choose, timeline } from './kit/controls.js';
import { canvas, write, colourOf, painter } from './kit/canvas.js';
import { imageGrid, bars, lines } from './kit/charts.js';

function setup(v) {
  const { state, place } = v, { classes, looks, units } = state, images = v.array('images');
  const [T, n] = images.shape, K = classes.length, steps = Array.from(v.array('step').data), labels = v.array('y').data;
  const frame = () => (v.covered ? 0 : place.get('frame'));
  const probabilities = (who, t, i) => Array.from(v.array(who).data.subarray((t * n + i) * K, (t * n + i + 1) * K), (p) => p / 255);
  const verdicts = Object.fromEntries(['teacher', 'student'].map((who) => [who, Int32Array.from({ length: T * n }, (_, at) => argmax(v.array(who).data.subarray(at * K, (at + 1) * K)))]));
  const right = (who, t, i) => verdicts[who][t * n + i] === labels[i];
  const apart = (t, i) => v.array('disagreement').data[t * n + i];
  const count = (who, t) => { let sum = 0; for (let i = 0; i < n; i += 1) sum += right(who, t, i); return sum; };
  const curve = Array.from({ length: T }, (_, t) => mean(Array.from(v.array('disagreement').data.subarray(t * n, (t + 1) * n))));
  const pinned = () => place.get('pinned') || [];

  // Controls: time, order, filter, pins, a second time to compare with.
  timeline(v, T, (t) => `step ${steps[t]}`);
  const sort = tick('sort by disagreement', place.get('sort'), (on) => place.set({ sort: on }));
  const filter = choose('class', ['all', ...classes], 0, (k) => place.set({ only: k - 1 }));
  const pin = button('Pin image', () => {
    const image = place.get('image'), now = pinned();
    place.set({ pinned: now.includes(image) ? now.filter((i) => i !== image) : [...now, image] });
  });
  const compare = button('Compare with this time', () => place.set({ other: place.get('other') === null ? place.get('frame') : null }));
  v.controls.append(sort.node, filter.node, pin, compare);
  v.onDraw(() => {
    const other = place.get('other');
    sort.set(place.get('sort')); filter.set(place.get('only') + 1);
    pin.textContent = pinned().includes(place.get('image')) ? 'Unpin image' : 'Pin image';
    compare.textContent = other === null ? 'Compare with this time' : `Stop comparing with step ${steps[other]}`;
  });

  // The images, each with how much teacher and student believe in its label.
  const row = panel(v.stage).node;
  row.className = 'hk-row'; row.replaceChildren();
  const order = () => {
    const ids = Array.from({ length: n }, (_, i) => i).filter((i) => place.get('only') < 0 || labels[i] === place.get('only') || pinned().includes(i));
    if (place.get('sort')) ids.sort((a, b) => apart(frame(), b) - apart(frame(), a));
    return [...ids.filter((i) => pinned().includes(i)), ...ids.filter((i) => !pinned().includes(i))];
  };
  const grid = panel(row, '', 'hk-broad');
  const dyes = () => ({ teacher: colourOf(v, looks.teacher), student: colourOf(v, looks.student), soft: v.colours().soft });
  let shades = null;
  v.onDraw(() => {
    shades = dyes();
    grid.title.textContent = place.get('sort') ? 'As the augmentor made them, most disagreement first' : 'As the augmentor made them';
  });
  imageGrid(v, grid.node, {
    array: images, name: 'hard images', side: 52, order, at: (i) => frame() * n + i,
    border: (i) => (pinned().includes(i) ? '#E69F00' : null),
    under: { tall: 14, draw(ctx, i, x, y, wide) {
      const t = frame(), at = (t * n + i) * K + labels[i];
      for (const [j, who] of ['teacher', 'student'].entries()) {
        ctx.fillStyle = shades.soft; ctx.fillRect(x, y + 6 * j, wide, 4);
        ctx.fillStyle = shades[who]; ctx.fillRect(x, y + 6 * j, wide * v.array(who).data[at] / 255, 4);
      }
      if (right('teacher', t, i) && !right('student', t, i)) { ctx.fillStyle = shades.student; ctx.beginPath(); ctx.moveTo(x + wide, y - 3); ctx.lineTo(x + wide - 11, y - 3); ctx.lineTo(x + wide, y - 14); ctx.fill(); }
    } },
    label: (i) => { const t = frame(); return `${classes[labels[i]]}: teacher says ${classes[verdicts.teacher[t * n + i]]}, student ${classes[verdicts.student[t * n + i]]}, disagreement ${short(apart(t, i))}`; } });
  grid.node.append(Object.assign(document.createElement('p'), { textContent: 'Bars: belief in the label, teacher above student. A corner: teacher right, student wrong.' }));

  // The chosen image: as it was, as it is, as it was at the other time; what both say.
  const detail = panel(row, '', 'hk-narrow'), paintHard = painter(images), paintOld = painter(v.array('original'));
  detail.node.style.flexBasis = '17rem';
  v.onDraw(() => { const i = place.get('image'); detail.title.textContent = `Image ${i}: ${classes[labels[i]]}`; });
  canvas(v, detail.node, {
    label: 'the chosen image', height: () => 98,
    draw(ctx, wide) {
      const i = place.get('image'), other = v.covered ? null : place.get('other'), side = Math.min(76, (wide - 16) / 3), { ink } = v.colours();
      const shown = [['original', () => paintOld(ctx, i, 0, 0, side)], [`step ${steps[frame()]}`, () => paintHard(ctx, frame() * n + i, side + 8, 0, side)]];
      if (other !== null) shown.push([`step ${steps[other]}`, () => paintHard(ctx, other * n + i, 2 * side + 16, 0, side)]);
      shown.forEach(([text, draw], k) => { draw(); write(ctx, text, k * (side + 8) + side / 2, side + 14, { colour: ink, align: 'center', wide: side + 6 }); });
    } });
  bars(v, detail.node, {
    classes, top: Math.min(6, K), name: 'what both say', truth: () => labels[place.get('image')],
    series: () => ['teacher', 'student'].map((who) => ({ name: who, look: looks[who], values: probabilities(who, frame(), place.get('image')) })) });

  // Curves with the same cursor.
  const below = panel(v.stage).node;
  below.className = 'hk-row'; below.replaceChildren();
  const seek = (t) => { if (!v.covered) place.set({ frame: t }); }, until = () => (v.covered ? 1 : T);
  lines(v, panel(below, 'How far apart teacher and student are').node, {
    name: 'disagreement', x: steps, xlabel: "student's step", ylabel: 'nats', cursor: frame, seek, until, zero: true,
    series: () => [{ name: `mean of ${n}`, look: looks.augmentor, values: curve }, { name: `image ${place.get('image')}`, look: { color: '#7A7A7A', linestyle: ':', marker: 'D' }, values: Array.from({ length: T }, (_, t) => apart(t, place.get('image'))) }] });
  const widths = v.has('widths') ? v.array('widths') : null, G = units.length;
  const width = (t, g) => widths.data[t * G + g], inUnits = (t, g) => `${short(width(t, g) * units[g].factor)}\u00a0${units[g].unit}`;
  if (widths) {
    const columns = units.map((_, g) => Array.from({ length: T }, (_, t) => width(t, g)));
    lines(v, panel(below, 'How far the augmentor goes').node, {
      name: 'learned widths', x: steps, xlabel: "student's step", ylabel: 'width', cursor: frame, seek, until, zero: true,
      series: () => units.map((u, g) => ({ name: `${u.name} ${inUnits(frame(), g)}`, look: looks[u.name], values: columns[g] })) });
  }

  const widest = (t) => units.map((u, g) => [width(t, g), `${u.name} ±${inUnits(t, g)}`]).sort((a, b) => b[0] - a[0]).slice(0, 3).map(([, text]) => text).join(', ');
  v.onDraw(() => {
    const t = frame(), other = v.covered ? null : place.get('other');
    const at = (t) => `Step ${steps[t]}: teacher right on ${count('teacher', t)} of ${n}, student on ${count('student', t)}; mean disagreement ${short(curve[t])} nats`;
    v.caption(other === null ? `${at(t)}${widths ? `. Widest: ${widest(t)}` : ''}.` : `${at(t)}. ${at(other)}.`);
  });
  v.explain(() => {
    const t = frame(), i = place.get('image');
    return [`Disagreement of an image = T² · KL(teacher ‖ student), both softened at T = ${state.temperature}: image ${i} at step ${steps[t]}: ${short(apart(t, i))} nats.`,
      `The curve is its mean over the ${n} images that were watched: ${short(curve[t])} nats now, ${short(Math.max(...curve))} at most.`,
      ...(widths ? [`Each image is warped by a draw of its own, even between ± the width: now ${units.map((u, g) => `${u.name} ±${inUnits(t, g)}`).join(', ')}. The draws are the same in every frame.`] : [])];
  });
}

export default { render: view(setup) };
