// LossLedger: each player's recorded terms with their signs, their sum, and handles that re-weigh the records.
// Arrays, player i: turn{i} (n,), terms{i} (k+1,n), the sum last, all float32;
// state.players: name, verb, terms, weights or null, why, usual, looks; state.hides: what waits for the answer, later
// turns or the price.
import { short, clamp } from './numbers/basics.js';
import {
  axisMarks, bent, credit, nearestTurn, reweighed, running, signed, signOf, spanOf, weighed,
} from './numbers/ledger.js';
import { view, make, panel } from './kit/frame.js';
import { slider, tick, dragging } from './kit/controls.js';
import { canvas, write, writeUnknown, polyline, disc, ringed, colourOf, dashes, SMALL } from './kit/canvas.js';

const EDGE = { left: 46, right: 14, top: 14, low: 32, tall: 205 };

// What a player's panels read: its weights, its records smoothed and weighed, and what is not shown before the answer.
function ledgerOf(v, index) {
  const { place, state } = v, player = state.players[index], { name, terms, weights: recorded } = player;
  const turn = v.array(`turn${index}`).data, n = turn.length;
  const row = (k) => v.array(`terms${index}`).data.subarray(k * n, (k + 1) * n);
  const rows = Array.from({ length: terms.length + 1 }, (_, k) => row(k));
  let width = null, smooth = [];
  const weights = () => (recorded ? { ...recorded, ...(place.get('weights') || {})[name] } : null);
  const listed = (w) => terms.map((term) => w[term]), hides = (what) => v.covered && state.hides === what;
  return {
    ...player, turn, weights, recorded,
    sign: (term) => signOf(recorded[term], term),
    isReweighed: () => Boolean(recorded) && reweighed(listed(weights()), listed(recorded)),
    isHidden: (term) => hides('price') && name === 'augmentor' && (!term || ['teacher_change', 'paid'].includes(term)),
    seen: () => (hides('later') ? Math.max(1, Math.floor(n / 10)) : n),
    // Smoothed once for each width.
    book() {
      if (width !== place.get('smooth')) {
        width = place.get('smooth');
        smooth = rows.map((values) => running(turn, values, width));
      }
      const sum = smooth.at(-1), unweighed = smooth.slice(0, -1);
      return { sum, terms: unweighed, ...weighed(unweighed, recorded && listed(weights()), sum) };
    },
  };
}
const credited = (p, k, book, j) => credit(p.sign(p.terms[k]), book.entries[k][j]);

function addControls(v, players, cursor) {
  const { place, state: { last } } = v, turns = (t) => `${short(t)} turn${t === 1 ? '' : 's'}`;
  const time = slider('turn', { min: 1, max: Math.max(2, last), step: 1, value: place.get('turn'),
    format: (t) => short(Math.round(t)), on: (turn) => place.set({ turn }) });
  const smooth = slider('mean over', { min: 1, max: Math.max(1, Math.round(last / 3)), step: 1,
    value: place.get('smooth'),
    format: turns, on: (x) => place.set({ smooth: x }) });
  const squeeze = tick('squeeze large values', place.get('squeeze'), (on) => place.set({ squeeze: on }));
  v.controls.append(time.node, smooth.node, ...(players.some((p) => p.usual > 0) ? [squeeze.node] : []));
  v.onDraw(() => {
    time.set(cursor());
    smooth.set(place.get('smooth'));
    squeeze.set(place.get('squeeze'));
  });
}

// ---------------------------------------------------------------- the terms over the turns

// Where turns and nats lie in a drawing that is `wide` pixels wide.
function scaleOf(v, player, book, wide) {
  const room = wide - EDGE.left - EDGE.right, usual = v.place.get('squeeze') ? player.usual : 0;
  const [a, b] = spanOf([...book.entries, book.total, book.sum], player.seen());
  const [low, high] = [bent(a, usual), bent(b, usual)];
  return {
    room, marks: axisMarks(a, b, usual).sort((x, z) => x - z),
    X: (t) => EDGE.left + t / v.state.last * room,
    Y: (y) => EDGE.top + (high - bent(y, usual)) / (high - low) * (EDGE.tall - EDGE.top - EDGE.low),
  };
}
function drawAxes(v, ctx, wide, { X, Y, room, marks }) {
  const { ink, line, soft } = v.colours(), small = { colour: ink, font: SMALL };
  let before = Infinity;
  for (const y of marks) {
    polyline(ctx, [[EDGE.left, Y(y)], [EDGE.left + room, Y(y)]], { colour: y === 0 ? line : soft });
    if (before - Y(y) <= 13 && y !== 0) continue;
    write(ctx, y < 0 ? `−${short(-y)}` : short(y), EDGE.left - 5, Y(y), { ...small, align: 'right', base: 'middle' });
    before = Y(y);
  }
  write(ctx, 'nats', 2, 9, small);
  for (const t of axisMarks(0, v.state.last, 0)) {
    write(ctx, short(t), X(t), EDGE.tall - 18, { ...small, align: X(t) > wide - 20 ? 'right' : 'center' });
  }
  write(ctx, 'turn', EDGE.left + room / 2, EDGE.tall - 5, { ...small, align: 'center' });
}
// What each term adds to or takes from the sum, shaded down to nothing; then the lines, the sum as recorded, the sum.
function drawCurves(v, ctx, p, { entries, total, sum }, { X, Y }) {
  const { ink, line } = v.colours(), seen = p.seen();
  const shown = entries.map((values, k) => [values, p.terms[k]]).filter(([, term]) => !p.isHidden(term));
  const trace = (values) => Array.from({ length: seen }, (_, j) => [X(p.turn[j]), Y(values[j])]);
  for (const [values, term] of shown) {
    ctx.fillStyle = colourOf(v, p.looks[term]);
    ctx.globalAlpha = 0.13;
    ctx.beginPath();
    for (const [x, y] of [...trace(values), [X(p.turn[seen - 1]), Y(0)], [X(p.turn[0]), Y(0)]]) ctx.lineTo(x, y);
    ctx.fill();
    ctx.globalAlpha = 1;
  }
  for (const [values, term] of shown) {
    polyline(ctx, trace(values), { colour: colourOf(v, p.looks[term]), wide: 1.7, dash: dashes(p.looks[term]) });
  }
  if (p.isReweighed()) polyline(ctx, trace(sum), { colour: line, wide: 2, dash: [2, 3] });
  if (!p.isHidden()) polyline(ctx, trace(total), { colour: ink, wide: 3 });
}
// What is not told yet.
function drawQuestionMark(v, ctx, p, { Y, room }) {
  if (p.seen() === p.turn.length && !p.isHidden()) return;
  const y = p.isHidden() ? (Y(0) + EDGE.tall - EDGE.low) / 2 : EDGE.tall / 2 - 8;
  writeUnknown(ctx, EDGE.left + room * 0.55, y, v.colours().ink);
}
function drawCursor(v, ctx, p, { entries, total }, { X, Y }, turn) {
  const { ink } = v.colours(), j = nearestTurn(p.turn, turn), x = X(p.turn[j]);
  polyline(ctx, [[X(turn), EDGE.top - 6], [X(turn), EDGE.tall - EDGE.low + 4]], { colour: ink, wide: 1.5 });
  entries.forEach((values, k) => {
    if (!p.isHidden(p.terms[k])) ringed(ctx, v, p.looks[p.terms[k]], x, Y(values[j]), 4);
  });
  if (!p.isHidden()) disc(ctx, x, Y(total[j]), 5, ink);
}
function addPlot(v, row, p, cursor) {
  const left = panel(row, `${p.name}: what it ${p.verb}`, 'hk-broad'), { last } = v.state;
  const drawing = canvas(v, left.node, {
    label: `terms of the ${p.name}`, height: () => EDGE.tall,
    draw(ctx, wide) {
      const book = p.book(), scale = scaleOf(v, p, book, wide), j = nearestTurn(p.turn, cursor());
      drawAxes(v, ctx, wide, scale);
      drawCurves(v, ctx, p, book, scale);
      drawQuestionMark(v, ctx, p, scale);
      drawCursor(v, ctx, p, book, scale, cursor());
      const valueOf = (hidden, value) => (hidden ? 'not shown yet' : signed(value));
      const terms = p.terms.map((t, k) => `${t} ${valueOf(p.isHidden(t), book.entries[k][j])}`).join(', ');
      const later = p.seen() < p.turn.length ? '; the later turns are not shown yet' : '';
      const sum = valueOf(p.isHidden(), book.total[j]);
      drawing.say(`${p.name}, turn ${Math.round(p.turn[j])}: ${terms}; sum ${sum}${later}`);
    } });
  drawing.box.style.cursor = 'ew-resize';
  dragging(drawing.box, (e) => {
    if (v.covered) return;
    const x = e.clientX - drawing.box.getBoundingClientRect().left - EDGE.left;
    const room = drawing.width - EDGE.left - EDGE.right;
    v.place.set({ turn: clamp(Math.round(x / room * last), 1, last) });
  });
}

// ---------------------------------------------------------------- the account at the cursor

const LINE = 'display:flex;gap:.5rem;align-items:center;';
const SAMPLE = 'flex:none;width:22px;';
const FIGURE = 'margin-left:auto;font-variant-numeric:tabular-nums;white-space:nowrap;';
const sample = (style) => make('span', { style: `${SAMPLE}${style}`, 'aria-hidden': 'true' });
const figure = (style = '') => make('span', { style: `${FIGURE}${style}` }, '');

// A line for a term, and, where the records are a weighted sum, a handle for its weight.
function addEntry(v, account, p, term) {
  const stroke = sample('height:0'), amount = figure();
  if (!p.recorded) {
    account.append(make('div', { style: `${LINE}margin:.25rem 0` }, stroke, term, amount));
    return { stroke, amount, update() {} };
  }
  const weight = Math.abs(p.recorded[term]), sign = p.sign(term), most = Math.max(2, 2 * weight);
  const handle = slider(`weight of ${term}`, { min: 0, max: most, step: most / 200, value: weight,
    format: (x) => `× ${short(Number(x.toPrecision(6)))}`,
    on(x) {
      const own = { ...p.weights(), [term]: sign * x };
      v.place.set({ weights: { ...v.place.get('weights'), [p.name]: own } });
    } });
  handle.node.firstChild.className = 'hk-hidden';
  handle.node.style.cssText = 'display:flex;flex:none;padding-left:30px;margin-top:.2rem';
  handle.node.lastChild.style.minWidth = '4em';
  const name = make('span', { style: 'overflow-wrap:anywhere;min-width:0' }, `${sign < 0 ? '−' : '+'} ${term}`);
  account.append(make('div', { style: `${LINE}margin-top:.35rem` }, stroke, name, amount), handle.node);
  return { stroke, amount, update: () => handle.set(Math.abs(p.weights()[term])) };
}
// What the terms come to, and what they came to in the training.
function addTotals(account, p) {
  const total = figure('font-weight:600'), was = figure();
  const dots = sample('border-top:2px dotted var(--hk-line)');
  const recorded = make('div', { style: LINE.slice(0, -1) }, dots, 'as recorded', was);
  account.append(
    make('div', { style: `${LINE}margin-top:.4rem;padding-top:.3rem;border-top:1px solid var(--hk-line)` },
      sample('border-top:4px solid'),
      make('span', { style: 'font-weight:600' }, p.recorded ? 'sum' : 'as recorded'), total),
    recorded);
  if (p.why) account.append(make('p', { style: 'margin-top:.4rem;font-size:13px' }, `No handles: ${p.why}.`));
  return { total, was, recorded };
}
const BORDERS = { '--': 'dashed', '-.': 'dashed', ':': 'dotted' };
function addAccount(v, row, p, cursor) {
  const account = make('div', { class: 'hk-panel', style: 'flex:1 1 15rem', role: 'group',
    'aria-label': `account of the ${p.name}` });
  row.append(account);
  const entries = p.terms.map((term) => addEntry(v, account, p, term));
  const { total, was, recorded } = addTotals(account, p);
  const amountOf = (term, k, book, j) => {
    if (p.isHidden(term)) return '?';
    const amount = short(book.terms[k][j]);
    return p.recorded ? `${short(Math.abs(p.weights()[term]))} × ${amount} = ${credited(p, k, book, j)}` : amount;
  };
  v.onDraw(() => {
    account.inert = v.covered;
    account.style.opacity = v.covered ? 0.6 : 1;
    const book = p.book(), j = nearestTurn(p.turn, cursor());
    p.terms.forEach((term, k) => {
      const look = p.looks[term], isDashed = Array.isArray(look.linestyle);
      const border = BORDERS[look.linestyle] || (isDashed ? 'dashed' : 'solid');
      const text = amountOf(term, k, book, j), { stroke, amount, update } = entries[k];
      stroke.style.borderTop = `3px ${border} ${colourOf(v, look)}`;
      if (amount.textContent !== text) amount.textContent = text;
      update();
    });
    total.textContent = p.isHidden() ? '?' : signed(book.total[j]);
    recorded.hidden = !p.isReweighed();
    was.textContent = signed(book.sum[j]);
  });
}

// ---------------------------------------------------------------- words

function sentenceOf(p, cursor) {
  const book = p.book(), j = nearestTurn(p.turn, cursor());
  const terms = p.terms.map((t, k) => {
    if (p.isHidden(t)) return `− ? ${t}`;
    return p.recorded ? `${credited(p, k, book, j)} ${t}` : `${t} ${short(book.terms[k][j])}`;
  }).join(' ');
  const total = p.isHidden() ? '?' : signed(book.total[j]);
  const instead = p.isReweighed() ? ` instead of ${signed(book.sum[j])}` : '';
  return `${p.name}: ${terms}${p.recorded ? ' =' : '; recorded'} ${total}${instead}`;
}
function explanationOf(v, p, cursor) {
  if (!p.recorded) return `${p.name}: ${p.why}.`;
  if (p.isHidden()) return 'Answer the question first.';
  const book = p.book(), j = nearestTurn(p.turn, cursor());
  const weights = p.weights(), weight = (term) => credit(p.sign(term), weights[term]);
  const terms = p.terms.map((t, k) => `${weight(t)}·${short(book.terms[k][j])} (${t})`).join(' ');
  const around = `mean over ${short(v.place.get('smooth'))} turns around ${Math.round(p.turn[j])}`;
  return `${p.name} ${p.verb} ${terms} = ${signed(book.total[j])}, ${around}.`;
}

function setup(v) {
  const { state, place } = v, players = state.players.map((_, i) => ledgerOf(v, i)), [{ turn, seen }] = players;
  const cursor = () => (v.covered && state.hides === 'later' ? turn[seen() - 1] : place.get('turn'));
  addControls(v, players, cursor);
  for (const p of players) {
    const row = make('div', { class: 'hk-row', style: 'margin-top:.6rem' });
    v.stage.append(row);
    addPlot(v, row, p, cursor);
    addAccount(v, row, p, cursor);
  }
  v.onDraw(() => {
    const note = players.some((p) => p.isReweighed())
      ? ' This re-weighs the records; it is not a new training: '
        + 'with other weights the players would have gone elsewhere.' : '';
    v.caption(`Turn ${short(Math.round(cursor()))}: ${players.map((p) => sentenceOf(p, cursor)).join('. ')}.${note}`);
  });
  v.explain(() => players.map((p) => explanationOf(v, p, cursor)));
}

export default { render: view(setup) };
