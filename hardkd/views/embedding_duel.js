// EmbeddingDuel: teacher's and students' features in a plane, each image with its shifted copies. Arrays: images (n,C,H,W) bytes; label (n,);
// for student i from 1: teacher{i} and student{i} (T,n,V,2) places, tail{i} (T,2,n) of both, gap{i} (T,n), step{i} (T,) for runs.
import { clamp, percent, mean, short } from './numbers/basics.js';
import { make, panel, view } from './kit/frame.js';
import { tick, choose, timeline } from './kit/controls.js';
import { canvas, write, colourOf, marker, painter, tint } from './kit/canvas.js';
import { imageGrid, bars, lines, scatter } from './kit/charts.js';

// Markers that the kit draws as circles, so that no two students look alike.
const ring = (k, turn = 0, inner = 1, size = 1.2) => Array.from({ length: k }, (_, j) => [Math.sin(2 * Math.PI * (j / k + turn)), -Math.cos(2 * Math.PI * (j / k + turn))].map((x) => x * size * (j % 2 ? inner : 1)));
const PLUS = [[-0.4, -1.2], [0.4, -1.2], [0.4, -0.4], [1.2, -0.4], [1.2, 0.4], [0.4, 0.4], [0.4, 1.2], [-0.4, 1.2], [-0.4, 0.4], [-1.2, 0.4], [-1.2, -0.4], [-0.4, -0.4]];
const SIGNS = { P: PLUS, X: PLUS.map(([x, y]) => [(x - y) * 0.75, (x + y) * 0.75]), h: ring(6), p: ring(5), 8: ring(8, 1 / 16), '*': ring(10, 0, 0.45, 1.5), '<': ring(3, -0.25), '>': ring(3, 0.25), d: [[0, -1.4], [0.8, 0], [0, 1.4], [-0.8, 0]] };
function sign(ctx, { marker: kind }, x, y, r) {
  if (!SIGNS[kind]) return marker(ctx, { marker: kind }, x, y, r);
  ctx.beginPath();
  for (const [a, b] of SIGNS[kind]) ctx.lineTo(x + a * r, y + b * r);
  ctx.closePath(); ctx.fill();
  return undefined;
}

const MODES = ['model', 'class of the image', 'shift'], SMALL = '11px system-ui, sans-serif';

function setup(v) {
  const { state, place } = v, { names, looks, classes, shifts, moments } = state, images = v.array('images'), [n, , H, W] = images.shape, V = shifts.length;
  const labels = v.array('label').data, name = (i) => classes[labels[i]], paint = painter(images), students = names.slice(1).map((_, i) => i + 1);
  const order = Array.from({ length: n }, (_, i) => i).sort((a, b) => labels[a] - labels[b] || a - b);
  const T = (s) => v.array(`tail${s}`).shape[0], image = () => clamp(place.get('image'), 0, n - 1);
  const frame = () => (v.covered ? 0 : clamp(place.get('frame'), 0, moments - 1));
  const one = () => clamp(place.get('student'), 1, students.length), shown = () => (place.get('beside') ? students : [one()]);
  const mode = () => place.get('colour');

  // Each run shows the moment that is its nearest share of the longest one.
  const share = (s, f) => { const last = T(s) - 1, all = moments - 1; return all ? Math.floor((2 * f * last + all) / (2 * all)) : 0; };
  const moment = (s) => share(s, frame());
  const steps = (s) => (v.has(`step${s}`) ? Array.from(v.array(`step${s}`).data) : Array(T(s)).fill(0));
  const longest = students.reduce((a, b) => (T(b) > T(a) ? b : a)), alike = students.every((s) => String(steps(s)) === String(steps(longest)));
  const times = alike ? steps(longest) : Array.from({ length: moments }, (_, f) => 100 * f / Math.max(1, moments - 1));
  const when = (f) => (alike ? `step ${short(times[f])}` : `${times[f].toFixed(0)} % of the run`);
  const WHO = ['teacher', 'student'];
  const at = (s, who, i, k) => { const from = ((moment(s) * n + i) * V + k) * 2, { data } = v.array(`${WHO[who]}${s}`); return [data[from], data[from + 1]]; };
  const tail = (s, who, i, t = moment(s)) => v.array(`tail${s}`).data[(t * 2 + who) * n + i];
  const tails = (s, who, t = moment(s)) => mean(Array.from({ length: n }, (_, i) => tail(s, who, i, t)));
  const gap = (s, i) => v.array(`gap${s}`).data[moment(s) * n + i], gaps = (s) => mean(Array.from({ length: n }, (_, i) => gap(s, i)));
  // One square for all moments and all planes.
  const edge = [0, 1].map((axis) => students.flatMap((s) => WHO.map((who) => v.array(`${who}${s}`).data)).reduce(([a, b], data) => {
    for (let i = axis; i < data.length; i += 2) { a = Math.min(a, data[i]); b = Math.max(b, data[i]); }
    return [a, b];
  }, [Infinity, -Infinity]));
  const tenth = (x) => Math.round(10 * x) / 10, half = Math.ceil(5.4 * Math.max(...edge.map(([a, b]) => b - a)) + 0.5) / 10;
  const [across, along] = edge.map(([a, b]) => [tenth(tenth((a + b) / 2) - half), tenth(tenth((a + b) / 2) + half)]);
  const withTeacher = () => place.get('teacher');

  // Controls.
  if (moments > 1) timeline(v, moments, when);
  const who = choose('student', names.slice(1), one() - 1, (i) => place.set({ student: i + 1, beside: false }));
  const beside = tick('all side by side', place.get('beside'), (on) => place.set({ beside: on }));
  const colour = choose('colour by', MODES, mode(), (i) => place.set({ colour: i }));
  const teacher = tick('teacher', withTeacher(), (on) => place.set({ teacher: on }));
  v.controls.append(...(students.length > 1 ? [who.node, beside.node] : []), colour.node, teacher.node);
  v.onDraw(() => { who.set(one() - 1); beside.set(place.get('beside')); colour.set(mode()); teacher.set(withTeacher()); });

  // What the marks mean.
  const shades = (k) => tint((shifts[k][0] + shifts[k][1] + 4) / 8), page = () => v.colours().page;
  const items = () => {
    const all = [...(withTeacher() ? [0] : []), ...shown()].map((m) => ({ text: names[m], draw: (ctx, x, y) => dot(ctx, looks[names[m]], x + 7, y, 5, colourOf(v, looks[names[m]])) }));
    const stroke = (text, look, dash, width = 1.5) => ({ text, draw(ctx, x, y) { ctx.strokeStyle = look; ctx.lineWidth = width; ctx.setLineDash(dash); ctx.beginPath(); ctx.moveTo(x, y); ctx.lineTo(x + 16, y); ctx.stroke(); ctx.setLineDash([]); } });
    if (withTeacher()) all.push(stroke('a pair: the same image', v.colours().line, [], 1));
    if (v.covered) return all;
    all.push(stroke('copies moved left and right', v.colours().ink, []), stroke('up and down', v.colours().ink, [2, 2]));
    if (mode() === 2) all.push({ text: 'moved by −4 to +4 pixels', wide: 56, draw(ctx, x, y) { for (let i = 0; i < 48; i += 1) { ctx.fillStyle = tint(i / 47); ctx.fillRect(x + i, y - 5, 1.5, 10); } ctx.strokeStyle = v.colours().line; ctx.lineWidth = 1; ctx.strokeRect(x, y - 5, 49, 10); } });
    return all;
  };
  const laid = (ctx, wide) => {
    let x = 0, y = 10;
    ctx.font = SMALL;
    return items().map((item) => {
      const mark = item.wide || 22, size = Math.min(wide, mark + ctx.measureText(item.text).width + 14);
      if (x && x + size > wide) { x = 0; y += 18; }
      const found = { ...item, x, y, mark, room: size - mark };
      x += size;
      return found;
    });
  };
  const legend = canvas(v, v.stage, {
    label: 'legend', height: (wide) => laid(legend.ctx, wide).at(-1).y + 12,
    draw(ctx, wide) {
      for (const { text, draw, x, y, mark, room } of laid(ctx, wide)) { draw(ctx, x, y); write(ctx, text, x + mark, y, { colour: v.colours().ink, font: SMALL, base: 'middle', wide: room }); }
      legend.say(`legend: ${items().map((i) => i.text).join('; ')}`);
    } });

  function dot(ctx, look, x, y, r, fill) {
    ctx.fillStyle = fill; ctx.strokeStyle = v.colours().ink; ctx.lineWidth = 1;
    sign(ctx, look, x, y, r); ctx.stroke();
  }
  // An image as it is when moved: whole pixels, what comes in is black.
  const moved = (ctx, i, [dx, dy], x, y, side) => {
    const scale = side / Math.max(H, W), x0 = x + (side - W * scale) / 2, y0 = y + (side - H * scale) / 2;
    ctx.save();
    ctx.beginPath(); ctx.rect(x0, y0, W * scale, H * scale); ctx.clip();
    ctx.fillStyle = '#000'; ctx.fillRect(x, y, side, side);
    paint(ctx, i, x + dx * scale, y + dy * scale, side);
    ctx.restore();
  };
  const LINES = [[1, 2, 0, 3, 4], [5, 6, 0, 7, 8]];

  // A plane a student.
  const row = make('div', { class: 'hk-row' });
  v.stage.append(row);
  const draw = (s, ctx, X, Y) => {
    const { ink, line } = v.colours(), chosen = image(), both = withTeacher() ? [0, 1] : [1], P = (m, i, k) => { const [x, y] = at(s, m, i, k); return [X(x), Y(y)]; };
    const look = (m) => looks[names[m && s]], plain = (m) => colourOf(v, look(m)), faded = (i) => mode() === 1 && labels[i] !== labels[chosen];
    const ids = [...order.filter((i) => i !== chosen && faded(i)), ...order.filter((i) => i !== chosen && !faded(i)), chosen];
    const shape = (points) => { ctx.beginPath(); points.forEach(([x, y]) => ctx.lineTo(x, y)); ctx.stroke(); };
    if (both.length > 1) for (const i of ids) { ctx.strokeStyle = i === chosen ? ink : line; ctx.lineWidth = i === chosen ? 1.5 : 0.75; shape([P(0, i, 0), P(1, i, 0)]); }
    for (const group of [ids.slice(0, -1), [chosen]]) for (const m of [...both].reverse()) for (const i of group) {
      const hue = mode() === 2 || faded(i) ? line : plain(m), mine = i === chosen;
      ctx.globalAlpha = mine || mode() === 2 ? 1 : 0.3;                  // the other images' tails stay behind the points
      if (!v.covered) LINES.forEach((way, d) => {
        const points = way.map((k) => P(m, i, k));
        ctx.setLineDash(!d ? [] : mine ? [6, 4] : [2, 2]);
        if (mine) { ctx.strokeStyle = ink; ctx.lineWidth = 4.5; shape(points); }
        ctx.strokeStyle = hue; ctx.lineWidth = mine ? 2.5 : 1; shape(points); ctx.setLineDash([]);
        way.forEach((k, j) => {
          if (!k) return;
          ctx.fillStyle = mode() === 2 ? shades(k) : hue;
          marker(ctx, { marker: d ? 'D' : 'o' }, ...points[j], (mode() === 2 ? 2.4 : 1.6) + mine * 2);
          if (mode() === 2 || mine) { ctx.strokeStyle = mine ? ink : line; ctx.lineWidth = 0.75; ctx.stroke(); }
        });
      });
      ctx.globalAlpha = 1;
      dot(ctx, look(m), ...P(m, i, 0), mine ? 7 : 4, mode() === 1 && faded(i) ? line : plain(m));
    }
    const sides = [X(across[0]), X(across[1]), Y(along[1]), Y(along[0])];
    tags(ctx, P, both, thumbs(ctx, P, plain, sides), sides);
  };
  // The chosen image beside the points of its copies, as many as find room: the unmoved first, then the ends of the tails.
  const thumbs = (ctx, P, plain, [west, east, north, south]) => {
    const side = 24, taken = [], i = image(), [cx, cy] = P(1, i, 0), from = v.covered ? [0] : [0, 1, 4, 5, 8, 2, 3, 6, 7];
    for (const k of from) {
      const [x, y] = P(1, i, k), d = Math.hypot(x - cx, y - cy), [ux, uy] = d > 1 ? [(x - cx) / d, (y - cy) / d] : [0, -1];
      const left = clamp(x + ux * 24 - side / 2, west + 2, east - side - 2), top = clamp(y + uy * 24 - side / 2, north + 2, south - side - 2);
      if (taken.some(([a, b]) => Math.abs(a - left) < side + 2 && Math.abs(b - top) < side + 2)) continue;
      taken.push([left, top]);
      moved(ctx, i, shifts[k], left, top, side);
      ctx.strokeStyle = plain(1); ctx.lineWidth = 2; ctx.strokeRect(left - 1, top - 1, side + 2, side + 2);
    }
    return taken.map(([x, y]) => [x + side / 2, y + side / 2, side + 4, side + 4]);
  };
  // The names of the classes near the middle of their points, where they cover nothing; the chosen's first, others only where there is room.
  const NEAR = [[0, 0], [0, -15], [0, 15], [-1, -12], [1, -12], [-1, 12], [1, 12], [0, -26], [0, 26], [-1, 0], [1, 0]], FAR = [[0, -40], [0, 40], [-2, 0], [2, 0], [-2, -26], [2, -26]];
  const tags = (ctx, P, both, taken, [west, east, north, south]) => {
    const { ink } = v.colours(), mine = labels[image()], dots = order.flatMap((i) => both.map((m) => P(m, i, 0)));
    for (const k of [mine, ...new Set(order.map((i) => labels[i]))].filter((c, j) => !j || c !== mine)) {
      const points = order.filter((i) => labels[i] === k).map((i) => P(both[0], i, 0)), font = k === mine ? `600 ${SMALL}` : SMALL;
      ctx.font = font;
      const wide = Math.min(96, ctx.measureText(classes[k]).width) + 8, [mx, my] = [0, 1].map((a) => mean(points.map((p) => p[a])));
      const places = (k === mine ? [...NEAR, ...FAR] : NEAR).map(([a, b]) => [clamp(mx + a * (wide / 2 + 9), west + wide / 2 + 2, east - wide / 2 - 2), clamp(my + b, north + 10, south - 10)]);
      const free = places.find(([x, y]) => !dots.some(([a, b]) => Math.abs(a - x) < wide / 2 + 5 && Math.abs(b - y) < 12) && !taken.some(([a, b, w, h]) => Math.abs(a - x) < (w + wide) / 2 && Math.abs(b - y) < (h + 16) / 2));
      if (!free && k !== mine) continue;
      const [x, y] = free || places[1];
      taken.push([x, y, wide, 16]);
      ctx.fillStyle = page(); ctx.globalAlpha = 0.8; ctx.fillRect(x - wide / 2, y - 8, wide, 16); ctx.globalAlpha = 1;
      if (k === mine) { ctx.strokeStyle = ink; ctx.lineWidth = 1; ctx.strokeRect(x - wide / 2, y - 8, wide, 16); }
      write(ctx, classes[k], x, y + 0.5, { colour: ink, align: 'center', base: 'middle', wide: 96, font });
    }
  };
  const next = (by) => place.set({ image: order[clamp(order.indexOf(image()) + by, 0, n - 1)] });
  for (const s of students) {
    const { node, title } = panel(row);
    node.style.flex = '4 1 24rem';
    v.onDraw(() => {
      node.hidden = !shown().includes(s);
      title.textContent = v.covered ? `${names[s]}: the images unmoved` : `${names[s]}${alike ? '' : `, step ${steps(s)[moment(s)]}`}: tail ${short(tails(s, 1))}, teacher ${short(tails(s, 0))}`;
    });
    scatter(v, node, {
      name: `${names[s]} and teacher in one plane`, most: 420, points: () => [], span: () => ({ x: across, y: along }), down: false,
      labels: () => ['first direction', 'second direction'], extra: (ctx, X, Y) => draw(s, ctx, X, Y),
      drag: ({ x, y }) => {
        const away = (i) => Math.min(...(withTeacher() ? [0, 1] : [1]).map((m) => { const p = at(s, m, i, 0); return Math.hypot(p[0] - x, p[1] - y); }));
        place.set({ image: order.reduce((a, b) => (away(b) < away(a) ? b : a)) });
      },
      keys: ([a, b], more) => next((a || b) * (more ? 3 : 1)),
      say: () => (v.covered ? `${n} images, unmoved.` : `Mean tail ${short(tails(s, 1))}, teacher ${short(tails(s, 0))}.`) + ` Chosen: image ${image()} (${name(image())}). The arrow keys choose another.` });
  }

  // The chosen image and its copies; how long its tail is, and the mean.
  const detail = panel(row);
  detail.node.style.flex = '1 1 12.5rem';
  v.onDraw(() => { detail.title.textContent = `Image ${image()} (${name(image())}) and its copies`; });
  const side = (wide) => Math.min(44, Math.floor(wide / 5) - 3);
  const cross = canvas(v, detail.node, {
    label: 'the copies', height: (wide) => 5 * (side(wide) + 15),
    draw(ctx, wide) {
      const a = side(wide), pitch = a + 3, tall = a + 15, { ink, line } = v.colours();
      shifts.forEach(([dx, dy], k) => {
        const x = (dx / 2 + 2) * pitch, y = (dy / 2 + 2) * tall, d = dx || dy;
        moved(ctx, image(), [dx, dy], x, y, a);
        ctx.strokeStyle = mode() === 2 && k && !v.covered ? shades(k) : line; ctx.lineWidth = mode() === 2 && k && !v.covered ? 3 : 1; ctx.strokeRect(x + 0.5, y + 0.5, a - 1, a - 1);
        write(ctx, k ? `${d < 0 ? '−' : '+'}${Math.abs(d)}` : 'unmoved', x + a / 2, y + a + 11, { colour: ink, align: 'center', font: SMALL });
      });
      const small = { colour: ink, font: SMALL, wide: 2 * pitch - 6 };
      write(ctx, 'pixels down ↓', 3 * pitch + 3, a * 0.6, small);
      write(ctx, 'pixels right →', 3 * pitch + 3, 3 * tall + a * 0.4, small);
      cross.say(`image ${image()} (${name(image())}), unmoved and moved by 2 and 4 pixels to each side`);
    } });
  const several = () => state.runs && shown().length > 1;                     // a run each, with a teacher's projection of its own
  const models = () => (several() ? shown().flatMap((s) => [[0, s], [1, s]]) : [[0, shown()[0]], ...shown().map((s) => [1, s])]);
  const called = ([m, s]) => (m ? names[s] : several() ? `teacher (${names[s]})` : 'teacher');
  const groups = [], GREY = { color: '#7A7A7A' }, most = Math.max(1e-6, ...students.flatMap((s) => Array.from({ length: T(s) }, (_, t) => Math.max(tails(s, 0, t), tails(s, 1, t)))));
  v.onDraw(() => groups.splice(0, groups.length, ...models().map(called)));
  const amounts = panel(row, 'Tail length');
  amounts.node.style.flex = '1 1 12.5rem';
  amounts.node.append(make('p', {}, 'In mean distances between images: 0 is one point, 1 as far as another image.'));
  const lengths = (f) => models().map(([m, s]) => f(s, m));
  bars(v, amounts.node, { name: 'tail length', classes: groups, form: short, hidden: () => v.covered,
    series: () => [{ name: 'mean', look: GREY, values: lengths(tails) }, { name: 'this image', look: { ...GREY, hatch: '/' }, values: lengths((s, m) => tail(s, m, image())) }],
    span: () => [0, Math.max(most, ...(v.covered ? [] : lengths((s, m) => tail(s, m, image()))))] });

  // All images; below each how long its tail is.
  const barred = () => models().filter(([m]) => m || !several());
  const strip = panel(row), under = { tall: 0, draw(ctx, i, x, y, wide) {
    if (v.covered) return;
    barred().forEach(([m, s], j) => {
      ctx.fillStyle = v.colours().soft; ctx.fillRect(x, y + 5 * j, wide, 4);
      ctx.fillStyle = colourOf(v, looks[names[m && s]]); ctx.fillRect(x, y + 5 * j, wide * clamp(tail(s, m, i) / Math.max(1, most), 0, 1), 4);
    });
  } };
  strip.node.style.flex = '3 1 14rem';
  v.onDraw(() => {
    under.tall = 5 * barred().length + 2;
    strip.title.textContent = v.covered ? 'The images; choose one' : `The images; bars: tails (full: ${short(Math.max(1, most))})`;
  });
  imageGrid(v, strip.node, { array: images, name: 'images', side: 40, at: (i) => i, order: () => order, under,
    label: (i) => `image ${i} (${name(i)})${v.covered ? '' : `: tail ${models().map((x) => `${called(x)} ${short(tail(x[1], x[0], i))}`).join(', ')}`}` });

  if (moments > 1) {
    const curve = (s, m) => Array.from({ length: moments }, (_, f) => tails(s, m, share(s, f)));
    const all = students.flatMap((s) => [[s, 1], [s, 0]]).map(([s, m]) => ({ s, m, values: curve(s, m) }));
    const series = () => all.filter((c) => c.m || shown().includes(c.s)).map(({ s, m, values }) => ({ name: called([m, s]),
      look: m ? looks[names[s]] : { ...looks.teacher, linestyle: ['-', ':', '-.'][Math.max(0, shown().indexOf(s)) % 3] }, values: v.covered ? [] : values }));
    const over = panel(row, 'How long the tails are, over the run');
    over.node.style.flex = '4 1 24rem';
    const course = lines(v, over.node, {
      name: 'mean tail length', x: times, xlabel: alike ? "student's step" : '% of the run', ylabel: 'mean tail length', zero: true, tall: 200, series,
      cursor: () => (v.covered ? null : frame()), seek: (f) => { if (!v.covered) place.set({ frame: f }); }, until: () => (v.covered ? 0 : moments) });
    v.onDraw(() => { if (v.covered && course.width) write(course.ctx, '?', course.width / 2, 90, { colour: v.colours().ink, align: 'center', base: 'middle', font: '600 28px system-ui, sans-serif' }); });
  }

  v.onDraw(() => {
    const i = image(), start = moments > 1 ? `${when(frame())[0].toUpperCase()}${when(frame()).slice(1)}: ` : '';
    if (v.covered) return v.caption(`${start}${n} images as the teacher and ${names.slice(1).join(', ')} see them, unmoved. Where do their copies, moved by 2 and 4 pixels, fall?`);
    const each = (f) => shown().map(f).join('; '), first = (s) => (moments > 1 && frame() ? ` (at first ${short(tails(s, 1, 0))})` : '');
    v.caption(`${start}${moments > 1 ? 'mean' : 'Mean'} tail length ${each((s) => `${names[s]} ${short(tails(s, 1))}${first(s)}, teacher ${short(tails(s, 0))}, pair gap ${short(gaps(s))}`)}. `
      + `Image ${i} (${name(i)}): ${each((s) => `${names[s]} ${short(tail(s, 1, i))}, teacher ${short(tail(s, 0, i))}`)}.`);
  });
  v.explain(() => {
    if (v.covered) return ['Answer the question first.'];
    const i = image();
    return [...shown().map((s) => `${names[s]}: tail length of image ${i} = mean of |f(moved) − f(unmoved)| over its ${V - 1} copies / mean of |f(unmoved) − f(another, unmoved)| = ${short(tail(s, 1, i))}; the teacher's ${short(tail(s, 0, i))}. `
      + `Pair gap = 1 − cos(teacher, ${names[s]}) = ${short(gap(s, i))}; mean over ${n} images ${short(gaps(s))}.`),
      'Lengths and gaps are measured in all directions of the features; the plane shows two of them.',
      state.runs ? `The plane holds the two directions in which teacher and student spread most at the last moment: ${shown().map((s) => `${percent(state.spread[s - 1])} of the spread (${names[s]})`).join(', ')}; it stays the same for all moments.`
        : `The plane holds the two directions in which the teacher's features spread most, ${percent(state.spread[one() - 1])} of the spread; a student's features come into the teacher's space by ridge regression on unmoved images.`];
  });
}

export default { render: view(setup) };
