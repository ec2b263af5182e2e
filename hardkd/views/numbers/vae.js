// Where the pictures of a VAE's levels are recorded, moved along or swapped, and how far a picture is from another.

// A stop with its sign.
export const withSign = (x) => `${x > 0 ? '+' : x < 0 ? '−' : ''}${Math.abs(x)}`;
export function nearestStop(x, stops) {
  return stops.reduce((best, s, i) => (Math.abs(s - x) < Math.abs(stops[best] - x) ? i : best), 0);
}

// The index of image i with the levels `moving` at the stops nearest to `values`, among all combinations, the last
// level the fastest.
export function indexAt(i, values, moving, stops) {
  const P = stops.length;
  return i * P ** moving.length + moving.reduce((index, g) => index * P + nearestStop(values[g] ?? 0, stops), 0);
}
// Which levels are swapped, in one number: bit g is level g; from itself an image takes nothing.
export function swapMask(image, partner, swapped) {
  return image === partner ? 0 : swapped.reduce((sum, on, g) => sum + (on ? 2 ** g : 0), 0);
}
// The index of image i of n with some of G levels of another one: by partner, then by mask from 1 to all but one.
export function swapIndex(i, partner, n, mask, G) {
  return (i * (n - 1) + partner - (partner > i)) * (2 ** G - 2) + mask - 1;
}
// How much brighter each place of one picture is than of another, mean over C channels, whole numbers from -255 to 255.
// The pictures start at `from` and `zero` of their bytes, `area` places a channel.
export function brighter(bytes, from, others, zero, C, area) {
  const out = new Int16Array(area);
  for (let p = 0; p < area; p += 1) {
    let sum = 0;
    for (let c = 0; c < C; c += 1) sum += bytes[from + c * area + p] - others[zero + c * area + p];
    out[p] = Math.round(sum / C);
  }
  return out;
}
