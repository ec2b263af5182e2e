"hardkd.data: shapes of all kinds, bad input, and sets in the format they have on disk."
import gzip, hashlib, pickle, urllib.error
import hardkd
import numpy as np
import pytest
import torch
from hypothesis import given, strategies as st
from PIL import Image
from torch.utils.data import DataLoader, Subset, TensorDataset
from torchvision import datasets
from helpers.sets import idx_bytes, write_mnist
from hardkd.data import *
from hardkd.core.assets import *
from hardkd.core.checks import *
from hardkd.data import _sets

sides = st.integers(1, 6)
rng = np.random.default_rng(0)


def batch(n=4, c=1, h=5, w=5): return torch.linspace(0, 1, n*c*h*w).view(n, c, h, w)


# --- shapes

@given(n=sides, h=sides, w=sides, c=st.none() | sides, seed=st.integers(0, 9))
def test_bytes_become_floats_and_come_back(n, h, w, c, seed):
    u8 = np.random.default_rng(seed).integers(0, 256, (n, h, w) if c is None else (n, h, w, c), np.uint8)
    x = images_from_bytes(u8)
    assert x.shape == (n, c or 1, h, w) and x.dtype == torch.float32 and x.is_contiguous()
    assert check_images('x', x) is x
    back = (x*255).round().to(torch.uint8).permute(0, 2, 3, 1).numpy()
    assert np.array_equal(back.reshape(u8.shape), u8)


@given(shape=st.lists(st.integers(0, 4), max_size=6))
def test_only_full_batches_of_four_axes_are_images(shape):
    x = torch.zeros(shape)
    if len(shape) == 4 and 0 not in shape: assert check_images('x', x) is x
    else:
        with pytest.raises(ValueError, match='x: got shape'): check_images('x', x)


@given(at=st.integers(0, 99), bad=st.sampled_from([float('nan'), float('inf'), -float('inf'), 1.01, -0.01, 255.]))
def test_one_bad_pixel_is_found(at, bad):
    x = batch(4, 1, 5, 5).clone()
    x.view(-1)[at] = bad
    with pytest.raises(ValueError, match='x: got'): check_images('x', x)


@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_rounding_is_forgiven_in_every_precision(dtype):
    x = torch.ones(2, 1, 3, 3, dtype=dtype) + 5e-5
    assert check_images('x', x) is x
    assert Images(x.clamp(0, 1), torch.tensor([0, 1])).x.dtype == torch.float32


@given(labels=st.lists(st.integers(-2, 12), min_size=1, max_size=20), k=st.integers(1, 10))
def test_labels_lie_in_range(labels, k):
    y = torch.tensor(labels)
    if min(labels) >= 0 and max(labels) < k: assert check_labels('y', y, k) is y
    else:
        with pytest.raises(ValueError, match='y: got labels from'): check_labels('y', y, k)


@given(n=st.integers(1, 60), data=st.data())
def test_subsets_are_spread_evenly(n, data):
    k = data.draw(st.integers(1, n))
    images = Images(torch.zeros(n, 1, 1, 1), torch.arange(n))
    taken = images.subset(k).y
    assert len(taken) == k and taken.unique().numel() == k and taken[0] == 0
    assert torch.cat([taken, torch.tensor([n])]).diff().max() <= -(-n//k)   # no gap larger than need be, to the end
    assert in_memory(images, limit=k).y.equal(taken)


@given(shape=st.lists(sides, max_size=4), other=st.lists(sides, max_size=4))
def test_same_shape(shape, other):
    a, b = torch.zeros(shape), torch.zeros(other)
    if shape == other: check_same_shape(a=a, b=b)
    else:
        with pytest.raises(ValueError, match='a, b: got shapes'): check_same_shape(a=a, b=b)


@given(value=st.floats(allow_nan=True) | st.integers(-5, 5), low=st.integers(-3, 0), high=st.integers(1, 3))
def test_numbers_in_range(value, low, high):
    if low <= value <= high: assert check_number('n', value, low, high) == value
    else:
        with pytest.raises(ValueError, match=f'allowed are finite numbers >= {low} and <= {high}'):
            check_number('n', value, low, high)


# --- bad input: what is called, which error, what its message says

x, y = batch(), torch.tensor([0, 1, 2, 1])
BAD = {
    'images as array':      (lambda: check_images('images', x.numpy()), TypeError, 'images: got ndarray'),
    'images as bytes':      (lambda: check_images('images', (x*255).byte()), TypeError, 'images: got torch.uint8'),
    'images normalised':    (lambda: check_images('images', x*4.6-1.2), ValueError, r'images: got values in \[-1.2, 3.4\], allowed are \[0, 1\]'),
    'images not finite':    (lambda: check_images('images', x/0), ValueError, 'images: got .* values that are not finite'),
    'images without axis':  (lambda: check_images('images', x[:, 0]), ValueError, r'images: got shape \(4, 5, 5\)'),
    'images empty':         (lambda: check_images('images', x[:0]), ValueError, r'images: got shape \(0, 1, 5, 5\)'),
    'labels as floats':     (lambda: check_labels('y', y.float(), 3), TypeError, 'y: got torch.float32'),
    'labels as booleans':   (lambda: check_labels('y', y > 0, 3), TypeError, 'y: got torch.bool'),
    'labels as list':       (lambda: check_labels('y', [0, 1], 3), TypeError, 'y: got list'),
    'labels one-hot':       (lambda: check_labels('y', torch.eye(3).long(), 3), ValueError, r'y: got shape \(3, 3\)'),
    'labels empty':         (lambda: check_labels('y', y[:0], 3), ValueError, r'y: got shape \(0,\)'),
    'label too large':      (lambda: check_labels('y', y, 2), ValueError, 'y: got labels from 0 to 2, allowed are 0 to 1'),
    'label negative':       (lambda: Images(x, y-1), ValueError, 'y: got labels from -1'),
    'labels too few':       (lambda: Images(x, y[:3]), ValueError, 'y: got 3 labels for 4 images'),
    'class names too few':  (lambda: Images(x, y, ['a', 'b']), ValueError, 'y: got labels from 0 to 2, allowed are 0 to 1'),
    'subset too large':     (lambda: Images(x, y).subset(5), ValueError, 'index_or_n: got 5'),
    'subset of none':       (lambda: Images(x, y).subset(0), ValueError, 'index_or_n: got 0'),
    'subset empty mask':    (lambda: Images(x, y).subset(y > 5), ValueError, r'got shape \(0, 1, 5, 5\)'),
    'shapes not tensors':   (lambda: check_same_shape(a=x, b=[1]), TypeError, 'b: got list'),
    'number as text':       (lambda: check_number('epochs', '3', 1), TypeError, r"epochs: got '3' \(str\)"),
    'number as boolean':    (lambda: check_number('epochs', True, 1), TypeError, 'epochs: got True'),
    'number fractional':    (lambda: check_number('epochs', 1.5, 1, whole=True), TypeError, 'allowed are whole numbers >= 1'),
    'number not finite':    (lambda: check_number('lr', float('nan'), above=0), ValueError, 'lr: got nan, allowed are finite numbers > 0'),
    'number at open end':   (lambda: check_number('lr', 0., above=0), ValueError, 'lr: got 0.0'),
    'bytes as floats':      (lambda: images_from_bytes(x), TypeError, 'u8: got torch.float32'),
    'bytes of one picture': (lambda: images_from_bytes(np.zeros((5, 5), np.uint8)), ValueError, r'u8: got shape \(5, 5\)'),
    'set misspelt':         (lambda: vision_set('Fashion-MNIST'), ValueError, "name: got 'Fashion-MNIST'.*did you mean 'FashionMNIST'"),
    'set of no name':       (lambda: vision_set('xyzzy'), ValueError, "allowed are 'MNIST'"),
    'set size':             (lambda: vision_set('MNIST', size=0), ValueError, 'size: got 0'),
    'asset misspelt':       (lambda: asset('digit.npz'), ValueError, "did you mean 'digits.npz'"),
    'memory limit':         (lambda: in_memory(Images(x, y), limit=0), ValueError, 'limit: got 0'),
    'memory of nothing':    (lambda: in_memory(Subset(Images(x, y), [])), ValueError, 'dataset: got no images'),
    'memory of not images': (lambda: in_memory(TensorDataset(x*9, y)), ValueError, r'dataset: got values in \[0, 9\]'),
    'memory of no pairs':   (lambda: in_memory(TensorDataset(x)), TypeError, 'dataset: got batches of type list, allowed are pairs'),
    'memory of rows':       (lambda: in_memory([{'image': 1, 'label': 2}]), (TypeError, ValueError), 'dataset: got'),
}


@pytest.mark.parametrize('call,error,message', BAD.values(), ids=BAD)
def test_bad_input_is_named(call, error, message):
    with pytest.raises(error, match=message): call()


@pytest.mark.parametrize('name', [name for name in _sets if name != 'ImageFolder'])
@pytest.mark.parametrize('train', [True, False])
def test_absent_set_says_what_to_do(name, train, tmp_path):
    with pytest.raises(ValueError, match=f"root: got .*(part of {name}).*copy its folder 'data' here"):
        vision_set(name, tmp_path/'none', train)


# --- loaders and datasets

def test_loader_and_dataset_give_the_same():
    images = Images(x, y, list('abc'))
    for got in (in_memory(images), in_memory(DataLoader(images, batch_size=3)), in_memory(Subset(images, range(4)))):
        assert got.x.equal(x) and got.y.equal(y) and got.classes == ['a', 'b', 'c']


def test_images_of_two_sizes_name_the_dataset():
    with pytest.raises(ValueError, match='dataset: got items that do not make a batch'):
        in_memory([(torch.zeros(1, 3, 3), 0), (torch.zeros(1, 4, 4), 0)])


# --- the digits that ship

def test_digits_are_the_official_ones():
    train, test = digits()
    assert (len(train), len(test)) == (10_000, 10_000)
    assert train.x.dtype == torch.float32 and train.y.dtype == torch.int64 and train.classes == list('0123456789')
    assert train.y.bincount().tolist() == [1000]*10
    assert test.y.bincount().tolist() == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]   # as published
    assert train.y[:10].tolist() == [5, 0, 4, 1, 9, 2, 1, 3, 1, 4]                                # in file order
    assert test.y[:10].tolist() == [7, 2, 1, 0, 4, 1, 4, 9, 5, 9]
    assert float(train.x.min()) == 0 and float(train.x.max()) == 1


def test_damaged_asset_is_refused(tmp_path):
    for name in ('digits.npz', 'manifest.json'): (tmp_path/name).write_bytes((asset('digits.npz').parent/name).read_bytes())
    raw = bytearray((tmp_path/'digits.npz').read_bytes())
    raw[1000] ^= 1
    (tmp_path/'digits.npz').write_bytes(raw)
    with pytest.raises(ValueError, match='digits.npz.*the file is damaged'): asset('digits.npz', tmp_path)
    (tmp_path/'digits.npz').unlink()
    with pytest.raises(ValueError, match='digits.npz.*which is gone'): asset('digits.npz', tmp_path)


# --- sets as they are on disk


@pytest.mark.parametrize('name', ['MNIST', 'FashionMNIST', 'KMNIST'])
def test_idx_sets(name, tmp_path):
    arrays = write_mnist(tmp_path/name/'raw')
    for train, part in ((True, 'train'), (False, 't10k')):
        got = in_memory(vision_set(name, tmp_path, train))
        assert got.x.equal(images_from_bytes(arrays[f'{part}-images-idx3']))
        assert np.array_equal(got.y, arrays[f'{part}-labels-idx1'])


@pytest.mark.parametrize('download', [True, False])
def test_full_digits_from_a_local_folder(download, tmp_path):
    arrays = write_mnist(tmp_path/'MNIST'/'raw')
    train, test = digits(full=True, root=tmp_path, download=download)
    assert train.x.equal(images_from_bytes(arrays['train-images-idx3'])) and len(test) == 30
    assert train.classes == list('0123456789')


def test_no_network_says_what_to_do(tmp_path, monkeypatch):
    def no_network(*args, **kwargs): raise urllib.error.URLError('no route to host')
    monkeypatch.setattr(datasets.mnist, 'download_and_extract_archive', no_network)
    with pytest.raises(ValueError, match="could not be downloaded.*on another machine and copy its folder 'data' here"):
        digits(full=True, root=tmp_path)


@pytest.mark.parametrize('opener,suffix', [(open, ''), (gzip.open, '.gz')])
def test_embedded_digits_can_be_built_again(opener, suffix, tmp_path):
    arrays = write_mnist(tmp_path/'raw', open=opener, suffix=suffix)
    first = build_digits(tmp_path/'raw', tmp_path, per_class=2).read_bytes()
    assert build_digits(tmp_path/'raw', tmp_path, per_class=2).read_bytes() == first
    with np.load(asset('digits.npz', tmp_path), allow_pickle=False) as f:
        assert f['train_y'].tolist() == [*range(10), *range(10)]
        assert np.array_equal(f['train_x'], arrays['train-images-idx3'][:20])
        assert np.array_equal(f['test_x'], arrays['t10k-images-idx3'])
    with pytest.raises(ValueError, match='raw_folder: got'): build_digits(tmp_path/'none', tmp_path)


@pytest.mark.parametrize('raw', [b'', b'\0\0', b'\0\0\x0d\1\0\0\0\1\1', idx_bytes(np.ones((2, 2), np.uint8))[:-1]])
def test_broken_idx_files(raw, tmp_path):
    (tmp_path/'broken').write_bytes(raw)
    with pytest.raises(ValueError, match='path: got .*allowed are complete idx files'): read_idx(tmp_path/'broken')


def md5(path): return hashlib.md5(path.read_bytes()).hexdigest()


@pytest.mark.parametrize('name,folder,parts,meta,key', [
    ('CIFAR10', 'cifar-10-batches-py', ['data_batch_1', 'data_batch_2', 'test_batch'], 'batches.meta', 'label'),
    ('CIFAR100', 'cifar-100-python', ['train', 'test'], 'meta', 'fine_label')])
def test_cifar(name, folder, parts, meta, key, tmp_path, monkeypatch):
    "Pickled dictionaries of rows of 3x32x32 bytes; torchvision compares their md5 before it opens them."
    folder = tmp_path/folder
    folder.mkdir()
    rows = {part: rng.integers(0, 256, (4, 3072), np.uint8) for part in parts}
    labels = 'labels' if name == 'CIFAR10' else 'fine_labels'
    for part in parts: (folder/part).write_bytes(pickle.dumps({'data': rows[part], labels: [0, 1, 2, 3]}, 2))
    (folder/meta).write_bytes(pickle.dumps({f'{key}_names': ['ant', 'bee', 'cat', 'dog']}, 2))
    make = getattr(datasets, name)
    monkeypatch.setattr(make, 'train_list', [[p, md5(folder/p)] for p in parts[:-1]])
    monkeypatch.setattr(make, 'test_list', [[p, md5(folder/p)] for p in parts[-1:]])
    monkeypatch.setattr(make, 'meta', {**make.meta, 'md5': md5(folder/meta)})
    train, test = (in_memory(vision_set(name, tmp_path, train)) for train in (True, False))
    stored = np.concatenate([rows[p] for p in parts[:-1]]).reshape(-1, 3, 32, 32)
    assert train.x.equal(torch.tensor(stored)/255) and train.classes == ['ant', 'bee', 'cat', 'dog']
    assert test.y.tolist() == [0, 1, 2, 3]
    (folder/parts[0]).write_bytes(b'damaged')
    with pytest.raises(ValueError, match=f'training part of {name} was not found'): vision_set(name, tmp_path)


def test_stl10(tmp_path, monkeypatch):
    "Bytes (N,3,W,H), columns first; labels count from 1."
    folder = tmp_path/'stl10_binary'
    folder.mkdir()
    stored = {part: rng.integers(0, 256, (3, 3, 96, 96), np.uint8) for part in ('train', 'test', 'unlabeled')}
    for part, array in stored.items():
        array.tofile(folder/f'{part}_X.bin')
        np.array([1, 10, 3], np.uint8).tofile(folder/f'{part}_y.bin')
    (folder/'class_names.txt').write_text('\n'.join('abcdefghij'))
    def listed(names): return [[n, md5(folder/n)] for n in names]
    monkeypatch.setattr(datasets.STL10, 'train_list', listed(['train_X.bin', 'train_y.bin', 'unlabeled_X.bin']))
    monkeypatch.setattr(datasets.STL10, 'test_list', listed(['test_X.bin', 'test_y.bin']))
    for train, part in ((True, 'train'), (False, 'test')):
        got = in_memory(vision_set('STL10', tmp_path, train))
        assert got.x.equal(torch.tensor(stored[part]).transpose(2, 3)/255)
        assert got.y.tolist() == [0, 9, 2] and got.classes == list('abcdefghij')
    assert vision_set('STL10', tmp_path, size=32)[0][0].shape == (3, 32, 32)


def test_image_folder(tmp_path):
    for part, colour in (('train', (255, 0, 0)), ('val', (0, 0, 255))):
        for name in ('cat', 'dog'):
            (tmp_path/part/name).mkdir(parents=True)
            Image.new('RGB', (50, 40), colour).save(tmp_path/part/name/'1.png')
            Image.new('L', (30, 60), 255).save(tmp_path/part/name/'2.jpg')
    train, test = (in_memory(vision_set('ImageFolder', tmp_path, train, size=24)) for train in (True, False))
    assert repr(train) == 'Images(4 of 3x24x24, 2 classes)' and train.classes == ['cat', 'dog']
    assert train.x[0, :, 0, 0].tolist() == [1, 0, 0] and test.x[0, :, 0, 0].tolist() == [0, 0, 1]
    plain = in_memory(vision_set('ImageFolder', tmp_path/'val', size=24))   # a folder without train and val
    assert plain.x.equal(test.x)
    with pytest.raises(ValueError, match='no folder val or test'): vision_set('ImageFolder', tmp_path/'val', train=False)


# --- folders as people have them

def pets(root, **parts):
    "Folders of a picture a class: all grey values differ."
    for part, names in parts.items():
        for name in names.split():
            (root/part/name).mkdir(parents=True)
            Image.fromarray(np.full((8, 8, 3), 20*len(name), np.uint8)).save(root/part/name/'0.png')
    return root


def test_home_is_a_folder(tmp_path, monkeypatch):
    monkeypatch.setenv('HOME', str(tmp_path))
    pets(tmp_path/'pets', train='cat dog')
    assert in_memory(vision_set('ImageFolder', '~/pets')).classes == ['cat', 'dog']
    hardkd.save_pretrained(hardkd.mlp(), '~/w.safetensors', 'mlp', 'a test', 0)
    assert (tmp_path/'w.safetensors').exists()
    few = Images(torch.rand(16, 1, 28, 28), torch.arange(16) % 10)
    how = dict(epochs=1, batch_size=8, progress=False, label_weight=1.)
    hardkd.fit(hardkd.mlp(), few, checkpoint='~/run.pt', **how)
    assert (tmp_path/'run.pt').exists() and hardkd.fit(hardkd.mlp(), few, resume='~/run.pt', **how).finished
    view = hardkd.ShiftMap(hardkd.mlp(), hardkd.mlp(), Images(few.x, few.y, range(10)), max_shift=1)
    assert view.save_html('~/page.html') == tmp_path/'page.html'


def test_a_class_that_the_test_part_lacks_shifts_no_number(tmp_path):
    root = pets(tmp_path, train='cat dog eel', val='cat eel')
    part = vision_set('ImageFolder', root, train=False)
    assert part.classes == ['cat', 'dog', 'eel'] and part.targets == [0, 2] and in_memory(part).classes == ['cat', 'dog', 'eel']
    (root/'val'/'newt').mkdir()
    with pytest.raises(ValueError, match='classes that the training part has not: newt'): vision_set('ImageFolder', root, train=False)


@pytest.mark.parametrize('names', [('training', 'test'), ('Train', 'Test'), ('validation', 'training')])
def test_parts_that_are_called_otherwise_are_no_classes(names, tmp_path):
    pets(tmp_path, **dict.fromkeys(names, 'cat dog'))
    with pytest.raises(ValueError, match=f'{min(names)}, {max(names)}; the training part is called train'): vision_set('ImageFolder', tmp_path)


def test_hidden_folders_are_left_out_and_empty_ones_named(tmp_path):
    root = pets(tmp_path, train='cat dog')
    (root/'train'/'.ipynb_checkpoints').mkdir()
    assert vision_set('ImageFolder', root).classes == ['cat', 'dog']
    (root/'train'/'eel').mkdir()
    with pytest.raises(ValueError, match='no picture of eel'): vision_set('ImageFolder', root)


def test_nobody_is_told_to_download_a_folder(tmp_path):
    with pytest.raises(ValueError, match='no such folder') as caught: vision_set('ImageFolder', tmp_path/'missing')
    assert 'download=True' not in str(caught.value)
    with pytest.raises(ValueError, match='download=True'): vision_set('CIFAR10', tmp_path/'missing')


@pytest.mark.parametrize('values, wanted', [([[0, 6400], [32000, 65535]], [0, .098, .49, 1]), ([[65535, 65535], [0, 0]], [1, 1, 0, 0])])
def test_pictures_of_16_bits_are_scaled(values, wanted, tmp_path):
    (tmp_path/'train'/'a').mkdir(parents=True)
    Image.fromarray(np.array(values, np.uint16)).save(tmp_path/'train'/'a'/'0.png')
    x = in_memory(vision_set('ImageFolder', tmp_path)).x
    assert x.shape == (1, 3, 2, 2) and x[0, 0].flatten().tolist() == pytest.approx(wanted, abs=.003)
