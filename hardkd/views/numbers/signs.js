// The signs of roles, called as matplotlib calls its markers: corners around (0, 0) for a size of 1, y downwards;
// 'o' is a circle and has none.
function star(corners, turn = 0, inner = 1, size = 1.2) {
  return Array.from({ length: corners }, (_, j) => {
    const angle = 2 * Math.PI * (j / corners + turn), far = size * (j % 2 ? inner : 1);
    return [far * Math.sin(angle), -far * Math.cos(angle)];
  });
}
const PLUS = [[-0.4, -1.2], [0.4, -1.2], [0.4, -0.4], [1.2, -0.4], [1.2, 0.4], [0.4, 0.4],
  [0.4, 1.2], [-0.4, 1.2], [-0.4, 0.4], [-1.2, 0.4], [-1.2, -0.4], [-0.4, -0.4]];
export const SIGNS = {
  s: [[-1, -1], [1, -1], [1, 1], [-1, 1]],
  '^': [[0, -1.2], [1.1, 0.9], [-1.1, 0.9]],
  v: [[0, 1.2], [1.1, -0.9], [-1.1, -0.9]],
  '<': star(3, -0.25),
  '>': star(3, 0.25),
  D: [[0, -1.3], [1.3, 0], [0, 1.3], [-1.3, 0]],
  d: [[0, -1.4], [0.8, 0], [0, 1.4], [-0.8, 0]],
  P: PLUS,
  X: PLUS.map(([x, y]) => [(x - y) * 0.75, (x + y) * 0.75]),
  h: star(6),
  p: star(5),
  8: star(8, 1 / 16),
  '*': star(10, 0, 0.45, 1.5),
};
