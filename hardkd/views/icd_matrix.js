// IcdMatrix: one batch as ICD sees it: similarities, softmax over rows and over columns, what each row pays; students turn on a circle.
// Arrays: teacher_angle (n,), student_angle (S,n) degrees; measured (S,n,n) cosines; images (n,C,H,W) bytes; label (n,). The last image is the spare one.
import { clamp, percent, argmax, mean } from './numbers/basics.js';
import { make, panel, view } from './kit/frame.js';
import { slider, button, tick, choose, dragging } from './kit/controls.js';
import { canvas, write, colourOf, filling, marker, painter, tint } from './kit/canvas.js';

const RADIAN = Math.PI / 180, TINY = '11px system-ui, sans-serif';
// Four figures that count, the same as Python writes them.
const four = (x) => (Math.abs(x) < 1e-6 ? '0' : String(Number(x.toPrecision(4))));
const around = (degrees) => ((degrees + 180) % 360 + 360) % 360 - 180;
const logSoft = (z) => { const high = Math.max(...z), all = high + Math.log(z.reduce((sum, x) => sum + Math.exp(x - high), 0)); return z.map((x) => x - all); };
// Of similarities L, one array a row: softmax of rows and of columns, and each row's contrast and penalty. `columns[j][i]`: student i as teacher j sees it.
function terms(L) {
  const rows = L.map(logSoft), columns = L.map((_, j) => logSoft(L.map((row) => row[j])));
  return { rows: rows.map((r) => r.map(Math.exp)), columns: columns.map((c) => c.map(Math.exp)), contrast: rows.map((r, i) => -r[i]),
    penalty: rows.map((r, i) => columns[i].reduce((sum, c, j) => sum + Math.exp(c) * (c - r[j]), 0)) };
}
const onCircle = (student, teacher, scale) => student.map((a) => teacher.map((b) => scale * Math.cos((a - b) * RADIAN)));
// Students turned so that the penalty is largest, while each row still peaks at its own teacher and the contrast is at most `slack` above a copy's.
function broken(teacher, scale, slack = 0.3) {
  const most = mean(terms(onCircle(teacher, teacher, scale)).contrast) + slack, student = teacher.map(Math.round);
  let best = 0, better = true;
  for (let sweep = 0; better && sweep < 4; sweep += 1) {
    better = false;
    for (let i = 0; i < teacher.length; i += 1) for (let turn = -90; turn <= 90; turn += 5) {
      const before = student[i], to = around(Math.round(teacher[i] + turn)), own = Math.abs(around(to - teacher[i]));
      if (teacher.some((a, j) => j !== i && Math.abs(around(to - a)) <= own)) continue;       // another teacher is nearer
      student[i] = to;
      const t = terms(onCircle(student, teacher, scale)), penalty = mean(t.penalty);
      if (penalty > best + 1e-9 && mean(t.contrast) <= most) { best = penalty; better = true; } else student[i] = before;
    }
  }
  return student;
}

function setup(v) {
  const { state, place } = v, { names, looks, classes, width } = state, images = v.array('images'), paint = painter(images);
  const n = images.shape[0], B = n - 1, label = v.array('label').data, teachers = Array.from(v.array('teacher_angle').data);
  const items = () => [...Array.from({ length: B - 1 }, (_, i) => i), place.get('duplicate') ? B : B - 1];
  const who = (i) => `'${classes[label[i]]}'`, student = () => names[place.get('student')], twice = label[0] === label[B];
  const scale = () => (v.covered ? 1 : place.get('logit_scale')), row = () => clamp(place.get('row'), 0, B - 1), free = () => !place.get('vectors');
  const students = () => (place.get('angles')?.length === n && place.get('angles')) || Array.from(v.array('student_angle').data.subarray((place.get('student') - 1) * n, place.get('student') * n));
  const roles = () => ({ teacher: looks[names[0]], student: looks[student()] });

  // All numbers, once for a place.
  let key = '', known = null;
  const now = () => {
    const at = items(), s = students(), here = `${JSON.stringify(place.now)} ${v.covered}`;
    if (here === key) return known;
    key = here;
    const measured = (i, j) => scale() * v.array('measured').data[((place.get('student') - 1) * n + i) * n + j];
    const cosines = free() ? onCircle(at.map((i) => s[i]), at.map((i) => teachers[i]), scale()) : at.map((i) => at.map((j) => measured(i, j)));
    const L = cosines.map((r) => r.map((x) => x + place.get('bias'))), t = terms(L);
    const contrast = mean(t.contrast), penalty = mean(t.penalty), weight = place.get('invariance_weight');
    known = { ...t, L, at, s, total: { contrast, penalty, weight, loss: contrast + weight * penalty } };
    return known;
  };
  place.on((changed) => { if (changed.includes('student') && !changed.includes('angles')) place.set({ angles: null }); });

  // Controls.
  const turned = (changes, k = row()) => { const angles = [...students()]; for (const [i, a] of changes) angles[i] = around(a); place.set({ angles, vectors: 0, row: k }); };
  const turn = (degrees, k = row()) => { if (!v.covered && free()) turned([[items()[k], Math.round(degrees)]], k); };
  const dial = slider('scale', { min: 0, max: 10, step: 0.1, value: place.get('logit_scale'), format: four, on: (x) => place.set({ logit_scale: x }) });
  const bias = slider('bias', { min: -5, max: 5, step: 0.5, value: place.get('bias'), format: four, on: (x) => place.set({ bias: x }) });
  const weight = slider('invariance weight', { min: 0, max: 5, step: 0.1, value: place.get('invariance_weight'), format: four, on: (x) => place.set({ invariance_weight: x }) });
  const angle = slider('turn the student', { min: -180, max: 180, value: 0, format: (x) => `${Math.round(x)}°`, on: turn });
  const whose = choose('student', names.slice(1), place.get('student') - 1, (i) => place.set({ student: i + 1, angles: null }));
  const vectors = choose('vectors', ['on the circle', `as measured, ${width} numbers`], place.get('vectors'), (i) => place.set({ vectors: i }));
  const double = tick(twice ? `a class twice: the last image is of ${who(0)} too` : `another last image (there is no second one of ${who(0)})`, place.get('duplicate'), (on) => place.set({ duplicate: on }));
  const copy = button('Copy the teacher', () => turned(teachers.map((a, i) => [i, a])));
  const breaking = button('Break the symmetry', () => { const at = items(), a = broken(at.map((i) => teachers[i]), Math.max(1, scale())); turned(at.map((i, k) => [i, a[k]])); });
  v.controls.append(dial.node, bias.node, weight.node, angle.node, ...(names.length > 2 ? [whose.node] : []), vectors.node, double.node, copy, breaking);
  v.onDraw(() => {
    dial.set(scale()); bias.set(place.get('bias')); weight.set(place.get('invariance_weight')); angle.set(now().s[now().at[row()]]); angle.input.disabled = !free();
    whose.set(place.get('student') - 1); vectors.set(place.get('vectors')); double.set(place.get('duplicate'));
  });

  // The circle: teachers on it, students just inside, an image beside each teacher.
  const above = make('div', { class: 'hk-row' }), left = panel(above);
  v.stage.append(above);
  left.node.style.flex = '1 1 15rem';
  left.node.style.maxWidth = '21rem';
  const SIDE = 26, top = 20, geometry = (wide) => { const side = Math.min(wide, 330); return { side, x: side / 2, y: top + side / 2, R: side / 2 - SIDE - 15 }; };
  const spot = ({ x, y }, degrees, r) => [x + r * Math.cos(degrees * RADIAN), y - r * Math.sin(degrees * RADIAN)];
  // Where the images stand: at their teachers, pushed apart until none covers another.
  const apart = (angles, least) => {
    const a = [...angles], order = a.map((_, i) => i).sort((p, q) => a[p] - a[q]);
    for (let round = 0; round < 60; round += 1) order.forEach((p, k) => {
      const q = order[(k + 1) % order.length], gap = a[q] - a[p] + (k + 1 === order.length ? 360 : 0);
      if (gap < least && order.length > 1) { a[p] -= (least - gap) / 2; a[q] += (least - gap) / 2; }
    });
    return a;
  };
  const cells = make('div', { class: 'hk-cells', role: 'listbox', 'aria-label': 'images in the batch; arrow keys choose one, Shift and an arrow turn its student by 5 degrees' });
  cells.append(...Array.from({ length: B }, () => make('div', { role: 'option', tabindex: -1, style: `position:absolute;width:${SIDE}px;height:${SIDE}px` })));
  const circle = canvas(v, left.node, {
    label: 'teacher and student vectors', height: (wide) => geometry(wide).side + top,
    draw(ctx, wide) {
      const g = geometry(wide), { at, s } = now(), { ink, line, soft, page } = v.colours(), looked = roles(), inner = g.R * 0.84;
      const t = at.map((i) => teachers[i]), stands = apart(t, (SIDE + 5) / (g.R + 26) / RADIAN);
      ctx.fillStyle = colourOf(v, looked.teacher); marker(ctx, looked.teacher, 8, 9, 5);
      write(ctx, 'teacher', 17, 13, { colour: ink });
      ctx.fillStyle = colourOf(v, looked.student); marker(ctx, looked.student, 76, 9, 5);
      write(ctx, student(), 85, 13, { colour: ink, wide: Math.max(40, g.side - 90) });
      ctx.globalAlpha = free() ? 1 : 0.3;
      ctx.lineWidth = 1;
      for (const [r, colour] of [[g.R, line], [inner, soft]]) { ctx.strokeStyle = colour; ctx.beginPath(); ctx.arc(g.x, g.y, r, 0, 7); ctx.stroke(); }
      at.forEach((i, k) => {
        const here = k === row(), [tx, ty] = spot(g, t[k], g.R), [sx, sy] = spot(g, s[i], inner), [ix, iy] = spot(g, stands[k], g.R + 26);
        ctx.strokeStyle = line; ctx.lineWidth = 1; ctx.beginPath(); ctx.moveTo(tx, ty); ctx.lineTo(ix, iy); ctx.stroke();
        ctx.strokeStyle = here ? ink : line; ctx.lineWidth = here ? 2.5 : 1.2; ctx.beginPath(); ctx.moveTo(tx, ty); ctx.lineTo(sx, sy); ctx.stroke();
        paint(ctx, i, ix - SIDE / 2, iy - SIDE / 2, SIDE);
        ctx.strokeStyle = line; ctx.lineWidth = 1; ctx.strokeRect(ix - SIDE / 2 - 0.5, iy - SIDE / 2 - 0.5, SIDE + 1, SIDE + 1);
        const node = cells.children[k];
        Object.assign(node.style, { left: `${ix - SIDE / 2}px`, top: `${iy - SIDE / 2}px` });
        node.tabIndex = here ? 0 : -1;
        node.setAttribute('aria-selected', here);
        node.setAttribute('aria-label', `image ${i} of ${who(i)}: teacher at ${Math.round(t[k])}°, student at ${Math.round(s[i])}°`);
      });
      for (const [role, r] of [['teacher', g.R], ['student', inner]]) at.forEach((i, k) => {
        const [x, y] = spot(g, role === 'teacher' ? t[k] : s[i], r), big = role === 'student' && k === row() ? 8 : 6;
        ctx.fillStyle = page; marker(ctx, looked[role], x, y, big + 1.5);
        ctx.fillStyle = colourOf(v, looked[role]); marker(ctx, looked[role], x, y, big);
      });
      ctx.globalAlpha = 1;
      if (!free()) ['as measured:', `${width} numbers each,`, 'not on this circle'].forEach((text, k) => write(ctx, text, g.x, g.y - 16 + 17 * k, { colour: ink, align: 'center', base: 'middle', font: '13px system-ui, sans-serif' }));
      circle.say(free() ? `circle: ${at.map((i, k) => `image ${i} teacher ${Math.round(t[k])}°, student ${Math.round(s[i])}°`).join('; ')}` : `vectors as measured, ${width} numbers each: not on this circle`);
    } });
  circle.box.append(cells);
  v.onDraw(() => { const i = now().at[row()]; left.title.textContent = `Image ${i} of ${who(i)}: ${v.covered ? 'teacher and student' : free() ? 'drag its student' : 'as measured'}`; });
  let held = null, slip = 0;
  dragging(cells, (e, down) => {
    const box = circle.box.getBoundingClientRect(), g = geometry(circle.width), x = e.clientX - box.left, y = e.clientY - box.top, { at, s } = now();
    const pointed = Math.atan2(g.y - y, x - g.x) / RADIAN;
    if (down) {
      const far = at.map((i) => { const [a, b] = spot(g, s[i], g.R * 0.84); return Math.hypot(x - a, y - b); });
      const near = far.indexOf(Math.min(...far)), k = [...cells.children].indexOf(e.target);
      held = k < 0 && far[near] < 24 ? near : null;
      if (held !== null) { slip = s[at[held]] - pointed; place.set({ row: held }); cells.children[held].focus(); e.preventDefault(); } else if (k >= 0) { place.set({ row: k }); }
    } else if (held !== null) turn(pointed + slip, held);
  });
  cells.addEventListener('pointerup', () => { held = null; });
  cells.addEventListener('mousedown', (e) => { if (e.target === cells) e.preventDefault(); });        // the focus stays on the chosen image
  cells.addEventListener('keydown', (e) => {
    const way = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[e.key], to = { Home: 0, End: B - 1 }[e.key] ?? (way && (row() + way + B) % B);
    if (to === undefined) return;
    e.preventDefault();
    if (way && e.shiftKey) return turn(now().s[now().at[row()]] + ({ ArrowUp: 5, ArrowRight: -5, ArrowDown: -5 }[e.key] ?? 5));
    place.set({ row: to });
    cells.children[to].focus();
  });

  // The three maps. A click chooses a row or, in the map of columns, a column.
  const right = make('div', { class: 'hk-row hk-panel', style: 'flex:3 1 20rem;min-width:0' }), pair = make('div', { class: 'hk-row', style: 'flex:2 1 19rem;gap:.75rem .6rem;min-width:0' });
  above.append(right);
  const map = (parent, title, basis, value, span, form, outlined, say) => {
    const part = panel(parent, title), margin = 38, upper = 26;
    v.onDraw(() => { part.node.style.flex = above.clientWidth < 560 && B > 9 ? '1 1 100%' : basis; });     // many rows on a narrow page: one map below the other
    const cellOf = (wide) => Math.min(wide - margin - 2, 230) / B;
    const drawing = canvas(v, part.node, {
      label: title, height: (wide) => upper + cellOf(wide) * B + 46,
      draw(ctx, wide) {
        const cell = cellOf(wide), size = cell * B, { at } = now(), { ink, line } = v.colours(), [low, high] = span(), k = row(), small = { colour: ink, font: TINY }, looked = roles(), side = Math.min(cell - 1, 20);
        at.forEach((i, a) => {
          paint(ctx, i, margin + (a + 0.5) * cell - side / 2, upper - 5 - side, side);
          paint(ctx, i, margin - 5 - side, upper + (a + 0.5) * cell - side / 2, side);
          at.forEach((_, b) => {
            const x0 = Math.round(margin + b * cell), y0 = Math.round(upper + a * cell), t = (value(a, b) - low) / (high - low || 1);
            ctx.fillStyle = tint(t); ctx.fillRect(x0, y0, Math.round(margin + (b + 1) * cell) - x0, Math.round(upper + (a + 1) * cell) - y0);
            if (cell >= 17 && ((outlined === 'row' && a === k) || (outlined === 'column' && b === k))) write(ctx, (100 * Math.min(value(a, b), cell < 21 ? 0.99 : 1)).toFixed(0), margin + (b + 0.5) * cell, upper + (a + 0.5) * cell + 0.5, { colour: t > 0.55 ? '#000' : '#fff', align: 'center', base: 'middle', font: TINY });
          });
        });
        ctx.fillStyle = filling(ctx, v, looked.teacher); ctx.fillRect(margin, upper - 4, size, 3);
        ctx.fillStyle = colourOf(v, looked.student); ctx.fillRect(margin - 4, upper, 3, size);
        for (const [colour, thick] of [['#000', 4], ['#fff', 2]]) {
          ctx.strokeStyle = colour; ctx.lineWidth = thick;
          if (outlined === 'column') ctx.strokeRect(margin + k * cell, upper + 1, cell, size - 2); else ctx.strokeRect(margin + 1, upper + k * cell, size - 2, cell);
        }
        ctx.save(); ctx.translate(7, upper + size / 2); ctx.rotate(-Math.PI / 2); write(ctx, 'rows: student', 0, 0, { ...small, align: 'center', base: 'middle' }); ctx.restore();
        write(ctx, 'columns: teacher', margin + size / 2, upper + size + 13, { ...small, align: 'center' });
        const y = upper + size + 20;
        for (let i = 0; i < 40; i += 1) { ctx.fillStyle = tint(i / 39); ctx.fillRect(margin + size * i / 40, y, size / 40 + 0.6, 8); }
        ctx.strokeStyle = line; ctx.lineWidth = 1; ctx.strokeRect(margin, y, size, 8);
        write(ctx, form(low), margin, y + 20, small);
        write(ctx, form(high), margin + size, y + 20, { ...small, align: 'right' });
        drawing.say(`${title}. ${say(k)}`);
      } });
    drawing.box.style.cursor = 'pointer';
    dragging(drawing.box, (e) => {
      const box = drawing.box.getBoundingClientRect(), cell = cellOf(drawing.width), at = outlined === 'column' ? e.clientX - box.left - margin : e.clientY - box.top - upper;
      place.set({ row: clamp(Math.floor(at / cell), 0, B - 1) });
    });
  };
  const topped = (values, name) => { const best = argmax(values), i = now().at[best]; return `its own ${percent(values[row()], 1)}, the largest is that of image ${i} of ${who(i)}, ${percent(values[best], 1)}`; };
  map(right, 'Similarity L', '1 1 9rem', (a, b) => now().L[a][b], () => { const b = place.get('bias'); return [Math.min(0, b) - Math.max(scale(), 1e-3), Math.max(0, b) + Math.max(scale(), 1e-3)]; },
    (x) => four(x).replace('-', '−'), '', (k) => `Row ${now().at[k]}: ${now().L[k].map(four).join(', ')}`);
  right.append(pair);
  map(pair, 'Row softmax', '1 1 8rem', (a, b) => now().rows[a][b], () => [0, 1], percent, 'row', (k) => `Student ${now().at[k]} among teachers: ${topped(now().rows[k])}`);
  map(pair, 'Column softmax', '1 1 8rem', (a, b) => now().columns[b][a], () => [0, 1], percent, 'column', (k) => `Teacher ${now().at[k]} among students: ${topped(now().columns[k])}`);

  // What each row pays, and the sum.
  const paid = panel(right, 'What each row pays, nats');
  paid.node.style.flex = '1 1 100%';
  const pay = canvas(v, paid.node, {
    label: 'contrast and penalty of each row', height: () => 158,
    draw(ctx, wide) {
      const { contrast, penalty, at } = now(), { ink, line, soft } = v.colours(), from = 34, low = 26, head = 32, tall = 158, slot = (wide - from - 4) / B, bar = Math.min(slot * 0.38, 30), small = { colour: ink, font: TINY };
      const chance = Math.log(B), most = Math.max(chance, ...contrast, ...penalty) * 1.02, Y = (x) => head + (1 - clamp(x / most, 0, 1)) * (tall - head - low);
      let x = from;
      for (const [name, what] of [['contrast', 'row'], ['penalty', 'column vs row']]) {
        const text = wide < 340 ? name : `${name} (${what})`;
        ctx.fillStyle = filling(ctx, v, looks[name]); ctx.fillRect(x, 3, 14, 10);
        write(ctx, text, x + 19, 12, { colour: ink, wide: wide - x - 20 }); x += ctx.measureText(text).width + 30;
      }
      ctx.lineWidth = 1;
      for (const y of [0, most / 2, most]) { ctx.strokeStyle = y ? soft : line; ctx.beginPath(); ctx.moveTo(from, Y(y)); ctx.lineTo(wide, Y(y)); ctx.stroke(); write(ctx, String(Number(y.toPrecision(2))), from - 5, Y(y), { ...small, align: 'right', base: 'middle' }); }
      at.forEach((i, k) => {
        const middle = from + (k + 0.5) * slot, here = k === row();
        [['contrast', contrast[k], -bar - 1], ['penalty', penalty[k], 1]].forEach(([name, value, shift]) => {
          ctx.fillStyle = filling(ctx, v, looks[name]); ctx.fillRect(middle + shift, Y(value), bar, Y(0) - Y(value));
          if (slot > 58) write(ctx, String(Number(value.toFixed(2))), middle + shift + bar / 2, Y(value) - 4, { ...small, align: 'center' });
        });
        paint(ctx, i, middle - 10, tall - 22, 20);
        if (here) { ctx.strokeStyle = ink; ctx.lineWidth = 2; ctx.strokeRect(middle - 11, tall - 23, 22, 22); }
      });
      ctx.strokeStyle = ink; ctx.lineWidth = 1.2; ctx.setLineDash([2, 3]); ctx.beginPath(); ctx.moveTo(from, Y(chance)); ctx.lineTo(wide, Y(chance)); ctx.stroke(); ctx.setLineDash([]);
      pay.say(`contrast and penalty: ${at.map((i, k) => `image ${i} ${four(contrast[k])} and ${four(penalty[k])}`).join('; ')}; chance ${four(chance)}`);
    } });
  pay.box.style.cursor = 'pointer';
  dragging(pay.box, (e) => place.set({ row: clamp(Math.floor((e.clientX - pay.box.getBoundingClientRect().left - 34) / ((pay.width - 38) / B)), 0, B - 1) }));
  const written = ['', '', '', ''].map(() => make('p'));
  left.node.append(...written);
  v.onDraw(() => {
    const { contrast, penalty, weight: w, loss } = now().total;
    [`mean contrast ${four(contrast)}`, `mean penalty ${four(penalty)}`, `loss = ${four(contrast)} + ${four(w)} · ${four(penalty)} = ${four(loss)}`, `dotted: chance, ln ${B} = ${four(Math.log(B))}`].forEach((text, i) => { written[i].textContent = text; });
  });

  v.onDraw(() => {
    const { contrast, penalty, weight: w, loss } = now().total, { rows, columns, at } = now(), own = (all) => all.filter((p, k) => argmax(p) === k).length, b = place.get('bias'), same = own(rows) === own(columns);
    const said = [`${student()} at scale ${four(scale())}: contrast ${four(contrast)} (chance ${four(Math.log(B))}), penalty ${four(penalty)}, loss ${four(contrast)} + ${four(w)} · ${four(penalty)} = ${four(loss)}.`];
    said.push(`${own(rows) === B ? `All ${B}` : `${own(rows)} of ${B}`} students find their own teacher (rows), ${same ? 'and' : 'but'} ${own(columns) === B ? `all ${B}` : `${own(columns)} of ${B}`} teachers their own student (columns).`);
    if (Math.abs(penalty) < 1e-6) said.push('L is symmetric: columns say what rows say.');
    if (b) said.push(`The bias moves every entry by ${four(b)}; neither softmax notices.`);
    if (place.get('duplicate') && twice) said.push(`Images ${at[0]} and ${at[B - 1]} are both of ${who(0)}, yet each counts as wrong for the other.`);
    v.caption(said.join(' '));
  });
  v.explain(() => {
    const { rows, columns, contrast, penalty, at } = now(), k = row(), s = scale(), parts = columns[k].map((c, j) => c * Math.log(c / rows[k][j])), j = argmax(parts.map(Math.abs));
    return [`Row of image ${at[k]}: contrast = −ln (its row's softmax at its own teacher) = −ln ${four(rows[k][k])} = ${four(contrast[k])}.`,
      `Its penalty = Σ c·(ln c − ln r), c: its teacher's column over the ${B} students, r: its own row over the ${B} teachers. The term that weighs most, image ${at[j]}: ${four(columns[k][j])}·(ln ${four(columns[k][j])} − ln ${four(rows[k][j])}) = ${four(parts[j])}; all together ${four(penalty[k])}.`,
      `All entries equal: contrast ln ${B} = ${four(Math.log(B))}. Cosines end at 1 and −1, so at scale ${four(s)} it never falls below ln(1 + ${B - 1}·e^(−2·${four(s)})) = ${four(Math.log1p((B - 1) * Math.exp(-2 * s)))}; where the others are at right angles (cosine 0) it is ln(1 + ${B - 1}·e^(−${four(s)})) = ${four(Math.log1p((B - 1) * Math.exp(-s)))}.`,
      `The bias ${four(place.get('bias'))} is added to all ${B * B} entries; a softmax only knows differences, so contrast and penalty stay, and its gradient is 0.`,
      `Trained is τ, scale = exp(τ) clamped to at most 10${s > 0 ? `; here τ = ${four(Math.log(s))}` : ''}. Above τ = ln 10 = 2.303 its gradient is exactly 0: this loss cannot bring it back.`];
  });
}

export default { render: view(setup) };
