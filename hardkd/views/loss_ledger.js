// LossLedger: each player's recorded terms with their signs, their sum, and handles that re-weigh the records.
// Arrays, player i: turn{i} (n,), terms{i} (k+1,n), the sum last, all float32; state.players: name, verb, terms, weights or null, why, usual, looks.
import { clamp, short } from './numbers/basics.js';
import { make, panel, view } from './kit/frame.js';
import { slider, tick, dragging } from './kit/controls.js';
import { canvas, write, colourOf, dashes, marker } from './kit/canvas.js';

const signed = (x, digits = short) => (Math.abs(x) < 1e-12 ? '0' : `${x < 0 ? '−' : '+'}${digits(Math.abs(x))}`);

// Mean over the turns no further than half of `width` away, at each turn.
function running(turn, values, width) {
  const n = turn.length, out = new Float64Array(n);
  let low = 0, high = 0, total = 0;
  for (let i = 0; i < n; i += 1) {
    while (high < n && turn[high] <= turn[i] + width / 2) { total += values[high]; high += 1; }
    while (turn[low] < turn[i] - width / 2) { total -= values[low]; low += 1; }
    out[i] = total / (high - low);
  }
  return out;
}
// Round heights for an axis from a to b: evenly, or, where it is squeezed, at 1 and 3 times powers of ten.
function heights(a, b, usual) {
  if (usual) {
    const some = [0];
    for (let e = Math.floor(Math.log10(usual)); 10 ** e <= Math.max(-a, b); e += 1) for (const m of [1, 3]) some.push(m * 10 ** e, -m * 10 ** e);
    return some.filter((x) => x >= a && x <= b);
  }
  const rough = (b - a) / 5, unit = 10 ** Math.floor(Math.log10(rough)), step = [1, 2, 5, 10].find((m) => m * unit >= rough) * unit;
  return Array.from({ length: Math.floor(b / step) - Math.ceil(a / step) + 1 }, (_, i) => (Math.ceil(a / step) + i) * step);
}

function setup(v) {
  const { state, place } = v, { players, last } = state;
  const smoothest = Math.max(1, Math.round(last / 3));
  const weightsOf = (p) => (p.weights ? { ...p.weights, ...(place.get('weights') || {})[p.name] } : null);
  const signOf = (p, t) => (p.weights[t] < 0 || (p.weights[t] === 0 && t === 'teacher_change') ? -1 : 1);
  const credit = (p, t, x) => (Math.abs(x) < 1e-12 ? (signOf(p, t) < 0 ? '−0' : '+0') : signed(x));
  const moved = (p) => p.weights && p.terms.some((t) => Math.abs(weightsOf(p)[t] - p.weights[t]) > 1e-9);
  // What the question is about is not to be seen before it is answered: the later turns, or the price and what it leaves.
  const priced = (p, t) => v.covered && state.hides === 'price' && p.name === 'augmentor' && (!t || t === 'teacher_change');
  const until = (turns) => (v.covered && state.hides === 'later' ? Math.max(1, Math.floor(turns.length / 10)) : turns.length);

  // Smoothed records, once for each width; entries and their sum, once for each width and weighing.
  const books = players.map((p, i) => {
    const turn = v.array(`turn${i}`).data, n = turn.length, [sum, ...terms] = [p.terms.length, ...p.terms.keys()].map((k) => v.array(`terms${i}`).data.subarray(k * n, (k + 1) * n));
    let width = null, smooth = null;
    return () => {
      if (width !== place.get('smooth')) {
        width = place.get('smooth');
        smooth = { turn, sum: running(turn, sum, width), terms: terms.map((t) => running(turn, t, width)) };
      }
      const w = weightsOf(p), entries = smooth.terms.map((t, k) => (w ? t.map((x) => w[p.terms[k]] * x) : t));
      const total = w ? smooth.sum.map((_, j) => entries.reduce((a, e) => a + e[j], 0)) : smooth.sum;
      return { ...smooth, entries, total };
    };
  });
  const cursor = () => (v.covered && state.hides === 'later' ? books[0]().turn[until(books[0]().turn) - 1] : place.get('turn'));
  const at = (turn) => { const t = cursor(); let best = 0; for (let i = 1; i < turn.length; i += 1) if (Math.abs(turn[i] - t) < Math.abs(turn[best] - t)) best = i; return best; };

  // Controls.
  const time = slider('turn', { min: 1, max: Math.max(2, last), step: 1, value: place.get('turn'), format: (t) => short(Math.round(t)), on: (turn) => place.set({ turn }) });
  const smooth = slider('mean over', { min: 1, max: smoothest, step: 1, value: place.get('smooth'), format: (t) => `${short(t)} turn${t === 1 ? '' : 's'}`, on: (x) => place.set({ smooth: x }) });
  const squeeze = tick('squeeze large values', place.get('squeeze'), (on) => place.set({ squeeze: on }));
  v.controls.append(time.node, smooth.node, ...(players.some((p) => p.usual > 0) ? [squeeze.node] : []));
  v.onDraw(() => { time.set(cursor()); smooth.set(place.get('smooth')); squeeze.set(place.get('squeeze')); });

  players.forEach((p, i) => {
    const row = make('div', { class: 'hk-row', style: 'margin-top:.6rem' });
    v.stage.append(row);
    const left = panel(row, `${p.name}: what it ${p.verb}`, 'hk-broad'), edge = { left: 46, right: 14, top: 14, low: 32, tall: 205 };
    let room = 1;
    const across = (t) => edge.left + t / last * room;
    const drawing = canvas(v, left.node, {
      label: `terms of the ${p.name}`, height: () => edge.tall,
      draw(ctx, wide) {
        const book = books[i](), { turn, entries, total, sum } = book, { ink, line, soft, page } = v.colours(), seen = until(turn), shift = moved(p);
        const small = { colour: ink, font: '11px system-ui, sans-serif' };
        room = wide - edge.left - edge.right;
        let [a, b] = [0, 0];
        for (const values of [...entries, total, sum]) for (let j = 0; j < seen; j += 1) { a = Math.min(a, values[j]); b = Math.max(b, values[j]); }
        if (b - a < 1e-9) b = a + 1;
        const usual = place.get('squeeze') ? p.usual : 0, bend = (y) => (usual ? Math.asinh(y / usual) : y), [A, B] = [bend(a), bend(b)];
        const Y = (y) => edge.top + (B - bend(y)) / (B - A) * (edge.tall - edge.top - edge.low);
        let before = Infinity;
        for (const y of heights(a, b, usual).sort((x, z) => x - z)) {
          ctx.strokeStyle = y === 0 ? line : soft; ctx.lineWidth = 1; ctx.beginPath(); ctx.moveTo(edge.left, Y(y)); ctx.lineTo(edge.left + room, Y(y)); ctx.stroke();
          if (before - Y(y) > 13 || y === 0) { write(ctx, y < 0 ? `−${short(-y)}` : short(y), edge.left - 5, Y(y), { ...small, align: 'right', base: 'middle' }); before = Y(y); }
        }
        write(ctx, 'nats', 2, 9, small);
        for (const t of heights(0, last, 0)) write(ctx, short(t), across(t), edge.tall - 18, { ...small, align: across(t) > wide - 20 ? 'right' : 'center' });
        write(ctx, 'turn', edge.left + room / 2, edge.tall - 5, { ...small, align: 'center' });
        const trace = (values) => { ctx.beginPath(); for (let j = 0; j < seen; j += 1) ctx.lineTo(across(turn[j]), Y(values[j])); };
        // What a term adds to or takes from the sum, shaded down to nothing; then the lines.
        entries.forEach((values, k) => {
          if (priced(p, p.terms[k])) return;
          ctx.fillStyle = colourOf(v, p.looks[p.terms[k]]); ctx.globalAlpha = 0.13; trace(values);
          ctx.lineTo(across(turn[seen - 1]), Y(0)); ctx.lineTo(across(turn[0]), Y(0)); ctx.fill(); ctx.globalAlpha = 1;
        });
        entries.forEach((values, k) => { if (priced(p, p.terms[k])) return; const look = p.looks[p.terms[k]]; ctx.strokeStyle = colourOf(v, look); ctx.lineWidth = 1.7; ctx.setLineDash(dashes(look)); trace(values); ctx.stroke(); ctx.setLineDash([]); });
        if (shift) { ctx.strokeStyle = line; ctx.lineWidth = 2; ctx.setLineDash([2, 3]); trace(sum); ctx.stroke(); ctx.setLineDash([]); }
        if (!priced(p)) { ctx.strokeStyle = ink; ctx.lineWidth = 3; trace(total); ctx.stroke(); }
        if (seen < turn.length || priced(p)) write(ctx, '?', edge.left + room * 0.55, priced(p) ? (Y(0) + edge.tall - edge.low) / 2 : edge.tall / 2 - 8, { colour: ink, align: 'center', base: 'middle', font: '600 28px system-ui, sans-serif' });
        const j = at(turn), x = across(cursor());
        ctx.strokeStyle = ink; ctx.lineWidth = 1.5; ctx.beginPath(); ctx.moveTo(x, edge.top - 6); ctx.lineTo(x, edge.tall - edge.low + 4); ctx.stroke();
        entries.forEach((values, k) => { if (priced(p, p.terms[k])) return; const look = p.looks[p.terms[k]]; ctx.fillStyle = page; ctx.beginPath(); ctx.arc(across(turn[j]), Y(values[j]), 6, 0, 7); ctx.fill(); ctx.fillStyle = colourOf(v, look); marker(ctx, look, across(turn[j]), Y(values[j]), 4); });
        if (!priced(p)) { ctx.fillStyle = ink; ctx.beginPath(); ctx.arc(across(turn[j]), Y(total[j]), 5, 0, 7); ctx.fill(); }
        drawing.say(`${p.name}, turn ${Math.round(turn[j])}: ${p.terms.map((t, k) => `${t} ${priced(p, t) ? 'not shown yet' : signed(entries[k][j])}`).join(', ')}; sum ${priced(p) ? 'not shown yet' : signed(total[j])}${seen < turn.length ? '; the later turns are not shown yet' : ''}`);
      } });
    drawing.box.style.cursor = 'ew-resize';
    dragging(drawing.box, (e) => { if (!v.covered) place.set({ turn: clamp(Math.round((e.clientX - drawing.box.getBoundingClientRect().left - edge.left) / room * last), 1, last) }); });

    // The account at the cursor: a line and a handle for each term, and what they come to.
    const account = make('div', { class: 'hk-panel', style: 'flex:1 1 15rem', role: 'group', 'aria-label': `account of the ${p.name}` });
    row.append(account);
    const samples = p.terms.map((t) => make('span', { style: 'flex:none;width:22px;height:0', 'aria-hidden': 'true' }));
    const entry = (text, wide) => make('span', { style: `margin-left:auto;font-variant-numeric:tabular-nums;white-space:nowrap;${wide || ''}` }, text);
    const figures = p.terms.map(() => entry(''));
    const handles = p.terms.map((t, k) => {
      if (!p.weights) { account.append(make('div', { style: 'display:flex;gap:.5rem;align-items:center;margin:.25rem 0' }, samples[k], t, figures[k])); return null; }
      const w = p.weights[t], sign = signOf(p, t), most = Math.max(2, 2 * Math.abs(w));
      const handle = slider(`weight of ${t}`, { min: 0, max: most, step: most / 200, value: Math.abs(w), format: (x) => `× ${short(Number(x.toPrecision(6)))}`,
        on: (x) => place.set({ weights: { ...place.get('weights'), [p.name]: { ...weightsOf(p), [t]: sign * x } } }) });
      handle.node.firstChild.className = 'hk-hidden'; handle.node.style.cssText = 'display:flex;flex:none;padding-left:30px;margin-top:.2rem';
      handle.node.lastChild.style.minWidth = '4em';
      account.append(make('div', { style: 'display:flex;gap:.5rem;align-items:center;margin-top:.35rem' }, samples[k], make('span', { style: 'overflow-wrap:anywhere;min-width:0' }, `${sign < 0 ? '−' : '+'} ${t}`), figures[k]), handle.node);
      return { set: () => handle.set(Math.abs(weightsOf(p)[t])) };
    });
    const total = entry('', 'font-weight:600'), was = entry(''), wasLine = make('div', { style: 'display:flex;gap:.5rem;align-items:center' }, make('span', { style: 'flex:none;width:22px;border-top:2px dotted var(--hk-line)', 'aria-hidden': 'true' }), 'as recorded', was);
    account.append(make('div', { style: 'display:flex;gap:.5rem;align-items:center;margin-top:.4rem;padding-top:.3rem;border-top:1px solid var(--hk-line)' },
      make('span', { style: 'flex:none;width:22px;border-top:4px solid', 'aria-hidden': 'true' }), make('span', { style: 'font-weight:600' }, p.weights ? 'sum' : 'as recorded'), total), wasLine);
    if (p.why) account.append(make('p', { style: 'margin-top:.4rem;font-size:13px' }, `No handles: ${p.why}.`));
    v.onDraw(() => {
      account.inert = v.covered; account.style.opacity = v.covered ? 0.6 : 1;
      const book = books[i](), j = at(book.turn);
      p.terms.forEach((t, k) => {
        const look = p.looks[t], style = { '--': 'dashed', '-.': 'dashed', ':': 'dotted' }[look.linestyle] || (Array.isArray(look.linestyle) ? 'dashed' : 'solid');
        samples[k].style.borderTop = `3px ${style} ${colourOf(v, look)}`;
        const text = priced(p, t) ? '?' : p.weights ? `${short(Math.abs(weightsOf(p)[t]))} × ${short(book.terms[k][j])} = ${credit(p, t, book.entries[k][j])}` : short(book.terms[k][j]);
        if (figures[k].textContent !== text) figures[k].textContent = text;
        handles[k]?.set();
      });
      total.textContent = priced(p) ? '?' : signed(book.total[j]);
      wasLine.hidden = !moved(p); was.textContent = signed(book.sum[j]);
    });
  });

  v.onDraw(() => {
    const parts = players.map((p, i) => {
      const book = books[i](), j = at(book.turn);
      const terms = p.terms.map((t, k) => (priced(p, t) ? `− ? ${t}` : p.weights ? `${credit(p, t, book.entries[k][j])} ${t}` : `${t} ${short(book.terms[k][j])}`)).join(' ');
      return `${p.name}: ${terms}${p.weights ? ' =' : '; recorded'} ${priced(p) ? '?' : signed(book.total[j])}${moved(p) ? ` instead of ${signed(book.sum[j])}` : ''}`;
    });
    const note = players.some(moved) ? ' This re-weighs the records; it is not a new training: with other weights the players would have gone elsewhere.' : '';
    v.caption(`Turn ${short(Math.round(cursor()))}: ${parts.join('. ')}.${note}`);
  });
  v.explain(() => players.map((p, i) => {
    const book = books[i](), j = at(book.turn);
    if (!p.weights) return `${p.name}: ${p.why}.`;
    if (priced(p)) return 'Answer the question first.';
    return `${p.name} ${p.verb} ${p.terms.map((t, k) => `${credit(p, t, weightsOf(p)[t])}·${short(book.terms[k][j])} (${t})`).join(' ')} = ${signed(book.total[j])}, mean over ${short(place.get('smooth'))} turns around ${Math.round(book.turn[j])}.`;
  }));
}

export default { render: view(setup) };
