// AugmentorCloud: the transforms that the augmentor emits, and you in its place. Arrays: emitted (T,n,A), step (T,),
// apart and swayed (S,S): disagreement, and the teacher's change of mind, when all images are moved by a shift.
import { clamp, percent, mean, short } from './numbers/basics.js';
import { panel, view } from './kit/frame.js';
import { slider, choose, timeline } from './kit/controls.js';
import { tint } from './kit/canvas.js';
import { lines, scatter } from './kit/charts.js';

function setup(v) {
  const { state, place } = v, { axes, looks, reach, stride } = state, emitted = v.array('emitted');
  const [T, n, A] = emitted.shape, S = 2 * reach / stride + 1, steps = Array.from(v.array('step').data);
  const frame = () => (v.covered ? 0 : place.get('frame'));
  const value = (t, i, a) => emitted.data[(t * n + i) * A + a];
  const points = (t, a, b) => Array.from({ length: n }, (_, i) => [value(t, i, a), value(t, i, b)]);
  const spread = (t, a) => { const all = Array.from({ length: n }, (_, i) => value(t, i, a)), m = mean(all); return Math.sqrt(mean(all.map((x) => (x - m) ** 2))); };
  const onShifts = () => axes[place.get('x')].shift === 'x' && axes[place.get('y')].shift === 'y';

  // Hardness of a shift, between the measured ones by straight lines; of a lump, its mean over the lump.
  const at = (name, x, y) => {
    const grid = v.array(name).data, fx = clamp((x + reach) / stride, 0, S - 1), fy = clamp((y + reach) / stride, 0, S - 1);
    const c = Math.min(S - 2, Math.floor(fx)), r = Math.min(S - 2, Math.floor(fy)), a = fx - c, b = fy - r;
    return (grid[r * S + c] * (1 - a) + grid[r * S + c + 1] * a) * (1 - b) + (grid[(r + 1) * S + c] * (1 - a) + grid[(r + 1) * S + c + 1] * a) * b;
  };
  const hardness = (x, y) => at('apart', x, y) - place.get('weight') * at('swayed', x, y);
  const OFFSETS = Array.from({ length: 49 }, (_, i) => [(i % 7) / 3 - 1, Math.floor(i / 7) / 3 - 1]);
  const lump = () => OFFSETS.map(([a, b]) => [place.get('dx') + a * place.get('spread'), place.get('dy') + b * place.get('spread')]);
  const score = (cloud) => mean(cloud.map(([x, y]) => hardness(x, y)));
  // Share of the plane, where it pays to be, that a cloud comes near to.
  const covered = (cloud) => {
    let all = 0, hit = 0;
    for (let r = 0; r < S; r += 1) for (let c = 0; c < S; c += 1) {
      const x = c * stride - reach, y = r * stride - reach;
      if (hardness(x, y) <= 0) continue;
      all += 1; hit += cloud.some(([a, b]) => Math.abs(a - x) <= stride && Math.abs(b - y) <= stride);
    }
    return all ? hit / all : 0;
  };

  timeline(v, T, (t) => `step ${steps[t]}`);
  const across = choose('across', axes.map((a) => a.name), place.get('x'), (x) => place.set({ x }));
  const down = choose('down', axes.map((a) => a.name), place.get('y'), (y) => place.set({ y }));
  const size = slider('your spread, ±', { min: 0, max: reach, step: 0.5, value: place.get('spread'), format: (s) => `${s} px`, on: (s) => place.set({ spread: s }) });
  const weight = slider('invariance weight', { min: 0, max: 3, step: 0.1, value: place.get('weight'), format: (w) => w.toFixed(1), on: (w) => place.set({ weight: w }) });
  v.controls.append(across.node, down.node, size.node, weight.node);
  v.onDraw(() => { across.set(place.get('x')); down.set(place.get('y')); size.set(place.get('spread')); weight.set(place.get('weight')); });

  const row = panel(v.stage).node;
  row.className = 'hk-row'; row.replaceChildren();
  const plane = panel(row, '', 'hk-broad');
  v.onDraw(() => { plane.title.textContent = onShifts() ? 'Triangles: how each image was changed. Square: you. Shade: how hard a shift is' : 'Triangles: how each image was changed'; });
  const limits = (a) => (axes[a].shift ? [-reach, reach] : [-axes[a].limit, axes[a].limit]);
  scatter(v, plane.node, {
    name: 'what the augmentor emits', most: 380,
    span: () => ({ x: limits(place.get('x')), y: limits(place.get('y')) }),
    labels: () => [place.get('x'), place.get('y')].map((a) => `${axes[a].name}, ${axes[a].unit}`),
    points: () => [{ look: looks.augmentor, xy: points(frame(), place.get('x'), place.get('y')), size: 4.5 }],
    under: (ctx, X, Y) => {
      if (!onShifts() || v.covered) return;
      const most = Math.max(1e-6, ...Array.from({ length: S * S }, (_, i) => hardness((i % S) * stride - reach, Math.floor(i / S) * stride - reach)));
      for (let r = 0; r < S; r += 1) for (let c = 0; c < S; c += 1) {
        const x = c * stride - reach, y = r * stride - reach, side = X(stride) - X(0), h = hardness(x, y);
        ctx.globalAlpha = 0.45; ctx.fillStyle = h <= 0 ? v.colours().page : tint(h / most);
        const x0 = Math.round(X(x) - side / 2), y0 = Math.round(Y(y) - side / 2);
        ctx.fillRect(x0, y0, Math.round(X(x) + side / 2) - x0, Math.round(Y(y) + side / 2) - y0);
      }
      ctx.globalAlpha = 1;
    },
    extra: (ctx, X, Y) => {
      if (!onShifts() || v.covered) return;
      const [x, y, s] = [place.get('dx'), place.get('dy'), place.get('spread')];
      for (const [colour, width] of [[v.colours().page, 5], [v.colours().ink, 2.5]]) {
        ctx.strokeStyle = colour; ctx.lineWidth = width;
        ctx.strokeRect(X(x - s) - 4, Y(y - s) - 4, X(x + s) - X(x - s) + 8, Y(y + s) - Y(y - s) + 8);
      }
    },
    drag: ({ x, y }) => { if (onShifts() && !v.covered) place.set({ dx: Math.round(x * 2) / 2, dy: Math.round(y * 2) / 2 }); },
    keys: ([a, b], far) => { if (onShifts() && !v.covered) place.set({ dx: clamp(place.get('dx') + a * (far ? 3 : 1), -reach, reach), dy: clamp(place.get('dy') + b * (far ? 3 : 1), -reach, reach) }); },
    say: () => `Step ${steps[frame()]}; spread across ${short(spread(frame(), place.get('x')))}, down ${short(spread(frame(), place.get('y')))}. You are at (${place.get('dx')}, ${place.get('dy')}).` });

  lines(v, panel(row, 'How wide the cloud is').node, {
    name: 'spread of the cloud', x: steps, xlabel: "student's step", ylabel: 'standard deviation / range of the axis', cursor: frame, tall: 240, zero: true,
    seek: (t) => { if (!v.covered) place.set({ frame: t }); }, until: () => (v.covered ? 1 : T),
    series: () => axes.map((axis, a) => ({ name: axis.name, look: looks[axis.name], values: curves[a] })) });
  const curves = axes.map((axis, a) => Array.from({ length: T }, (_, t) => spread(t, a) / (2 * limits(a)[1])));

  const theirs = () => points(frame(), axes.findIndex((a) => a.shift === 'x'), axes.findIndex((a) => a.shift === 'y'));
  v.onDraw(() => {
    const t = frame(), cloud = `Step ${steps[t]}: the cloud spreads ${[place.get('x'), place.get('y')].map((a) => `${short(spread(t, a))} ${axes[a].unit} along ${axes[a].name}`).join(', ')}`;
    if (v.covered || !onShifts()) return v.caption(`${cloud}.`);
    v.caption(`${cloud}. Hardness for this student: you ${short(score(lump()))}, the augmentor ${short(score(theirs()))}. Of the hard shifts you come near ${percent(covered(lump()))}, the augmentor ${percent(covered(theirs()))}.`);
  });
  v.explain(() => {
    const [x, y] = [place.get('dx'), place.get('dy')];
    if (v.covered) return ['Answer the question first.'];
    return [`Hardness of a shift = disagreement − weight · the teacher's change of mind; at (${x}, ${y}): ${short(at('apart', x, y))} − ${place.get('weight')} · ${short(at('swayed', x, y))} = ${short(hardness(x, y))} nats.`,
      `A score is the mean over the cloud, against the student as it is ${state.judged}. One lump at the hardest place scores best, for one turn: a student learns one shift quickly, and the lump is worth nothing.`,
      'What prevents a lump here: draws are even between − and + the width, so the only way to a hard place is to grow wide; and the student plays in between.'];
  });
}

export default { render: view(setup) };
