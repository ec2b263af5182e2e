// Drawing: a sharp canvas, texts, the looks of roles (colour, hatch, dash, sign), images from bytes, colours of maps.
import { clamp } from '../numbers/basics.js';
import { make } from './frame.js';

// A canvas as wide as its parent, sharp on every screen. `draw(ctx, width, height)` on each v.draw; height(width) in CSS pixels.
export function canvas(v, parent, { label = '', height, draw }) {
  const node = make('canvas', { role: 'img', 'aria-label': label }), box = make('div', { class: 'hk-draw' }, node);
  parent.append(box);
  const ctx = node.getContext('2d');
  let spoken = label;
  const api = { node, box, ctx, width: 0, height: 0,
    say(text) { if (text !== spoken) { spoken = text; node.setAttribute('aria-label', text); } } };
  v.onDraw(() => {
    const wide = Math.floor(box.clientWidth), tall = wide && Math.round(height(wide)), sharp = window.devicePixelRatio || 1;
    if (!wide || !tall) return;
    if (node.width !== Math.round(wide * sharp) || node.height !== Math.round(tall * sharp)) {
      node.width = Math.round(wide * sharp); node.height = Math.round(tall * sharp); node.style.height = `${tall}px`;
    }
    Object.assign(api, { width: wide, height: tall });
    ctx.setTransform(sharp, 0, 0, sharp, 0, 0);
    ctx.clearRect(0, 0, wide, tall);
    draw(ctx, wide, tall);
  });
  return api;
}
export const FONT = '12px system-ui, sans-serif';
export function write(ctx, text, x, y, { colour, align = 'left', base = 'alphabetic', font = FONT, wide } = {}) {
  ctx.font = font; ctx.textAlign = align; ctx.textBaseline = base;
  if (colour) ctx.fillStyle = colour;
  ctx.fillText(wide ? fitted(ctx, text, wide) : text, x, y);
}
function fitted(ctx, text, wide) {
  if (ctx.measureText(text).width <= wide) return text;
  let n = text.length;
  while (n > 1 && ctx.measureText(`${text.slice(0, n)}…`).width > wide) n -= 1;
  return `${text.slice(0, n)}…`;
}
// A role's colour, lighter where the page is dark so that it stays 3:1 against it.
export function colourOf(v, look) {
  if (!v.colours().dark) return look.color;
  return { '#0072B2': '#3FA2E0', '#000000': '#FFFFFF' }[look.color] || look.color;
}
const HATCH = { '/': [[0, 8, 8, 0]], '\\': [[0, 0, 8, 8]], x: [[0, 8, 8, 0], [0, 0, 8, 8]], '+': [[4, 0, 4, 8], [0, 4, 8, 4]], '.': [[3, 4, 5, 4]], o: [[2, 4, 6, 4]], '*': [[4, 1, 4, 7]] };
export function filling(ctx, v, look) {
  const colour = colourOf(v, look), strokes = HATCH[(look.hatch || '')[0]];
  if (!strokes) return colour;
  const tile = new OffscreenCanvas(8, 8), c = tile.getContext('2d');
  c.fillStyle = colour; c.fillRect(0, 0, 8, 8);
  c.strokeStyle = v.colours().page; c.lineWidth = 1.6;
  for (const [a, b, d, e] of strokes) for (const s of [-8, 0, 8]) { c.beginPath(); c.moveTo(a + s, b); c.lineTo(d + s, e); c.stroke(); }
  return ctx.createPattern(tile, 'repeat');
}
export function dashes({ linestyle }) {
  if (Array.isArray(linestyle)) return linestyle[1].map((d) => 2 * d);
  return { '--': [6, 4], '-.': [7, 3, 2, 3], ':': [2, 3] }[linestyle] || [];
}
export function marker(ctx, look, x, y, r = 4) {
  ctx.beginPath();
  const corners = { s: [[-1, -1], [1, -1], [1, 1], [-1, 1]], '^': [[0, -1.2], [1.1, 0.9], [-1.1, 0.9]], v: [[0, 1.2], [1.1, -0.9], [-1.1, -0.9]], D: [[0, -1.3], [1.3, 0], [0, 1.3], [-1.3, 0]] }[look.marker];
  if (corners) corners.forEach(([a, b], i) => (i ? ctx.lineTo(x + a * r, y + b * r) : ctx.moveTo(x + a * r, y + b * r)));
  else ctx.arc(x, y, r, 0, 2 * Math.PI);
  ctx.closePath();
  ctx.fill();
}

// Images (…,C,H,W) of bytes drawn from an array, grey or colour, never stretched. `at` counts images from the array's start.
export function painter(array) {
  const [C, H, W] = array.shape.slice(-3), size = C * H * W, tile = new OffscreenCanvas(W, H), c = tile.getContext('2d');
  const pixels = c.createImageData(W, H), rgba = new Uint32Array(pixels.data.buffer), data = array.data, area = H * W;
  const paint = (ctx, at, x, y, side) => {
    const from = at * size;
    if (C === 1) for (let i = 0; i < area; i += 1) rgba[i] = 0xff000000 | (data[from + i] * 0x010101);
    else for (let i = 0; i < area; i += 1) rgba[i] = 0xff000000 | (data[from + 2 * area + i] << 16) | (data[from + area + i] << 8) | data[from + i];
    c.putImageData(pixels, 0, 0);
    ctx.imageSmoothingEnabled = side < Math.max(H, W);
    const scale = side / Math.max(H, W);
    ctx.drawImage(tile, x + (side - W * scale) / 2, y + (side - H * scale) / 2, W * scale, H * scale);
  };
  return Object.assign(paint, { C, H, W, count: array.data.length / size });
}

const VIRIDIS = ('440154470d6048186a482374472d7b4537814240863e49893b528b375b8d33638d2f6b8e2c728e297a8e26828e23898e21918c1f988b1fa08822a78528ae8032b67a'
  + '3fbc734ec36b5ec96270cf5784d44b98d83eaddc30c2df23d8e219ece51bfde725').match(/../g).map((h) => parseInt(h, 16));
const ORANGE_BLUE = [0xD5, 0x5E, 0x00, 0xF7, 0xF7, 0xF7, 0x00, 0x72, 0xB2];
// Colour of t in [0,1]: viridis for quantities, orange to blue for differences.
export function tint(t, scale = 'viridis') {
  const stops = scale === 'difference' ? ORANGE_BLUE : VIRIDIS, n = stops.length / 3 - 1;
  const at = clamp(t, 0, 1) * n, i = Math.min(n - 1, Math.floor(at)), f = at - i;
  const c = [0, 1, 2].map((k) => Math.round(stops[3 * i + k] * (1 - f) + stops[3 * i + 3 + k] * f));
  return `rgb(${c})`;
}
