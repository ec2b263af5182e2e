// VaeScrub: an image, drawn again by the VAE, and perturbed level by level; what both models say of it.
// Arrays, G levels of P stops: original (n,C,H,W) bytes; learned and drawn (n,P^g,C,H,W), the last level the fastest;
// swap (n,n-1,2^G-2,C,H,W) by partner and mask of levels; for each of them `_probs` (…,M,K) bytes of probability and
// `_answers` (…,M) the likeliest class of the M models; length (n,G) of the learned move, in sd; label (n,).
import { percent, short } from './numbers/basics.js';
import { brighter, indexAt, nearestStop, swapIndex, swapMask, withSign } from './numbers/vae.js';
import { view, make, panel } from './kit/frame.js';
import { slider, tick, choose, button } from './kit/controls.js';
import { canvas, painter, write, outlineRect, colourOf, marker, tint, FONT } from './kit/canvas.js';
import { imageGrid, bars } from './kit/charts.js';

const WAYS = { learned: 'the learned move', drawn: 'a random direction', swap: 'swap with another image' };

// ---------------------------------------------------------------- what all panels read

// Where the reader is, made safe. While the question is open all levels move at once: which of them did it, is not
// told.
function placeOf(v) {
  const { place, state: { levels, names, stops, counts } } = v, n = v.array('original').shape[0];
  const P = stops.drawn.length;
  const ways = Object.keys(WAYS).filter((way) => way in counts), inside = (i) => (i >= 0 && i < n ? i : 0);
  const way = () => (ways.includes(place.get('way')) ? place.get('way') : 'drawn'), isSwap = () => way() === 'swap';
  const furthest = () => place.get('at').reduce((a, b) => (Math.abs(b) > Math.abs(a) ? b : a), 0);
  return {
    n, P, ways, way, isSwap,
    image: () => inside(place.get('image')),
    partner: () => inside(place.get('partner')),
    student: () => Math.max(1, Math.min(place.get('student'), names.length - 1)),
    // Whose stops the sliders have: those of swapping are not shown.
    kind: () => (isSwap() ? 'drawn' : way()),
    at() {
      if (!v.covered) return place.get('at');
      const all = furthest() || stops[this.kind()][P - 1];
      return levels.map(() => all);
    },
    swapped: () => (v.covered ? levels.map(() => true) : place.get('swapped')),
  };
}
function scrubOf(v) {
  const { state: { classes, names, levels, stops, moving, counts } } = v, p = placeOf(v);
  const M = names.length, K = classes.length, G = levels.length;
  const label = v.array('label').data, kinds = ['original', 'drawn', 'learned', 'swap'].filter((k) => v.has(k));
  const stopped = (kind, i, values) => ({ array: kind, index: indexAt(i, values, moving[kind], stops[kind]) });
  const again = (i) => stopped('drawn', i, levels.map(() => 0));
  // Where a picture is recorded: {array, index}.
  const now = () => {
    const i = p.image(), j = p.partner();
    if (!p.isSwap()) return stopped(p.way(), i, p.at());
    const mask = swapMask(i, j, p.swapped());
    if (mask === 0 || mask === 2 ** G - 1) return again(mask ? j : i);
    return { array: 'swap', index: swapIndex(i, j, p.n, mask, G) };
  };
  const decided = ({ array, index }, m) => v.array(`${array}_answers`).data[index * M + m];
  const probs = (array) => v.array(`${array}_probs`).data;
  const bytes = ({ array, index }, m) => probs(array).subarray((index * M + m) * K, (index * M + m + 1) * K);
  return Object.assign(p, {
    again, now, decided, label,
    original: (i) => ({ array: 'original', index: i }),
    painters: Object.fromEntries(kinds.map((kind) => [kind, painter(v.array(kind))])),
    both: () => [0, p.student()],
    studentName: () => names[p.student()],
    probabilities: (where, m) => Array.from(bytes(where, m), (b) => b / 255),
    belief: (where, m) => percent(bytes(where, m)[decided(where, m)] / 255),
    // Whether model m says something else than of the reconstruction.
    isChanged: (m) => decided(now(), m) !== decided(again(p.image()), m),
    called: (i) => `image ${i} ('${classes[label[i]]}')`,
    depth: (g) => (G === 1 ? '' : g === 0 ? ', coarsest' : g === G - 1 ? ', finest' : G === 3 ? ', middle' : ''),
    counts: () => counts[p.way()][p.student() - 1],
    after: () => (v.covered ? 'all levels moved' : p.isSwap() ? 'swapped' : 'perturbed'),
  });
}

// ------------------------------------------ controls: how to move, whose student, a slider or a tick for each level

function addControls(v, s) {
  const { place, state: { levels, names } } = v;
  const setWay = (k) => place.set({ way: s.ways[k] }), images = Array.from({ length: s.n }, (_, i) => s.called(i));
  const how = choose('move by', s.ways.map((w) => WAYS[w]), s.ways.indexOf(s.way()), setWay);
  const whose = choose('student', names.slice(1), s.student() - 1, (k) => place.set({ student: k + 1 }));
  const from = choose('from', images, s.partner(), (i) => place.set({ partner: i }));
  const atRest = () => (s.isSwap() ? { swapped: levels.map(() => false) } : { at: levels.map(() => 0) });
  const rest = button('All at rest', () => place.set(atRest()));
  const sliders = addSliders(v, s), ticks = addTicks(v, s);
  v.controls.append(how.node, ...(names.length > 2 ? [whose.node] : []), from.node, rest, ticks, sliders);
  v.onDraw(() => {
    how.set(s.ways.indexOf(s.way()));
    whose.set(s.student() - 1);
    from.set(s.partner());
    from.node.hidden = !s.isSwap();
  });
}
const replaced = (values, g, value) => values.map((old, k) => (k === g ? value : old));
function addSliders(v, s) {
  const { place, state: { levels, stops, moving } } = v;
  const format = (g) => (k) => {
    if (!moving[s.kind()].includes(g)) return 'does not move';
    const value = stops[s.kind()][k];
    if (s.kind() === 'drawn') return `${withSign(value)} sd`;
    return `${value} × ${v.array('length').data[s.image() * levels.length + g].toFixed(2)} sd`;
  };
  const sliders = levels.map((name, g) => slider(`${name}${s.depth(g)}`, {
    min: 0, max: s.P - 1, value: 0, format: format(g),
    on: (k) => place.set({ at: replaced(place.get('at'), g, stops[s.way()][k]) }) }));
  for (const { node } of sliders) node.lastChild.style.whiteSpace = 'nowrap';
  v.onDraw(() => sliders.forEach(({ node, input, set }, g) => {
    node.hidden = s.isSwap();
    set(nearestStop(s.at()[g], stops[s.kind()]));
    input.disabled = !moving[s.kind()].includes(g);
  }));
  const columns = 'repeat(auto-fit,minmax(min(100%,17rem),1fr))';
  const style = `flex:1 1 100%;display:grid;grid-template-columns:${columns};gap:.2rem 1.5rem`;
  return make('div', { style }, ...sliders.map(({ node }) => node));
}
function addTicks(v, s) {
  const { place, state: { levels } } = v;
  const set = (g, on) => place.set({ swapped: replaced(place.get('swapped'), g, on) });
  const ticks = levels.map((name, g) => tick(`${name}${s.depth(g)}`, false, (on) => set(g, on)));
  v.onDraw(() => ticks.forEach(({ node, set }, g) => {
    node.hidden = !s.isSwap();
    set(s.swapped()[g]);
  }));
  return make('div', { class: 'hk-choices' }, ...ticks.map(({ node }) => node));
}
function addImages(v, s) {
  const { node, title } = panel(v.stage);
  node.style.maxWidth = `${58 * s.n}px`;
  title.style.marginBottom = '.35rem';
  const order = Array.from({ length: s.n }, (_, i) => i);
  imageGrid(v, node, { array: v.array('original'), name: 'images', side: 58,
    order: () => order, at: (i) => i, label: s.called });
  v.onDraw(() => { title.textContent = `${s.called(s.image()).replace('i', 'I')} of ${s.n}`; });
}

// ----------------------------------- original, reconstruction, perturbed, what has changed; under each what both say

function differenceOf(v, s) {
  const { C, H, W } = s.painters.original, area = H * W;
  const tile = new OffscreenCanvas(W, H), sheet = tile.getContext('2d');
  const pixels = sheet.createImageData(W, H), originals = v.array('original').data;
  const shades = Array.from({ length: 511 }, (_, d) => [...tint(d / 510, 'difference').match(/\d+/g).map(Number), 255]);
  return (ctx, x, y, side) => {
    const { array, index } = s.now(), size = C * area;
    const changes = brighter(v.array(array).data, index * size, originals, s.image() * size, C, area);
    changes.forEach((change, p) => pixels.data.set(shades[255 + change], 4 * p));
    sheet.putImageData(pixels, 0, 0);
    ctx.imageSmoothingEnabled = false;
    const scale = side / Math.max(H, W);
    ctx.drawImage(tile, x + (side - W * scale) / 2, y + (side - H * scale) / 2, W * scale, H * scale);
  };
}
// What is shown, and where it is recorded; the difference (null) last.
function picturesOf(v, s) {
  const i = s.image(), list = [['original', s.original(i)], ['reconstruction', s.again(i)]];
  if (s.isSwap() && !v.covered) list.push([`image ${s.partner()}, again`, s.again(s.partner())]);
  return [...list, [s.after(), s.now()], ['minus original', null]];
}
function layoutOf(count, wide) {
  const cols = wide / count >= 104 ? count : 2, pitch = wide / cols, side = Math.min(pitch - 12, 150);
  return { cols, pitch, side, tall: side + 68, rows: Math.ceil(count / cols) };
}
function drawColours(v, ctx, x, y, wide) {
  [['blue: brighter', 1], ['orange: darker', 0]].forEach(([text, t], i) => {
    ctx.fillStyle = tint(t, 'difference');
    ctx.fillRect(x, y + 7 + 17 * i, 10, 10);
    write(ctx, text, x + 15, y + 16 + 17 * i, { colour: v.colours().ink, wide: wide - 19 });
  });
}
function drawAnswers(v, ctx, s, text, where, x, y, wide) {
  const { names, looks, classes } = v.state;
  s.both().forEach((m, i) => {
    const look = looks[names[m]], isOther = text === s.after() && s.isChanged(m);
    ctx.fillStyle = colourOf(v, look);
    marker(ctx, look, x + 5, y + 12 + 17 * i, 4.5);
    write(ctx, `${isOther ? '≠ ' : ''}${s.belief(where, m)}: ${classes[s.decided(where, m)]}`, x + 14, y + 16 + 17 * i,
      { colour: v.colours().ink, wide: wide - 18, font: isOther ? `600 ${FONT}` : FONT });
  });
}
function addPictures(v, s, row) {
  const { node, title } = panel(row, '', 'hk-broad'), { names, classes } = v.state, drawDifference = differenceOf(v, s);
  const drawing = canvas(v, node, {
    label: 'original, reconstruction, perturbed',
    height(wide) {
      const { rows, tall } = layoutOf(picturesOf(v, s).length, wide);
      return rows * tall;
    },
    draw(ctx, wide) {
      const pictures = picturesOf(v, s), { ink, line } = v.colours();
      const { cols, pitch, side, tall } = layoutOf(pictures.length, wide);
      pictures.forEach(([text, where], k) => {
        const x = (k % cols) * pitch, y = Math.floor(k / cols) * tall + 18;
        write(ctx, text, x, y - 6, { colour: ink, wide: pitch - 4, font: `600 ${FONT}` });
        if (where) s.painters[where.array](ctx, where.index, x, y, side);
        else drawDifference(ctx, x, y, side);
        outlineRect(ctx, x + 0.5, y + 0.5, side - 1, side - 1, line);
        if (where) drawAnswers(v, ctx, s, text, where, x, y + side, pitch);
        else drawColours(v, ctx, x, y + side, pitch);
      });
      const answer = (where, m) => `${names[m]} says ${classes[s.decided(where, m)]} ${s.belief(where, m)}`;
      const answers = (where) => s.both().map((m) => answer(where, m)).join(', ');
      const known = pictures.filter(([, where]) => where);
      drawing.say(known.map(([text, where]) => `${text}: ${answers(where)}`).join('; '));
    } });
  node.append(make('p', { style: 'font-size:13px' }, '≠ and bold: another answer than for the reconstruction.'));
  v.onDraw(() => {
    const moved = s.isSwap() ? 'with levels of another image' : 'with its levels moved';
    const how = v.covered ? 'with all levels moved at once' : moved;
    title.textContent = `Original, reconstruction, and ${how}`;
  });
}
function addBeliefs(v, s, row) {
  const { node, title } = panel(row, '', 'hk-narrow'), { classes, names, looks } = v.state;
  node.style.flex = '1 1 15rem';
  v.onDraw(() => { title.textContent = `What they say of it${v.covered ? '' : ` ${s.after()}`}`; });
  bars(v, node, { classes, top: Math.min(7, classes.length), name: 'probabilities', truth: () => s.label[s.image()],
    series: () => s.both().map((m) => ({
      name: names[m], look: looks[names[m]], values: s.probabilities(s.now(), m) })) });
}

// ---------------------------------------------------------------- how often each level alone changes their minds

function addTable(v, s) {
  const { node, title } = panel(v.stage), { names, levels, looks, alone } = v.state, body = make('tbody');
  const style = 'overflow-wrap:anywhere;vertical-align:top';
  const heads = ['level', '', '', ''].map((text) => make('th', { scope: 'col', style }, text));
  node.style.marginTop = '.75rem';
  const wide = 'table-layout:fixed;width:100%;max-width:42rem';
  node.append(make('div', { class: 'hk-table' }, make('table', { style: wide },
    make('thead', {}, make('tr', {}, ...heads)), body)));
  const cells = levels.map((name, g) => {
    const parts = [0, 1, 2].map(() => ({ text: make('span'), bar: make('div', { style: 'height:6px' }) }));
    body.append(make('tr', {}, make('th', { scope: 'row', style: 'vertical-align:top' }, `${name}${s.depth(g)}`),
      ...parts.map(({ text, bar }) => make('td', { style: 'vertical-align:top' }, text, bar))));
    return parts;
  });
  v.onDraw(() => {
    title.textContent = v.covered ? 'How often does each level alone change what they say? Answer first.'
      : `${alone[s.way()]}: who changes its mind?`;
    [names[0], s.studentName(), `only ${s.studentName()}`].forEach((text, k) => { heads[k + 1].textContent = text; });
    cells.forEach((parts, g) => {
      const row = s.counts()[g], tries = row.at(-1);
      parts.forEach(({ text, bar }, k) => {
        text.textContent = v.covered ? '?' : `${row[k]} of ${tries}`;
        bar.style.width = v.covered ? '0' : `${100 * row[k] / tries}%`;
        bar.style.background = colourOf(v, looks[names[k ? s.student() : 0]]);
      });
    });
  });
}

// ---------------------------------------------------------------- words

// What was moved, level by level, and how far.
function movesOf(v, s) {
  const { levels, stops, moving } = v.state, way = s.way();
  if (s.isSwap()) return s.partner() === s.image() ? [] : levels.filter((_, g) => s.swapped()[g]);
  const stopped = moving[way].map((g) => [levels[g], stops[way][nearestStop(s.at()[g], stops[way])]]);
  const far = (x) => (way === 'drawn' ? `${withSign(x)} sd` : `${x} × its learned move`);
  return stopped.filter(([, x]) => x).map(([name, x]) => `${name} by ${far(x)}`);
}
function captionOf(v, s) {
  const { names, classes, levels, alone } = v.state, name = s.studentName(), moves = movesOf(v, s);
  const [teacher, student] = s.both().map(s.isChanged);
  const partner = s.isSwap() && moves.length ? ` from ${s.called(s.partner())}` : '';
  const start = `${s.called(s.image()).replace('i', 'I')}, ${moves.join(', ') || 'nothing moved'}${partner}`;
  const before = (m) => (s.isChanged(m) ? ` instead of ${classes[s.decided(s.again(s.image()), m)]}` : '');
  const says = (m) => `${names[m]} says ${classes[s.decided(s.now(), m)]} (${s.belief(s.now(), m)})`;
  const answers = s.both().map((m) => `${says(m)}${before(m)}`).join(', ');
  if (v.covered) return `${start}: ${answers}. Which level did it?`;
  const alike = teacher ? 'Both change their minds' : 'Neither changes its mind';
  const verdict = teacher === student ? alike : `Only ${teacher ? 'the teacher' : name} changes its mind`;
  const each = s.counts().map(([, , only, tries], g) => `${only} of ${tries} (${levels[g]})`).join(', ');
  return `${start}: ${answers}. ${verdict}. ${alone[s.way()]}: only ${name} changes its mind in ${each}.`;
}
function wayExplained(v, s) {
  const { levels, stops, moving } = v.state, last = s.P - 1;
  const length = (g) => short(v.array('length').data[s.image() * levels.length + g]);
  return {
    learned: () => `Learned: z = μ + k·σ·move(x), k from ${stops.learned[0]} to ${stops.learned[last]}; move(x) is `
      + 'what the augmentor says for this image, without its scatter. '
      + 'Where all levels move by 1 × its root mean square is '
      + `${moving.learned.map((g) => `${length(g)} sd in ${levels[g]}`).join(', ')}; `
      + 'a moved coarse group changes what the finer ones see.',
    drawn: () => `Random: z = μ + k·σ·d, k from ${withSign(stops.drawn[0])} to ${withSign(stops.drawn[last])}; `
      + 'd is drawn once for each image and scaled to root mean square 1 in each latent group.',
    swap: () => "Swap: z = the other image's μ in the levels that are ticked; finer levels that are not are read off "
      + 'the own image again, given the new coarser ones.',
  }[s.way()]();
}
function explanationOf(v, s) {
  const { levels } = v.state, counts = s.counts();
  const share = (only, tries, g) => `${levels[g]} ${only}/${tries} = ${percent(only / tries)}`;
  const shares = counts.map(([, , only, tries], g) => share(only, tries, g)).join(', ');
  return [
    'A latent group z has a posterior, read off the image, with mean μ, and a prior, known from the coarser ones, with '
    + 'standard deviation σ; a level holds one or more of them. The reconstruction takes z = μ in all.',
    wayExplained(v, s),
    'A model changes its mind when its likeliest class is another one than for the reconstruction. '
    + `Only ${s.studentName()}, of ${counts[0][3]} tries a level: ${shares}.`];
}

function setup(v) {
  const s = scrubOf(v), row = make('div', { class: 'hk-row', style: 'margin-top:.75rem' });
  addControls(v, s);
  addImages(v, s);
  v.stage.append(row);
  addPictures(v, s, row);
  addBeliefs(v, s, row);
  addTable(v, s);
  v.onDraw(() => v.caption(captionOf(v, s)));
  v.explain(() => explanationOf(v, s));
}

export default { render: view(setup) };
