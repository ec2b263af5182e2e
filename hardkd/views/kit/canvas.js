// Drawing: a sharp canvas, texts, lines, the looks of roles (colour, hatch, dash, sign), images, colours of maps.
import { clamp } from '../numbers/basics.js';
import { SIGNS } from '../numbers/signs.js';
import { make } from './frame.js';

// A canvas as wide as its parent, sharp on every screen. `draw(ctx, width, height)` on each v.draw; height(width), both
// in CSS pixels.
export function canvas(v, parent, { label = '', height, draw }) {
  const node = make('canvas', { role: 'img', 'aria-label': label }), box = make('div', { class: 'hk-draw' }, node);
  parent.append(box);
  const ctx = node.getContext('2d');
  let spoken = label;
  const api = { node, box, ctx, width: 0, height: 0,
    say(text) { if (text !== spoken) { spoken = text; node.setAttribute('aria-label', text); } } };
  v.onDraw(() => {
    const wide = Math.floor(box.clientWidth), tall = wide && Math.round(height(wide));
    const sharp = window.devicePixelRatio || 1;
    if (!wide || !tall) return;
    if (node.width !== Math.round(wide * sharp) || node.height !== Math.round(tall * sharp)) {
      node.width = Math.round(wide * sharp);
      node.height = Math.round(tall * sharp);
      node.style.height = `${tall}px`;
    }
    Object.assign(api, { width: wide, height: tall });
    ctx.setTransform(sharp, 0, 0, sharp, 0, 0);
    ctx.clearRect(0, 0, wide, tall);
    draw(ctx, wide, tall);
  });
  return api;
}

// ---------------------------------------------------------------- texts

export const FONT = '12px system-ui, sans-serif';
export const SMALL = '11px system-ui, sans-serif';
const UNKNOWN = '600 28px system-ui, sans-serif';

export function write(ctx, text, x, y, { colour, align = 'left', base = 'alphabetic', font = FONT, wide } = {}) {
  ctx.font = font;
  ctx.textAlign = align;
  ctx.textBaseline = base;
  if (colour) ctx.fillStyle = colour;
  ctx.fillText(wide ? fitted(ctx, text, wide) : text, x, y);
}
function fitted(ctx, text, wide) {
  if (ctx.measureText(text).width <= wide) return text;
  let n = text.length;
  while (n > 1 && ctx.measureText(`${text.slice(0, n)}…`).width > wide) n -= 1;
  return `${text.slice(0, n)}…`;
}
// A text that reads upwards, its middle at (x, y): the name of a vertical axis.
export function writeUp(ctx, text, x, y, look) {
  ctx.save();
  ctx.translate(x, y);
  ctx.rotate(-Math.PI / 2);
  write(ctx, text, 0, 0, { ...look, align: 'center', base: 'middle' });
  ctx.restore();
}
// What is not to be seen before the question is answered.
export function writeUnknown(ctx, x, y, colour) {
  write(ctx, '?', x, y, { colour, align: 'center', base: 'middle', font: UNKNOWN });
}
// How wide the widest of some texts is.
export function widestText(ctx, texts, font = FONT) {
  ctx.font = font;
  return Math.max(...texts.map((text) => ctx.measureText(text).width));
}

// ---------------------------------------------------------------- lines and marks

// Colours that belong to no role: on images and maps, which are the same in light and dark.
export const PALETTE = { black: '#000', white: '#fff', chosen: '#E69F00', aside: '#7A7A7A',
  both: '#A9C7A0', neither: '#555' };
const VEIL = 'rgba(128, 128, 128, 0.55)';

// A line through points [[x, y], ...].
export function polyline(ctx, points, { colour, wide = 1, dash = [] }) {
  ctx.strokeStyle = colour;
  ctx.lineWidth = wide;
  ctx.setLineDash(dash);
  ctx.beginPath();
  for (const [x, y] of points) ctx.lineTo(x, y);
  ctx.stroke();
  ctx.setLineDash([]);
}
export function outlineRect(ctx, x, y, width, height, colour, wide = 1) {
  ctx.strokeStyle = colour;
  ctx.lineWidth = wide;
  ctx.strokeRect(x, y, width, height);
}
// A rectangle of a map: its edges on whole pixels, so that none shows between two.
export function fillTile(ctx, x0, y0, x1, y1) {
  const left = Math.round(x0), top = Math.round(y0);
  ctx.fillRect(left, top, Math.round(x1) - left, Math.round(y1) - top);
}
// What draw() strokes, seen on any ground: white within black.
export function outlined(ctx, draw) {
  for (const [colour, wide] of [[PALETTE.black, 4], [PALETTE.white, 2]]) {
    ctx.strokeStyle = colour;
    ctx.lineWidth = wide;
    draw();
  }
}
// Where the reader is in a map: a circle with four arms.
export function crosshair(ctx, x, y, r, arms = 1.7) {
  outlined(ctx, () => {
    ctx.beginPath();
    ctx.arc(x, y, r, 0, 2 * Math.PI);
    for (const [dx, dy] of [[1, 0], [-1, 0], [0, 1], [0, -1]]) {
      ctx.moveTo(x + dx * r, y + dy * r);
      ctx.lineTo(x + dx * r * arms, y + dy * r * arms);
    }
    ctx.stroke();
  });
}
// Hatches the current path: what is there does not count. `light`: white lines, for a dark ground.
export function veil(ctx, x, y, side, light) {
  ctx.save();
  ctx.fillStyle = VEIL;
  ctx.fill();
  ctx.clip();
  ctx.strokeStyle = light ? 'rgba(255, 255, 255, 0.7)' : 'rgba(0, 0, 0, 0.55)';
  ctx.lineWidth = 1;
  ctx.beginPath();
  for (let t = -side; t < side; t += 9) {
    ctx.moveTo(x + t, y + side);
    ctx.lineTo(x + t + side, y);
  }
  ctx.stroke();
  ctx.restore();
}

// ---------------------------------------------------------------- looks of roles

const ON_DARK = { '#0072B2': '#3FA2E0', '#000000': '#FFFFFF' };
// A role's colour, lighter where the page is dark so that it stays 3:1 against it.
export function colourOf(v, look) {
  return (v.colours().dark && ON_DARK[look.color]) || look.color;
}
const HATCH = { '/': [[0, 8, 8, 0]], '\\': [[0, 0, 8, 8]], x: [[0, 8, 8, 0], [0, 0, 8, 8]],
  '+': [[4, 0, 4, 8], [0, 4, 8, 4]], '.': [[3, 4, 5, 4]], o: [[2, 4, 6, 4]], '*': [[4, 1, 4, 7]] };
export function filling(ctx, v, look) {
  const colour = colourOf(v, look), strokes = HATCH[(look.hatch || '')[0]];
  if (!strokes) return colour;
  const tile = new OffscreenCanvas(8, 8), c = tile.getContext('2d');
  c.fillStyle = colour;
  c.fillRect(0, 0, 8, 8);
  for (const [a, b, d, e] of strokes) {
    for (const s of [-8, 0, 8]) polyline(c, [[a + s, b], [d + s, e]], { colour: v.colours().page, wide: 1.6 });
  }
  return ctx.createPattern(tile, 'repeat');
}
export function dashes({ linestyle }) {
  if (Array.isArray(linestyle)) return linestyle[1].map((d) => 2 * d);
  return { '--': [6, 4], '-.': [7, 3, 2, 3], ':': [2, 3] }[linestyle] || [];
}
// A role's sign, filled; its outline is left as the current path.
export function marker(ctx, look, x, y, r = 4) {
  ctx.beginPath();
  if (SIGNS[look.marker]) for (const [a, b] of SIGNS[look.marker]) ctx.lineTo(x + a * r, y + b * r);
  else ctx.arc(x, y, r, 0, 2 * Math.PI);
  ctx.closePath();
  ctx.fill();
}
export function disc(ctx, x, y, r, colour) {
  ctx.fillStyle = colour;
  ctx.beginPath();
  ctx.arc(x, y, r, 0, 2 * Math.PI);
  ctx.fill();
}
// A role's sign where its curve is now: in a ring of the page's colour, which parts it from what lies below.
export function ringed(ctx, v, look, x, y, r = 5) {
  disc(ctx, x, y, r + 2, v.colours().page);
  ctx.fillStyle = colourOf(v, look);
  marker(ctx, look, x, y, r);
}

// ---------------------------------------------------------------- images and colours of maps

// Images (…,C,H,W) of bytes drawn from an array, grey or colour, never stretched. `at` counts images from its start.
export function painter(array) {
  const [C, H, W] = array.shape.slice(-3), size = C * H * W, { data } = array, area = H * W;
  const sheet = new OffscreenCanvas(W, H), c = sheet.getContext('2d');
  const pixels = c.createImageData(W, H), rgba = new Uint32Array(pixels.data.buffer);
  const colourAt = C === 1 ? (at) => data[at] * 0x010101
    : (at) => (data[at + 2 * area] << 16) | (data[at + area] << 8) | data[at];
  const paint = (ctx, at, x, y, side) => {
    const from = at * size, scale = side / Math.max(H, W);
    for (let i = 0; i < area; i += 1) rgba[i] = 0xff000000 | colourAt(from + i);
    c.putImageData(pixels, 0, 0);
    ctx.imageSmoothingEnabled = side < Math.max(H, W);
    ctx.drawImage(sheet, x + (side - W * scale) / 2, y + (side - H * scale) / 2, W * scale, H * scale);
  };
  return Object.assign(paint, { C, H, W, count: data.length / size });
}

const VIRIDIS = ('440154470d6048186a482374472d7b4537814240863e49893b528b375b8d33638d2f6b8e2c728e297a8e26828e23898e'
  + '21918c1f988b1fa08822a78528ae8032b67a3fbc734ec36b5ec96270cf5784d44b98d83eaddc30c2df23d8e219ece51bfde725')
  .match(/../g).map((h) => parseInt(h, 16));
const ORANGE_BLUE = [0xD5, 0x5E, 0x00, 0xF7, 0xF7, 0xF7, 0x00, 0x72, 0xB2];
// Colour of t in [0,1]: viridis for quantities, orange to blue for differences.
export function tint(t, scale = 'viridis') {
  if (scale === 'difference, less is better') return tint(1 - t, 'difference');
  const stops = scale === 'difference' ? ORANGE_BLUE : VIRIDIS, n = stops.length / 3 - 1;
  const at = clamp(t, 0, 1) * n, i = Math.min(n - 1, Math.floor(at)), f = at - i;
  const c = [0, 1, 2].map((k) => Math.round(stops[3 * i + k] * (1 - f) + stops[3 * i + 3 + k] * f));
  return `rgb(${c})`;
}
// Grey of t in [0,1].
export function grey(t) {
  const g = Math.round(255 * clamp(t, 0, 1));
  return `rgb(${g},${g},${g})`;
}
