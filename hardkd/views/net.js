// A small network that runs in a page, without Python: what hardkd.models.browser_layers wrote, in float32.
//
// layers: [{name, op, of: [names], input, shape, ...}, ...], in the order in which they run. The first is the image,
//   the last the answer. For one image, `shape` is what comes out, `input` how the first of `of` is seen, e.g. [C,H,W].
// arrays: {name: Float32Array}. The `weight` and `bias` of a layer are names of arrays.

const count = shape => shape.reduce((a, b) => a * b, 1)

// out[row*places + place] = bias[row] + sum of weight[row][k] * patches[place][k]; 4 rows and 2 places at a time,
// so that each number read is used more than once. At the end rows and places are repeated, not left out.
function multiply(weight, bias, patches, out, rows, places, size) {
  for (let p = 0; p < places; p += 2) {
    const q = Math.min(p + 1, places - 1), x0 = p * size, x1 = q * size
    for (let r = 0; r < rows; r += 4) {
      const r1 = Math.min(r + 1, rows - 1), r2 = Math.min(r + 2, rows - 1), r3 = Math.min(r + 3, rows - 1)
      const w0 = r * size, w1 = r1 * size, w2 = r2 * size, w3 = r3 * size
      let a0 = bias[r], a1 = bias[r1], a2 = bias[r2], a3 = bias[r3], b0 = a0, b1 = a1, b2 = a2, b3 = a3
      for (let k = 0; k < size; k++) {
        const x = patches[x0 + k], y = patches[x1 + k]
        const u0 = weight[w0 + k], u1 = weight[w1 + k], u2 = weight[w2 + k], u3 = weight[w3 + k]
        a0 += u0 * x; a1 += u1 * x; a2 += u2 * x; a3 += u3 * x
        b0 += u0 * y; b1 += u1 * y; b2 += u2 * y; b3 += u3 * y
      }
      out[r * places + p] = a0; out[r1 * places + p] = a1; out[r2 * places + p] = a2; out[r3 * places + p] = a3
      out[r * places + q] = b0; out[r1 * places + q] = b1; out[r2 * places + q] = b2; out[r3 * places + q] = b3
    }
  }
}

// What the kernel of a convolution sees at each place, one place after the other; 0 outside the image.
function gather(layer, x, patches, channels) {
  const {input: [, H, W], shape: [, rows, cols], kernel: [kh, kw], stride, padding, dilation} = layer
  let to = 0
  for (let i = 0; i < rows; i++) for (let j = 0; j < cols; j++) {
    const top = i * stride[0] - padding[0], left = j * stride[1] - padding[1]
    for (let c = 0; c < channels; c++) for (let u = 0; u < kh; u++) {
      const row = top + u * dilation[0], from = (c * H + row) * W
      for (let v = 0; v < kw; v++) {
        const col = left + v * dilation[1]
        patches[to++] = row >= 0 && row < H && col >= 0 && col < W ? x[from + col] : 0
      }
    }
  }
}

// The mean or the maximum of each window; what lies outside the image is left out, but may count in a mean.
function pool({input: [C, H, W], kernel, stride, padding, border}, x, out, average) {
  const rows = Math.floor((H + 2 * padding[0] - kernel[0]) / stride[0]) + 1
  const cols = Math.floor((W + 2 * padding[1] - kernel[1]) / stride[1]) + 1
  let to = 0
  for (let c = 0; c < C; c++) for (let i = 0; i < rows; i++) for (let j = 0; j < cols; j++) {
    const top = i * stride[0] - padding[0], left = j * stride[1] - padding[1]
    const first = Math.max(top, 0), last = Math.min(top + kernel[0], H)
    const start = Math.max(left, 0), end = Math.min(left + kernel[1], W)
    let value = average ? 0 : -Infinity
    for (let row = first; row < last; row++) for (let col = start; col < end; col++) {
      const v = x[(c * H + row) * W + col]
      if (average) value += v
      else if (!(v <= value)) value = v
    }
    const seen = border ? kernel[0] * kernel[1] : (last - first) * (end - start)
    out[to++] = average ? value / seen : value
  }
}

// Of two inputs the second is as large as the first, or has one number for each channel.
function join(out, a, b, f) {
  const each = a.length / b.length
  for (let i = 0, c = 0; c < b.length; c++) for (let k = 0; k < each; k++, i++) out[i] = f(a[i], b[c])
}

// Abramowitz and Stegun 7.1.26, wrong by at most 1.5e-7.
function erf(x) {
  const t = 1 / (1 + 0.3275911 * Math.abs(x))
  const tail = t * (0.254829592 + t * (-0.284496736 + t * (1.421413741 + t * (-1.453152027 + t * 1.061405429))))
  return Math.sign(x) * (1 - tail * Math.exp(-x * x))
}

// What is done to each number by itself.
const EACH = {
  relu: () => v => v < 0 ? 0 : v,
  leaky_relu: ({slope}) => v => v < 0 ? slope * v : v,
  clamp: ({low, high}) => v => low != null && v < low ? low : high != null && v > high ? high : v,
  sigmoid: () => v => 1 / (1 + Math.exp(-v)),
  tanh: () => Math.tanh,
  elu: ({alpha, outer, inner}) => v => outer * (v > 0 ? v : alpha * Math.expm1(inner * v)),
  gelu: ({approximate}) => approximate === 'tanh'
    ? v => v / 2 * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (v + 0.044715 * v ** 3)))
    : v => v / 2 * (1 + erf(v / Math.SQRT2)),
}

// What may write over its own input: a number goes in, a number comes out.
const IN_PLACE = new Set(['affine', 'add', 'mul', ...Object.keys(EACH)])

// For each op a function of the layer, its arrays, inputs, output and a place for patches that all share: it prepares,
// and returns the work for one image. Nothing is allocated in that work.
const OPS = {
  conv(layer, {weight, bias}, [x], out, scratch) {
    const {input, shape, kernel, groups} = layer
    const channels = input[0] / groups, rows = shape[0] / groups, places = shape[1] * shape[2]
    const size = channels * kernel[0] * kernel[1]
    if (scratch.patches.length < places * size) scratch.patches = new Float32Array(places * size)
    const part = (array, g) => array.subarray(g * array.length / groups, (g + 1) * array.length / groups)
    const parts = Array.from({length: groups}, (_, g) => [weight, bias, x, out].map(array => part(array, g)))
    return () => {
      for (const [w, b, from, to] of parts) {
        gather(layer, from, scratch.patches, channels)
        multiply(w, b, scratch.patches, to, rows, places, size)
      }
    }
  },
  linear: (layer, {weight, bias}, [x], out) => () => multiply(weight, bias, x, out, out.length, 1, x.length),
  affine: (layer, {weight, bias}, [x], out) => () => {
    const each = x.length / bias.length
    for (let i = 0, c = 0; c < bias.length; c++) for (let k = 0; k < each; k++, i++) out[i] = x[i] * weight[c] + bias[c]
  },
  maxpool: (layer, _, [x], out) => () => pool(layer, x, out, false),
  avgpool: (layer, _, [x], out) => () => pool(layer, x, out, true),
  pad({input: [C, H, W], shape: [, rows, cols], top, left, value}, _, [x], out) {
    return () => {
      out.fill(value)
      for (let c = 0; c < C; c++) for (let i = 0; i < H; i++) {
        const from = (c * H + i) * W, to = (c * rows + top + i) * cols + left
        for (let j = 0; j < W; j++) out[to + j] = x[from + j]
      }
    }
  },
  add: ({factor}, _, [a, b], out) => () => join(out, a, b, (u, v) => u + factor * v),
  mul: (layer, _, [a, b], out) => () => join(out, a, b, (u, v) => u * v),
  concat: (layer, _, inputs, out) => () => {
    let to = 0
    for (const x of inputs) { out.set(x, to); to += x.length }
  },
}

// The arrays that a layer names.
function arraysOf(layer, arrays) {
  const keys = ['weight', 'bias'].filter(key => layer[key] != null)
  return Object.fromEntries(keys.map(key => {
    if (!arrays[layer[key]]) throw new Error(`layer ${layer.name}: no array ${layer[key]}`)
    return [key, arrays[layer[key]]]
  }))
}

// An object with `run(x, n)`: n images of (C,H,W) floats in a row → n rows of logits.
export function makeNet(layers, arrays) {
  const lastUse = {}, made = {}, spare = {}, steps = [], scratch = {patches: new Float32Array(0)}
  layers.forEach((layer, i) => layer.of.forEach(name => { lastUse[name] = i }))
  layers.forEach((layer, i) => {
    const inputs = layer.of.map(name => made[name])
    const done = [...new Set(layer.of)].filter(name => lastUse[name] === i).map(name => made[name])
    const give = () => done.forEach(array => (spare[array.length] ??= []).push(array))
    if (IN_PLACE.has(layer.op)) give()
    const size = count(layer.shape), out = made[layer.name] = spare[size]?.pop() ?? new Float32Array(size)
    if (!IN_PLACE.has(layer.op)) give()
    if (layer.op === 'input') return
    if (layer.op in EACH) {
      const [x] = inputs, f = EACH[layer.op](layer)
      steps.push(() => { for (let k = 0; k < size; k++) out[k] = f(x[k]) })
    } else if (layer.op in OPS) steps.push(OPS[layer.op](layer, arraysOf(layer, arrays), inputs, out, scratch))
    else throw new Error(`layer ${layer.name}: unknown op ${layer.op}`)
  })
  const image = made[layers[0].name], answer = made[layers.at(-1).name]
  return {
    run(x, n = x.length / image.length) {
      const size = image.length, wanted = `${n} x ${size}`
      if (x.length !== n * size) throw new Error(`x: got ${x.length} numbers, allowed are ${wanted}`)
      const logits = new Float32Array(n * answer.length)
      for (let i = 0; i < n; i++) {
        image.set(x.subarray(i * size, (i + 1) * size))
        for (const step of steps) step()
        logits.set(answer, i * answer.length)
      }
      return logits
    },
  }
}
