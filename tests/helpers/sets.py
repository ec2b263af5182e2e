"Sets in the format that they have on disk."
import numpy as np

rng = np.random.default_rng(0)


def idx_bytes(array): return bytes([0, 0, 8, array.ndim]) + np.array(array.shape, '>u4').tobytes() + array.tobytes()


def write_mnist(folder, n=60, m=30, open=open, suffix=''):
    "A small MNIST in the real format; returns its arrays by file stem."
    folder.mkdir(parents=True)
    arrays = {}
    for part, k in (('train', n), ('t10k', m)):
        arrays[f'{part}-images-idx3'] = rng.integers(0, 256, (k, 28, 28), np.uint8)
        arrays[f'{part}-labels-idx1'] = np.arange(k, dtype=np.uint8) % 10
    for stem, array in arrays.items():
        with open(folder/f'{stem}-ubyte{suffix}', 'wb') as f: f.write(idx_bytes(array))
    return arrays
