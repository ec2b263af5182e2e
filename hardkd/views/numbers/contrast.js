// Which letters can be read on a colour.

// Whether white reads better than black on '#rgb' or '#rrggbb'.
export function isDark(colour) {
  const digits = colour.slice(1), wide = digits.length / 3;
  const [r, g, b] = [0, 1, 2].map((k) => parseInt(digits.slice(k * wide, (k + 1) * wide).repeat(3 - wide), 16) / 255);
  return 0.2126 * r + 0.7152 * g + 0.0722 * b < 0.4;
}
