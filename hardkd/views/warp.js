// One image seen through an affine map, as hardkd.spatial.warp does it: straight lines between four pixels, black
// outside. from: bytes of (C,H,W); back: [a, b, c, d, e, f], pixel (x, y) looks at (ax + by + c, dx + ey + f) (pixels);
// out: bytes.
export function warped(from, [C, H, W], back, out) {
  const [a, b, c, d, e, f] = back;
  for (let y = 0; y < H; y += 1) for (let x = 0; x < W; x += 1) {
    const u = a * x + b * y + c, w = d * x + e * y + f, left = Math.floor(u), top = Math.floor(w);
    const right = u - left, down = w - top, one = left >= 0 && left < W, two = left >= -1 && left < W - 1;
    const above = top >= 0 && top < H, below = top >= -1 && top < H - 1;
    for (let k = 0; k < C; k += 1) {
      const at = (k * H + top) * W + left;
      const high = above ? (one ? from[at] * (1 - right) : 0) + (two ? from[at + 1] * right : 0) : 0;
      const low = below ? (one ? from[at + W] * (1 - right) : 0) + (two ? from[at + W + 1] * right : 0) : 0;
      out[(k * H + y) * W + x] = Math.round(high * (1 - down) + low * down);
    }
  }
  return out;
}
// Where to look for content that is scaled, turned (clockwise, degrees) around the middle, then moved by (dx, dy)
// pixels.
export function lookBack([, H, W], { dx = 0, dy = 0, turn = 0, scale = 1 }) {
  const angle = turn * Math.PI / 180, cos = Math.cos(angle) / scale, sin = Math.sin(angle) / scale;
  const x = (W - 1) / 2, y = (H - 1) / 2;
  return [cos, sin, x - cos * (x + dx) - sin * (y + dy), -sin, cos, y + sin * (x + dx) - cos * (y + dy)];
}
