// VaeScrub: an image, drawn again by the VAE, and perturbed level by level; what both models say of it. Arrays, G levels of P stops:
// original (n,C,H,W) bytes; learned and drawn (n,P^g,C,H,W), the last level the fastest; swap (n,n-1,2^G-2,C,H,W) by partner and mask of levels;
// for each of them `_probs` (…,M,K) bytes of probability and `_said` (…,M) the likeliest class of the M models; length (n,G) of the learned move, in sd; label (n,).
import { percent, short } from './numbers/basics.js';
import { make, panel, view } from './kit/frame.js';
import { slider, button, tick, choose } from './kit/controls.js';
import { canvas, FONT, write, colourOf, marker, painter, tint } from './kit/canvas.js';
import { imageGrid, bars } from './kit/charts.js';

const WAYS = { learned: 'the learned move', drawn: 'a random direction', swap: 'swap with another image' };
const signed = (x) => `${x > 0 ? '+' : x < 0 ? '−' : ''}${Math.abs(x)}`;
const nearest = (x, stops) => stops.reduce((best, s, i) => (Math.abs(s - x) < Math.abs(stops[best] - x) ? i : best), 0);

function setup(v) {
  const { state, place } = v, { classes, names, looks, levels, stops, moving, counts, alone } = state;
  const originals = v.array('original'), n = originals.shape[0], G = levels.length, M = names.length, K = classes.length, label = v.array('label').data;
  const ways = Object.keys(WAYS).filter((way) => way in counts), full = 2 ** G - 1, P = stops.drawn.length, rest = levels.map(() => 0);
  const inside = (i) => (i >= 0 && i < n ? i : 0), image = () => inside(place.get('image')), partner = () => inside(place.get('partner'));
  const way = () => (ways.includes(place.get('way')) ? place.get('way') : 'drawn'), student = () => Math.max(1, Math.min(place.get('student'), M - 1));
  const who = (i) => `image ${i} ('${classes[label[i]]}')`, deep = (i) => (G === 1 ? '' : i === 0 ? ', coarsest' : i === G - 1 ? ', finest' : G === 3 ? ', middle' : '');
  // While the question is open all levels move at once: which of them did it, is not told.
  const at = () => (v.covered ? levels.map((_, g) => place.get('at').reduce((a, b) => (Math.abs(b) > Math.abs(a) ? b : a), 0) || stops[way() === 'swap' ? 'drawn' : way()][P - 1]) : place.get('at'));
  const swapped = () => (v.covered ? levels.map(() => true) : place.get('swapped'));

  // Where a picture is recorded: {array, index}.
  const stopped = (kind, i, values) => ({ array: kind, index: i * P ** moving[kind].length + moving[kind].reduce((index, g) => index * P + nearest(values[g] ?? 0, stops[kind]), 0) });
  const again = (i) => stopped('drawn', i, rest);
  const now = () => {
    const i = image(), j = partner();
    if (way() !== 'swap') return stopped(way(), i, at());
    const mask = i === j ? 0 : swapped().reduce((sum, on, g) => sum + (on ? 2 ** g : 0), 0);
    if (mask === 0 || mask === full) return again(mask ? j : i);
    return { array: 'swap', index: (i * (n - 1) + j - (j > i)) * (full - 1) + mask - 1 };
  };
  const first = (i) => ({ array: 'original', index: i });
  const probabilities = ({ array, index }, m) => Array.from(v.array(`${array}_probs`).data.subarray((index * M + m) * K, (index * M + m + 1) * K), (p) => p / 255);
  const says = ({ array, index }, m) => v.array(`${array}_said`).data[index * M + m];
  const belief = (where, m) => percent(v.array(`${where.array}_probs`).data[(where.index * M + m) * K + says(where, m)] / 255);
  const changed = (m) => says(now(), m) !== says(again(image()), m);
  const painters = Object.fromEntries(['original', 'drawn', 'learned', 'swap'].filter((k) => v.has(k)).map((k) => [k, painter(v.array(k))]));

  // Controls: how to move, whose student, and a slider or a tick for each level.
  const how = choose('move by', ways.map((w) => WAYS[w]), ways.indexOf(way()), (k) => place.set({ way: ways[k] }));
  const whose = choose('student', names.slice(1), student() - 1, (k) => place.set({ student: k + 1 }));
  const from = choose('from', Array.from({ length: n }, (_, i) => who(i)), partner(), (i) => place.set({ partner: i }));
  const still = button('All at rest', () => place.set(way() === 'swap' ? { swapped: levels.map(() => false) } : { at: rest }));
  const replace = (values, g, value) => values.map((old, k) => (k === g ? value : old));
  const format = (g) => (k) => {
    const kind = way() === 'swap' ? 'drawn' : way(), value = stops[kind][k];
    if (!moving[kind].includes(g)) return 'does not move';
    return kind === 'drawn' ? `${signed(value)} sd` : `${value} × ${v.array('length').data[image() * G + g].toFixed(2)} sd`;
  };
  const sliders = levels.map((name, g) => slider(`${name}${deep(g)}`, { min: 0, max: P - 1, value: 0, format: format(g), on: (k) => place.set({ at: replace(place.get('at'), g, stops[way()][k]) }) }));
  for (const s of sliders) s.node.lastChild.style.whiteSpace = 'nowrap';
  const ticks = levels.map((name, g) => tick(`${name}${deep(g)}`, false, (on) => place.set({ swapped: replace(place.get('swapped'), g, on) })));
  const wide = make('div', { style: 'flex:1 1 100%;display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,17rem),1fr));gap:.2rem 1.5rem' }, ...sliders.map((s) => s.node));
  v.controls.append(how.node, ...(M > 2 ? [whose.node] : []), from.node, still, make('div', { class: 'hk-choices' }, ...ticks.map((t) => t.node)), wide);
  v.onDraw(() => {
    const swap = way() === 'swap', kind = swap ? 'drawn' : way();
    how.set(ways.indexOf(way())); whose.set(student() - 1); from.set(partner());
    from.node.hidden = !swap;
    ticks.forEach((t, g) => { t.node.hidden = !swap; t.set(swapped()[g]); });
    sliders.forEach((s, g) => { s.node.hidden = swap; s.set(nearest(at()[g], stops[kind])); s.input.disabled = !moving[kind].includes(g); });
  });

  // The images to choose from.
  const shelf = panel(v.stage);
  shelf.node.style.maxWidth = `${58 * n}px`;
  shelf.title.style.marginBottom = '.35rem';
  imageGrid(v, shelf.node, { array: originals, name: 'images', side: 58, order: () => Array.from({ length: n }, (_, i) => i), at: (i) => i, label: who });
  v.onDraw(() => { shelf.title.textContent = `${who(image()).replace('i', 'I')} of ${n}`; });

  // Original, reconstruction, perturbed, and what has changed; under each what both say.
  const row = make('div', { class: 'hk-row', style: 'margin-top:.75rem' }), pictures = panel(row, '', 'hk-broad'), believed = panel(row, '', 'hk-narrow');
  v.stage.append(row);
  believed.node.style.flex = '1 1 15rem';
  const after = () => (v.covered ? 'all levels moved' : way() === 'swap' ? 'swapped' : 'perturbed');
  const shown = () => {
    const i = image(), list = [['original', first(i)], ['reconstruction', again(i)]];
    if (way() === 'swap' && !v.covered) list.push([`image ${partner()}, again`, again(partner())]);
    return [...list, [after(), now()], ['minus original', null]];
  };
  const { C, H, W } = painters.original, area = H * W, tile = new OffscreenCanvas(W, H), sheet = tile.getContext('2d'), pixels = sheet.createImageData(W, H);
  const shades = Array.from({ length: 511 }, (_, d) => tint(d / 510, 'difference').match(/\d+/g).map(Number));
  const difference = (ctx, x, y, side) => {
    const a = now(), one = v.array(a.array).data, from = a.index * C * area, zero = image() * C * area;
    for (let p = 0; p < area; p += 1) {
      let sum = 0;
      for (let c = 0; c < C; c += 1) sum += one[from + c * area + p] - originals.data[zero + c * area + p];
      const shade = shades[255 + Math.round(sum / C)];
      pixels.data.set(shade, 4 * p); pixels.data[4 * p + 3] = 255;
    }
    sheet.putImageData(pixels, 0, 0);
    ctx.imageSmoothingEnabled = false;
    const scale = side / Math.max(H, W);
    ctx.drawImage(tile, x + (side - W * scale) / 2, y + (side - H * scale) / 2, W * scale, H * scale);
  };
  const layout = (wide) => { const count = shown().length, cols = wide / count >= 104 ? count : 2, pitch = wide / cols; return { cols, pitch, side: Math.min(pitch - 12, 150), tall: Math.min(pitch - 12, 150) + 68, rows: Math.ceil(count / cols) }; };
  const drawing = canvas(v, pictures.node, {
    label: 'original, reconstruction, perturbed', height: (wide) => { const l = layout(wide); return l.rows * l.tall; },
    draw(ctx, wide) {
      const { cols, pitch, side, tall } = layout(wide), { ink, line } = v.colours();
      shown().forEach(([text, where], k) => {
        const x = (k % cols) * pitch, y = Math.floor(k / cols) * tall + 18;
        write(ctx, text, x, y - 6, { colour: ink, wide: pitch - 4, font: `600 ${FONT}` });
        if (where) painters[where.array](ctx, where.index, x, y, side); else difference(ctx, x, y, side);
        ctx.strokeStyle = line; ctx.lineWidth = 1; ctx.strokeRect(x + 0.5, y + 0.5, side - 1, side - 1);
        if (!where) {
          ['blue: brighter', 'orange: darker'].forEach((t, i) => { ctx.fillStyle = i ? '#D55E00' : '#0072B2'; ctx.fillRect(x, y + side + 7 + 17 * i, 10, 10); write(ctx, t, x + 15, y + side + 16 + 17 * i, { colour: ink, wide: pitch - 19 }); });
          return;
        }
        [0, student()].forEach((m, i) => {
          const look = looks[names[m]], other = text === after() && changed(m);
          ctx.fillStyle = colourOf(v, look); marker(ctx, look, x + 5, y + side + 12 + 17 * i, 4.5);
          write(ctx, `${other ? '≠ ' : ''}${belief(where, m)}: ${classes[says(where, m)]}`, x + 14, y + side + 16 + 17 * i, { colour: ink, wide: pitch - 18, font: other ? `600 ${FONT}` : FONT });
        });
      });
      drawing.say(shown().filter(([, where]) => where).map(([text, where]) => `${text}: ${[0, student()].map((m) => `${names[m]} says ${classes[says(where, m)]} ${belief(where, m)}`).join(', ')}`).join('; '));
    } });
  pictures.node.append(make('p', { style: 'font-size:13px' }, '≠ and bold: another answer than for the reconstruction.'));
  v.onDraw(() => {
    pictures.title.textContent = `Original, reconstruction, and ${v.covered ? 'with all levels moved at once' : way() === 'swap' ? 'with levels of another image' : 'with its levels moved'}`;
    believed.title.textContent = `What they say of it${v.covered ? '' : ` ${after()}`}`;
  });
  bars(v, believed.node, { classes, top: Math.min(7, K), name: 'probabilities', truth: () => label[image()],
    series: () => [0, student()].map((m) => ({ name: names[m], look: looks[names[m]], values: probabilities(now(), m) })) });

  // How often each level alone changes their minds.
  const table = panel(v.stage), body = make('tbody'), heads = ['level', '', '', ''].map((text) => make('th', { scope: 'col', style: 'overflow-wrap:anywhere;vertical-align:top' }, text));
  table.node.style.marginTop = '.75rem';
  table.node.append(make('div', { class: 'hk-table' }, make('table', { style: 'table-layout:fixed;width:100%;max-width:42rem' }, make('thead', {}, make('tr', {}, ...heads)), body)));
  const cells = levels.map((name, g) => {
    const parts = [0, 1, 2].map(() => ({ text: make('span'), bar: make('div', { style: 'height:6px' }) }));
    body.append(make('tr', {}, make('th', { scope: 'row', style: 'vertical-align:top' }, `${name}${deep(g)}`), ...parts.map(({ text, bar }) => make('td', { style: 'vertical-align:top' }, text, bar))));
    return parts;
  });
  v.onDraw(() => {
    const s = names[student()];
    table.title.textContent = v.covered ? 'How often does each level alone change what they say? Answer first.' : `${alone[way()]}: who changes its mind?`;
    [names[0], s, `only ${s}`].forEach((text, k) => { heads[k + 1].textContent = text; });
    cells.forEach((parts, g) => {
      const [tries] = counts[way()][student() - 1][g].slice(-1);
      parts.forEach(({ text, bar }, k) => {
        const value = counts[way()][student() - 1][g][k];
        text.textContent = v.covered ? '?' : `${value} of ${tries}`;
        bar.style.width = v.covered ? '0' : `${100 * value / tries}%`;
        bar.style.background = colourOf(v, looks[names[k ? student() : 0]]);
      });
    });
  });

  const moved = () => {
    if (way() === 'swap') return partner() === image() ? [] : levels.filter((_, g) => swapped()[g]);
    return moving[way()].map((g) => [levels[g], stops[way()][nearest(at()[g], stops[way()])]]).filter(([, x]) => x)
      .map(([name, x]) => (way() === 'drawn' ? `${name} by ${signed(x)} sd` : `${name} by ${x} × its learned move`));
  };
  v.onDraw(() => {
    const s = names[student()], what = moved(), [t, u] = [0, student()].map(changed);
    const words = `${who(image()).replace('i', 'I')}, ${what.join(', ') || 'nothing moved'}${way() === 'swap' && what.length ? ` from ${who(partner())}` : ''}`;
    const told = [0, student()].map((m) => `${names[m]} says ${classes[says(now(), m)]} (${belief(now(), m)})${changed(m) ? ` instead of ${classes[says(again(image()), m)]}` : ''}`).join(', ');
    if (v.covered) return v.caption(`${words}: ${told}. Which level did it?`);
    const end = t ? (u ? 'Both change their minds' : 'Only the teacher changes its mind') : u ? `Only ${s} changes its mind` : 'Neither changes its mind';
    const each = counts[way()][student() - 1].map(([, , only, tries], g) => `${only} of ${tries} (${levels[g]})`).join(', ');
    return v.caption(`${words}: ${told}. ${end}. ${alone[way()]}: only ${s} changes its mind in ${each}.`);
  });
  v.explain(() => {
    const length = (g) => short(v.array('length').data[image() * G + g]), kind = way(), best = counts[kind][student() - 1];
    const sentences = ['A latent group z has a posterior, read off the image, with mean μ, and a prior, known from the coarser ones, with standard deviation σ; a level holds one or more of them. The reconstruction takes z = μ in all.'];
    if (kind === 'learned') sentences.push(`Learned: z = μ + k·σ·move(x), k from ${stops.learned[0]} to ${stops.learned[P - 1]}; move(x) is what the augmentor says for this image, without its scatter. Where all levels move by 1 × its root mean square is ${moving.learned.map((g) => `${length(g)} sd in ${levels[g]}`).join(', ')}; a moved coarse group changes what the finer ones see.`);
    if (kind === 'drawn') sentences.push(`Random: z = μ + k·σ·d, k from ${signed(stops.drawn[0])} to ${signed(stops.drawn[P - 1])}; d is drawn once for each image and scaled to root mean square 1 in each latent group.`);
    if (kind === 'swap') sentences.push(`Swap: z = the other image's μ in the levels that are ticked; finer levels that are not are read off the own image again, given the new coarser ones.`);
    sentences.push(`A model changes its mind when its likeliest class is another one than for the reconstruction. Only ${names[student()]}, of ${best[0][3]} tries a level: ${best.map(([, , only, tries], g) => `${levels[g]} ${only}/${tries} = ${percent(only / tries)}`).join(', ')}.`);
    return sentences;
  });
}

export default { render: view(setup) };
