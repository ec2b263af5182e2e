// TemperatureDial: one image, teacher and student softened, and the gradient that KL leaves on the student's logits.
// Arrays: logits (M,n,K) float32, model 0 the teacher; images (n,C,H,W) bytes; label (n,).
import { clamp, percent, argmax, short, softmax } from './numbers/basics.js';
import { panel, view } from './kit/frame.js';
import { slider, tick, choose, dragging } from './kit/controls.js';
import { canvas, write, colourOf, filling, marker, painter } from './kit/canvas.js';
import { imageGrid, bars } from './kit/charts.js';

// The dial's stops: eighths of an octave from 0.25, and 20.
const STOPS = [...Array.from({ length: 51 }, (_, i) => 0.25 * 2 ** (i / 8)), 20];
const power = (e) => (e >= -2 && e <= 2 ? String(Number((10 ** e).toPrecision(1))) : `10${[...String(e)].map((c) => '⁰¹²³⁴⁵⁶⁷⁸⁹'[c] || '⁻').join('')}`);
const degree = (T) => String(Number(T.toPrecision(3)));
function chance(p) {
  if (p < 1e-6) return '< 0.0001 %';
  return p >= 0.1 ? percent(p) : p >= 0.001 ? percent(p, 1) : `${Number((100 * p).toPrecision(2))} %`;
}
// What both believe at a temperature, their KL, and its gradient for the student's logits, plain; times T² where wanted.
function softened(teacher, student, T) {
  const p = softmax(teacher, T), q = softmax(student, T), logs = (z) => { const high = Math.max(...z); return high / T + Math.log(Array.from(z).reduce((a, x) => a + Math.exp((x - high) / T), 0)); };
  const a = logs(teacher), b = logs(student);
  const kl = p.reduce((sum, x, k) => sum + (x ? x * (teacher[k] / T - a - student[k] / T + b) : 0), 0);
  const gradient = q.map((x, k) => (x - p[k]) / T);
  return { p, q, kl: Math.max(0, kl), gradient, length: Math.hypot(...gradient) };
}

function setup(v) {
  const { state, place } = v, { names, looks, classes } = state, logits = v.array('logits'), [, n, K] = logits.shape;
  const images = v.array('images'), label = (i) => classes[v.array('label').data[i]], paint = painter(images);
  const row = (model, i) => logits.data.subarray((model * n + i) * K, (model * n + i + 1) * K);
  const T = () => (v.covered ? 1 : place.get('temperature')), student = () => place.get('student'), image = () => place.get('image');
  const times = (t) => (place.get('squared') ? t * t : 1);

  // Everything at the dial's stops, once for an image and a student.
  let key = '', curve = null;
  const all = () => {
    const now = `${image()} ${student()}`;
    if (now === key) return curve;
    key = now;
    const t = row(0, image()), s = row(student(), image()), steps = STOPS.map((x) => softened(t, s, x));
    const most = Math.max(1e-12, ...steps.map((x, i) => STOPS[i] ** 2 * Math.max(...x.gradient.map(Math.abs))));
    const four = softened(t, s, 4), best = four.p.map((x, k) => Math.max(x, four.q[k]));
    const shown = best.map((_, k) => k).sort((a, b) => best[b] - best[a]).slice(0, 10).sort((a, b) => a - b);
    curve = { steps, most, shown, one: softened(t, s, 1) };
    return curve;
  };
  const now = () => softened(row(0, image()), row(student(), image()), T());

  // Controls.
  const nearest = (t) => STOPS.reduce((best, x, i) => (Math.abs(Math.log(x / t)) < Math.abs(Math.log(STOPS[best] / t)) ? i : best), 0);
  const dial = slider('temperature T', { min: 0, max: STOPS.length - 1, value: nearest(T()), format: (i) => degree(STOPS[i]), on: (i) => place.set({ temperature: STOPS[i] }) });
  const squared = tick('times T²', place.get('squared'), (on) => place.set({ squared: on }));
  const log = tick('log axis', place.get('log'), (on) => place.set({ log: on }));
  const who = choose('student', names.slice(1), student() - 1, (i) => place.set({ student: i + 1 }));
  v.controls.append(dial.node, squared.node, log.node, ...(names.length > 2 ? [who.node] : []));
  v.onDraw(() => { dial.set(nearest(T())); squared.set(place.get('squared')); log.set(place.get('log')); who.set(student() - 1); });

  // The image and its neighbours.
  const stage = document.createElement('div');
  stage.className = 'hk-row';
  v.stage.append(stage);
  const left = panel(stage, 'image');
  left.node.style.flex = '1 1 11.5rem';
  const big = canvas(v, left.node, { label: 'the image', height: () => 118, draw(ctx) {
    const { line } = v.colours();
    paint(ctx, image(), 1, 1, 112); ctx.strokeStyle = line; ctx.lineWidth = 1; ctx.strokeRect(0.5, 0.5, 113, 113);
    big.say(`image ${image()} of ${label(image())}`);
  } });
  imageGrid(v, left.node, { array: images, name: 'images, from sure to doubtful', side: 31, at: (i) => i, order: () => Array.from({ length: n }, (_, i) => i), label: (i) => `image ${i}: ${label(i)}` });

  // What both believe; the same classes in the same order at every T.
  const middle = panel(stage), shownNames = [];
  middle.node.style.flex = '4 1 17rem';
  const series = () => [[names[0], 'p'], [names[student()], 'q']].map(([name, which]) => { const x = now()[which]; return { name, look: looks[name], values: all().shown.map((k) => x[k]) }; });
  shownNames.push(...all().shown.map((k) => classes[k]));
  v.onDraw(() => {
    all().shown.forEach((k, i) => { shownNames[i] = classes[k]; });
    left.title.textContent = `image of ${label(image())}`;
    middle.title.textContent = `What they believe at T = ${degree(T())}${place.get('log') ? ' (log axis)' : ''}`;
  });
  const beliefs = bars(v, middle.node, { name: 'probabilities', classes: shownNames, series, log: () => place.get('log'), form: chance, truth: () => all().shown.indexOf(v.array('label').data[image()]) });

  // The gradient: at one scale for all T, so that it can be seen to grow.
  const right = panel(stage);
  right.node.style.flex = '4 1 17rem';
  v.onDraw(() => { right.title.textContent = `Gradient on the student's logits${place.get('squared') ? ', times T²' : ''}`; });
  const push = canvas(v, right.node, {
    label: 'gradient', height: () => beliefs.height || 250,
    draw(ctx, wide) {
      const { shown, most } = all(), pitch = (beliefs.height - 24) / shown.length, { gradient } = now(), { ink, line } = v.colours(), small = { colour: ink, font: '11px system-ui, sans-serif' };
      const names10 = Math.min(wide * 0.3, 12 + Math.max(...shown.map((k) => { ctx.font = '12px system-ui, sans-serif'; return ctx.measureText(classes[k]).width; })));
      const middleX = names10 + 44 + (wide - names10 - 88) / 2, room = (wide - names10 - 88) / 2, fill = filling(ctx, v, looks[names[student()]]), said = [];
      write(ctx, '← raises the logit', middleX - 8, 11, { ...small, align: 'right' });
      write(ctx, 'lowers it →', middleX + 8, 11, small);
      shown.forEach((k, i) => {
        const y = 20 + i * pitch, g = gradient[k] * times(T()), far = clamp(g / most, -1, 1) * room;
        write(ctx, classes[k], names10 - 6, y + 8, { colour: ink, align: 'right', base: 'middle', wide: names10 - 6 });
        ctx.fillStyle = fill; ctx.fillRect(middleX + Math.min(0, far), y, Math.abs(far), 15);
        const text = `${g > 0 ? '+' : ''}${short(g)}${Math.abs(g) > most * 1.001 ? (g > 0 ? ' »' : ' «') : ''}`;
        write(ctx, text, middleX + far + (g < 0 ? -5 : 5), y + 8, { ...small, align: g < 0 ? 'right' : 'left', base: 'middle' });
        said.push(`${classes[k]} ${text}`);
      });
      ctx.strokeStyle = line; ctx.lineWidth = 1; ctx.beginPath(); ctx.moveTo(middleX, 16); ctx.lineTo(middleX, 20 + shown.length * pitch); ctx.stroke();
      push.say(`gradient: ${said.join(', ')}`);
    } });

  // How long it is at every T, with T² and without.
  const below = panel(v.stage, 'How long the gradient is');
  const [from, to] = [Math.log(STOPS[0]), Math.log(20)], edge = { left: 50, right: 92, top: 8, low: 32, tall: 150 };
  let room = 1;
  const across = (t) => edge.left + (Math.log(t) - from) / (to - from) * room;
  const length = canvas(v, below.node, {
    label: 'length of the gradient', height: () => edge.tall,
    draw(ctx, wide) {
      const { ink, soft, line, page } = v.colours(), small = { colour: ink, font: '11px system-ui, sans-serif' }, { steps } = all();
      room = wide - edge.left - edge.right;
      const values = [1, 0].map((on) => steps.map((x, i) => x.length * (on ? STOPS[i] ** 2 : 1)));
      const every = values.flat().filter((x) => x > 0), b = Math.ceil(Math.log10(Math.max(...every, 1e-9))), a = Math.max(b - 6, Math.floor(Math.log10(Math.min(...every, 1))));
      const Y = (x) => edge.top + (b - Math.log10(Math.max(x, 10 ** a))) / (b - a || 1) * (edge.tall - edge.top - edge.low);
      for (let e = a; e <= b; e += Math.ceil((b - a) / 4) || 1) {
        ctx.strokeStyle = soft; ctx.lineWidth = 1; ctx.beginPath(); ctx.moveTo(edge.left, Y(10 ** e)); ctx.lineTo(edge.left + room, Y(10 ** e)); ctx.stroke();
        write(ctx, power(e), edge.left - 5, Y(10 ** e), { ...small, align: 'right', base: 'middle' });
      }
      for (const t of [0.25, 0.5, 1, 2, 4, 8, 20]) {
        ctx.strokeStyle = line; ctx.beginPath(); ctx.moveTo(across(t), edge.tall - edge.low); ctx.lineTo(across(t), edge.tall - edge.low + 4); ctx.stroke();
        write(ctx, String(t), across(t), edge.tall - 17, { ...small, align: 'center' });
      }
      write(ctx, 'temperature T', edge.left + room / 2, edge.tall - 4, { ...small, align: 'center' });
      if (v.covered) write(ctx, '?', edge.left + room * 0.75, edge.tall / 2, { colour: ink, align: 'center', base: 'middle', font: '600 28px system-ui, sans-serif' });
      else {
        const look = looks[names[student()]], on = place.get('squared'), ends = [];
        values.forEach((v2, i) => {
          const active = on === !i;
          ctx.strokeStyle = active ? colourOf(v, look) : line; ctx.lineWidth = active ? 3 : 1.5; ctx.setLineDash(i ? [4, 3] : []); ctx.beginPath();
          v2.forEach((x, j) => { if (x >= 10 ** a) ctx.lineTo(across(STOPS[j]), Y(x)); });
          ctx.stroke(); ctx.setLineDash([]);
          ends.push({ text: i ? 'without T²' : 'with T²', y: Y(v2[v2.length - 1]), active });
        });
        if (Math.abs(ends[0].y - ends[1].y) < 14) ends[1].y = ends[0].y + 14;
        for (const e of ends) write(ctx, e.text, edge.left + room + 7, clamp(e.y, 8, edge.tall - edge.low), { colour: ink, base: 'middle', font: `${e.active ? '600 ' : ''}12px system-ui, sans-serif` });
        const here = now().length * times(T());
        ctx.strokeStyle = ink; ctx.lineWidth = 1.5; ctx.beginPath(); ctx.moveTo(across(T()), edge.top - 4); ctx.lineTo(across(T()), edge.tall - edge.low + 4); ctx.stroke();
        ctx.fillStyle = page; ctx.beginPath(); ctx.arc(across(T()), Y(here), 7, 0, 7); ctx.fill();
        ctx.fillStyle = colourOf(v, look); marker(ctx, look, across(T()), Y(here), 5);
      }
      length.say(v.covered ? 'length of the gradient: not shown yet' : `length of the gradient at T = ${degree(T())}: ${short(now().length * times(T()))}`);
    } });
  length.box.style.cursor = 'ew-resize';
  dragging(length.box, (e) => {
    if (v.covered) return;
    const t = Math.exp(from + clamp((e.clientX - length.box.getBoundingClientRect().left - edge.left) / room, 0, 1) * (to - from));
    place.set({ temperature: STOPS[nearest(t)] });
  });

  const runner = (p) => { const a = argmax(p); return [a, p.reduce((best, x, k) => (k !== a && (best < 0 || x > p[best]) ? k : best), -1)]; };
  v.onDraw(() => {
    const t = T(), x = now(), { one } = all(), [a, b] = runner(x.p), on = place.get('squared');
    const first = `T = ${degree(t)}: the ${names[0]} gives ${chance(x.p[a])} to '${classes[a]}' and ${chance(x.p[b])} to the runner-up '${classes[b]}'${t === 1 ? '' : ` (at T = 1: ${chance(one.p[b])})`}; ${names[student()]}: ${chance(x.q[b])}. `;
    const kl = `KL ${short(x.kl)} nats${on && t !== 1 ? `, times T² ${short(x.kl * t * t)}` : ''}. `;
    const ratio = (s) => (one.length ? `${short(x.length * s / one.length)} times` : 'as nothing is');
    v.caption(first + kl + (t === 1 ? `The gradient is ${short(x.length)} long.`
      : on ? `The gradient is ${ratio(t * t)} as long as at T = 1; without T² ${ratio(1)}.` : `Without T² the gradient is ${ratio(1)} as long as at T = 1; with it ${ratio(t * t)}.`));
  });
  v.explain(() => {
    const t = T(), x = now(), b = runner(x.p)[1], s = times(t), factor = place.get('squared') ? 'T²·' : '', f = (y) => short(y);
    return [`Softened: p = softmax(logits / T). The runner-up ${classes[b]}: ${names[0]} p = ${f(x.p[b])}, ${names[student()]} q = ${f(x.q[b])} at T = ${degree(t)}.`,
      `KL = Σ p·(ln p − ln q) = ${f(x.kl)} nats; times T² = ${degree(t * t)}: ${f(x.kl * t * t)}.`,
      `Gradient for its logit: ${factor}(q − p)/T = ${s === 1 ? '' : `${degree(s)}·`}(${f(x.q[b])} − ${f(x.p[b])})/${degree(t)} = ${f(x.gradient[b] * s)}.`,
      `Over all ${K} classes its length is ${f(x.length * s)}; at T = 1 it is ${f(all().one.length)}.`];
  });
}

export default { render: view(setup) };
