"A model as numbers for a page: what browser_layers writes, and that net.js answers as torch does, in node and in a browser."
import json
import numpy as np
import pytest
import torch
import torch.nn.functional as F
import torchvision
from torch import nn
from hardkd.models import *
from hardkd.weights import *
from hardkd.views.net import *
from hardkd.core.assets import *
from hardkd.views.base import *


torch.manual_seed(0)          # the models below are the same whatever was imported before


@pytest.fixture(autouse=True)
def seeded():
    "And those of a test whatever ran before: an unlucky draw gives answers that hardly differ, which shows nothing."
    torch.manual_seed(0)


def images(n=3, c=1, h=28, w=28, seed=0):
    "Noise, dark in the first image and bright in the last."
    return torch.rand(n, c, h, w, generator=torch.Generator().manual_seed(seed)) * torch.linspace(.2, 1, n).view(n, 1, 1, 1)


def scrambled(model, x, seed=0):
    "The model with weights and biases away from their start, and with the statistics that these images give."
    g = torch.Generator().manual_seed(seed)
    for p in model.parameters(): p.data.mul_(.5 + torch.rand(p.shape, generator=g)).add_(.02*torch.randn(p.shape, generator=g))
    for part in model.modules():
        if hasattr(part, 'momentum'): part.momentum = 1.
    with torch.no_grad(): model.train()(x)
    return model.eval()


def state_of(model): return {k: v.clone() for k, v in model.state_dict().items()}


class By(nn.Module):
    "A model whose forward is a function of itself and the images."
    def __init__(self, forward, **parts):
        super().__init__()
        for name, part in parts.items(): setattr(self, name, part)
        self.does = forward
    def forward(self, x): return self.does(self, x)


def classes(model, c=1, h=28, w=28, k=5):
    "The model's maps, flattened and seen by a linear layer with k classes."
    with evaluating(model): d = model(images(2, c, h, w)).flatten(1).shape[1]
    return nn.Sequential(model, nn.Flatten(), nn.Linear(d, k))


# --- models that a page can run: a model and the shape of its images

def odd_names():
    net = nn.Sequential()
    net.add_module('a b', nn.Conv2d(1, 4, 3))
    net.add_module('2/weight', nn.ReLU(True))
    net.add_module('image', nn.Flatten())
    net.add_module('constructor', nn.Linear(16, 3))
    return net


def residual(self, x):
    x = self.inner(x)
    y = x
    y = F.relu(self.norm(self.conv(y)))
    y += x                                                      # the same numbers in two places
    return self.head(torch.cat([y.relu_(), x, y-x, y*x], 1).mean((2, 3)))


def squeezed(self, x):
    x = self.conv(x)
    gate = self.gate(x.mean((2, 3), keepdim=True)).sigmoid()
    return self.head((gate*x + x.amax((-2, -1), keepdim=True)).amax((-1, -2)))


def constants(self, x):
    x = (1 - x*2)/3 + self.places                               # one number for each place
    x = -(self.conv(x) - torch.arange(3.).view(3, 1, 1)) * self.gain.exp()
    if x.shape[1] != 3 or x.ndim != 4: raise ValueError('shapes are known')
    x = F.pad(x, (1, 2, 0, 3), value=.5).view(x.shape[0], -1)
    return (x @ self.table)[:, None].squeeze(1) + self.last


# Many ways to do one kind of thing: each is done to the same maps, and the answers stand side by side.
WAYS = dict(
    flatten=dict(
        method=lambda x: x.flatten(1), function=lambda x: torch.flatten(x, 1), view=lambda x: x.view(x.size(0), -1),
        reshape=lambda x: x.reshape(len(x), -1), minus=lambda x: x.view(-1, 480), squeeze=lambda x: x.reshape(-1, 480, 1).squeeze(2),
        detach=lambda x: x.clone().detach().flatten(1), unflatten=lambda x: x.flatten(1).unflatten(1, (16, 30)).view(-1, 480)),
    each=dict(
        relu=nn.ReLU(), leaky=nn.LeakyReLU(.3), leaky_plain=nn.LeakyReLU(), gelu=nn.GELU(), gelu_tanh=nn.GELU('tanh'),
        sigmoid=nn.Sigmoid(), tanh=nn.Tanh(), elu=nn.ELU(.7), selu=nn.SELU(), silu=nn.SiLU(), hardtanh=nn.Hardtanh(-.2, .3),
        relu6=nn.ReLU6(), hardswish=nn.Hardswish(), clamp_low=lambda x: x.clamp(min=.1), clamp_high=lambda x: torch.clamp(x, max=.1),
        relu_word=torch.relu, relu_method=lambda x: x.clone().relu_(), dropout=nn.Dropout(.5), identity=nn.Identity()),
    pool=dict(
        max2=nn.MaxPool2d(2), max3=nn.MaxPool2d(3, 2, 1), max_same=nn.MaxPool2d(3, 1, 1), max_long=nn.MaxPool2d((2, 3), (1, 2), (1, 0)),
        avg2=nn.AvgPool2d(2), avg_border=nn.AvgPool2d(3, 2, 1), avg_inside=nn.AvgPool2d(3, 2, 1, count_include_pad=False),
        avg_long=nn.AvgPool2d((3, 2), (2, 1), (0, 1)), lists=lambda x: F.max_pool2d(x, [2], [1]), avg_one=nn.AdaptiveAvgPool2d(1),
        avg_some=nn.AdaptiveAvgPool2d((3, 2)), max_one=nn.AdaptiveMaxPool2d(1), max_some=nn.AdaptiveMaxPool2d((2, 5)),
        mean=lambda x: x.mean((2, 3)), rows=lambda x: x.mean(3), steps=lambda x: x.mean(-1).mean(-1),
        all=lambda x: x.mean((1, 2, 3), keepdim=True), words=lambda x: F.avg_pool2d(F.max_pool2d(x, 2), 3, stride=1),
        zeros=nn.ZeroPad2d((0, 3, 2, 1))),
    conv=dict(
        plain=nn.Conv2d(4, 5, 3), strided=nn.Conv2d(4, 5, 3, (2, 3), (1, 2)), dilated=nn.Conv2d(4, 3, 3, 1, 2, 2), one=nn.Conv2d(4, 7, 1),
        oblong=nn.Conv2d(4, 5, (1, 4)), whole=nn.Conv2d(4, 6, (12, 10)), same=nn.Conv2d(4, 5, (3, 5), 1, 'same', (2, 1)),
        same_even=nn.Conv2d(4, 5, (2, 4), 1, 'same'), groups=nn.Conv2d(4, 6, 3, groups=2), each=nn.Conv2d(4, 8, 5, 2, 2, groups=4),
        bare=nn.Conv2d(4, 5, 3, bias=False)))


def norms():
    return classes(nn.Sequential(
        nn.BatchNorm2d(3), nn.Conv2d(3, 4, 3, bias=False), nn.BatchNorm2d(4), nn.ReLU(), nn.BatchNorm2d(4, affine=False),
        nn.Flatten(), nn.Linear(320, 6), nn.BatchNorm1d(6), nn.BatchNorm1d(6)), 3, 12, 10)


def table():
    torch.manual_seed(0)
    grey, colour = (1, 28, 28), (3, 32, 32)
    yield 'shipped', pretrained('shift_cnn'), grey
    for make in cnn, mlp, resnet18: yield make.__name__, make(), grey
    yield 'mlp dropout', mlp(7, (3, 32, 32), (40,), .5), colour
    yield 'normalised', Normalised(shift_cnn(7, 3), [.4, .5, .6], [.2, .3, .1]), colour
    yield 'normalised grey', Normalised(mlp(hidden=()), .13, .31), grey
    yield 'odd names', odd_names(), (1, 4, 4)
    yield 'residual', By(residual, inner=nn.Conv2d(3, 4, 3), conv=nn.Conv2d(4, 4, 3, padding=1), norm=nn.BatchNorm2d(4),
                         head=nn.Linear(16, 7)), (3, 9, 7)
    yield 'squeezed', By(squeezed, conv=nn.Conv2d(1, 6, 3), gate=nn.Conv2d(6, 6, 1), head=nn.Linear(6, 4)), (1, 9, 9)
    yield 'constants', By(constants, conv=nn.Conv2d(1, 3, 2), places=torch.rand(6, 5), gain=nn.Parameter(torch.rand(3, 1, 1)),
                          table=torch.rand(3*8*7, 4), last=torch.rand(1, 4)), (1, 6, 5)
    yield 'squares', nn.Sequential(nn.Flatten(), nn.Linear(12, 12), nn.Linear(12, 12), nn.Linear(12, 12)), (1, 3, 4)
    yield 'norms', norms(), (3, 12, 10)
    yield 'weight norm', nn.Sequential(nn.Flatten(), nn.utils.parametrizations.weight_norm(nn.Linear(12, 4))), (1, 3, 4)
    yield 'dense', torchvision.models.DenseNet(4, (2, 2), 8, num_classes=7), colour
    yield 'mobile', torchvision.models.mobilenet_v3_small(num_classes=7), colour


TABLE = {name: (model, shape) for name, model, shape in table()}


@pytest.fixture(scope='module')
def in_page(chromium, root, tmp_path_factory):
    "A function that makes a net in a page with nothing but net.js, offline, and gives the numbers that a line of JavaScript makes."
    context, file = chromium.new_context(offline=True), tmp_path_factory.mktemp('net')/'numbers'
    page = context.new_page()
    script = (root/'hardkd'/'views'/'net.js').read_text()
    page.set_content(f'<input type="file"><script type="module">{script}\nwindow.makeNet = makeNet</script>')
    page.wait_for_function('() => window.makeNet !== undefined')

    def numbers(layers, arrays, x, line='net.run(x, n)'):
        file.write_bytes(b''.join(a.astype('<f4').tobytes() for a in [*arrays.values(), x.numpy()]))   # a message is slow
        page.set_input_files('input', file)
        lengths = [[name, a.size] for name, a in arrays.items()]
        return torch.tensor(page.evaluate('''async ([layers, lengths, n]) => {
            const numbers = new Float32Array(await document.querySelector('input').files[0].arrayBuffer())
            const arrays = {}
            let from = 0
            for (const [name, length] of lengths) arrays[name] = numbers.slice(from, from += length)
            const x = numbers.slice(from), net = makeNet(layers, arrays)
            return Array.from(%s)
        }''' % line, [layers, lengths, len(x)]))

    yield numbers
    context.close()


@pytest.fixture(scope='module')
def in_node(javascript):
    "The same in node, without a page."
    def numbers(layers, arrays, x, line='net.run(x, n)'):
        arrays = {name: a.astype('<f4') for name, a in arrays.items()}
        start = f'(() => {{ const net = makeNet(layers, arrays); return Array.from({line}) }})()'
        return torch.tensor(javascript('net.js', start, layers=layers, arrays=arrays, x=x.numpy().astype('<f4'), n=len(x)))
    return numbers


def close(got, want): return (got-want).abs().max() < 1e-4 * want.abs().max().clamp(min=1)


@pytest.mark.parametrize('name', TABLE)
def test_javascript_answers_as_torch_does(name, in_node):
    model, shape = TABLE[name]
    if name != 'shipped': scrambled(model, images(8, *shape))
    x = images(3, *shape, seed=1)
    want = predict(model, x)
    got = in_node(*browser_layers(model, x, limit=20_000_000), x).view(len(x), -1)
    assert got.shape == want.shape and want.std(0).max() > .01, 'the same answer for all shows nothing'
    assert close(got, want)


@pytest.mark.parametrize('name', ['shipped', 'residual'])
def test_a_page_answers_as_node_does(name, in_page, in_node):
    model, shape = TABLE[name]
    x = images(3, *shape, seed=1)
    layers = browser_layers(model.eval(), x, limit=20_000_000)
    assert in_page(*layers, x).allclose(in_node(*layers, x), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize('kind', WAYS)
def test_each_way_to_do_it(kind, in_node):
    ways, conv = WAYS[kind], nn.Conv2d(1, 4, 3)
    modules = nn.ModuleList(w for w in ways.values() if isinstance(w, nn.Module))
    net = By(lambda s, x: torch.cat([way(s.conv(x)).flatten(1) for way in ways.values()], 1), conv=conv, modules_=modules)
    x = images(3, 1, 14, 12)
    scrambled(net, x)
    with evaluating(net): sizes = [way(conv(x)).flatten(1).shape[1] for way in ways.values()]
    want, got = predict(net, x), in_node(*browser_layers(net, x), x).view(len(x), -1)
    assert got.shape == want.shape
    wrong = [way for way, g, w in zip(ways, got.split(sizes, 1), want.split(sizes, 1)) if not close(g, w) or w.std(0).max() < .01]
    assert wrong == []


def test_many_images_one_by_one_or_together(in_node):
    "Nothing of one image is left when the next comes, or when run is called again."
    net, x = TABLE['residual'][0].eval(), images(7, 3, 9, 7)
    layers, arrays = browser_layers(net, x)
    together = in_node(layers, arrays, x)
    again = in_node(layers, arrays, x, '(net.run(x.subarray(0, 189), 1), net.run(x))')
    alone = torch.cat([in_node(layers, arrays, image[None]) for image in x])
    assert together.equal(again) and together.equal(alone) and len(together) == 49


@pytest.mark.parametrize('line, error', [
    ('net.run(x.subarray(1), n)', 'x: got 2351 numbers, allowed are 3 x 784'), ('makeNet(layers, {})', 'no array'),
    ('makeNet([...layers, {name: "end", op: "softmax", of: [], shape: [10]}], arrays)', 'layer end: unknown op softmax')])
def test_a_page_says_what_is_wrong(line, error, in_node):
    x = images()
    with pytest.raises(Exception, match=error): in_node(*browser_layers(mlp(hidden=()), x), x, line)


@pytest.mark.parametrize('name', ['shipped', 'mlp'])
def test_a_page_says_the_same_again(name, in_page):
    "A net may be run as often as one likes; how long it takes is for tests/benchmarks/bench_views.py to say (networks in the page)."
    x = images()
    many = in_page(*browser_layers(TABLE[name][0].eval(), x), x, 'Array.from({length: 15}, () => Array.from(net.run(x, n)))')
    assert many.shape[0] == 15 and torch.equal(many, many[:1].expand_as(many))


# --- what is written

def test_layers_are_plain_json_and_fit_together():
    layers, arrays = browser_layers(TABLE['residual'][0], images(1, 3, 9, 7))
    assert json.loads(json.dumps(layers, allow_nan=False)) == layers
    assert layers[0] == dict(name='image', op='input', of=[], shape=[3, 9, 7]) and layers[-1]['shape'] == [7]
    names = [layer['name'] for layer in layers]
    assert len(set(names)) == len(names)
    for i, layer in enumerate(layers): assert set(layer['of']) <= set(names[:i])
    assert set(arrays) == {layer[key] for layer in layers for key in ('weight', 'bias') if key in layer}
    for array in arrays.values(): assert array.dtype == np.float32 and array.flags.c_contiguous


def test_batchnorm_goes_into_the_layer_before():
    net, x = scrambled(norms(), images(8, 3, 12, 10)), images(2, 3, 12, 10)
    layers, arrays = browser_layers(net, x)
    ops = [layer['op'] for layer in layers]
    assert ops == ['input', 'affine', 'conv', 'relu', 'affine', 'linear', 'linear'], 'those without a layer before stay'
    conv, norm = net[0][1:3]
    factor = norm.weight.double() / (norm.running_var.double() + norm.eps).sqrt()
    weight = conv.weight.double() * factor.view(-1, 1, 1, 1)
    assert torch.allclose(torch.tensor(arrays[layers[2]['weight']]).double(), weight, atol=1e-7)
    assert torch.allclose(torch.tensor(arrays[layers[2]['bias']]).double(), norm.bias - norm.running_mean*factor, atol=1e-6)


@pytest.mark.parametrize('add', [lambda s, y: s.norm(y.flatten(1)) + y.flatten(1), lambda s, y: s.twice(y.flatten(1))])
def test_batchnorm_does_not_change_a_layer_that_others_use(add):
    norm = nn.BatchNorm1d(3)
    net = By(lambda s, x: add(s, s.conv(x)), conv=nn.Conv2d(1, 3, 28), norm=norm, twice=By(lambda s, y: s.norm(y) + y, norm=norm))
    layers, arrays = browser_layers(net, images())
    assert [layer['op'] for layer in layers] == ['input', 'conv', 'affine', 'add']
    assert np.array_equal(arrays[layers[1]['weight']], net.conv.weight.detach().numpy())


@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16, torch.float64])
def test_weights_are_float32_whatever_they_are_stored_in(dtype):
    net, same = shift_cnn().eval().to(dtype), shift_cnn().eval()
    same.load_state_dict(net.state_dict())
    arrays, want = (browser_layers(m, images())[1] for m in (net, same))
    for name in want: assert arrays[name].dtype == np.float32 and np.array_equal(arrays[name], want[name])
    assert {p.dtype for p in net.parameters()} == {dtype}


def test_the_model_that_came_in_stays_as_it_was():
    for net in (nn.Sequential(shift_cnn(), nn.Dropout(.5)), resnet18()):
        net.train()
        list(net.modules())[2].eval()
        before, modes = state_of(net), [m.training for m in net.modules()]
        layers, arrays = browser_layers(net, images(), limit=20_000_000)
        for array in arrays.values(): array += 1                         # the numbers are copies
        assert all(v.equal(before[k]) for k, v in net.state_dict().items()) and modes == [m.training for m in net.modules()]
        assert all(p.requires_grad and p.grad is None for p in net.parameters())


# --- what is refused

def through(f, **parts): return By(lambda s, x: f(s, x).flatten(1), **parts)


REFUSED = dict(
    transposed=(nn.Sequential(nn.Conv2d(1, 2, 3), nn.ConvTranspose2d(2, 2, 2), nn.Flatten()),
                "ConvTranspose2d '1': convolution transposed"),
    first_part=(nn.Sequential(nn.Conv2d(1, 2, 3), nn.GroupNorm(1, 2), nn.Softmax(1), nn.Flatten()),
                "GroupNorm '1': native_group_norm without a counterpart"),
    buried=(nn.Sequential(nn.Flatten(), nn.Linear(784, 3), nn.Sequential(nn.ReLU(), nn.Softmax(1))), "Softmax '2.1': _softmax"),
    ceil=(nn.Sequential(nn.MaxPool2d(3, 2, ceil_mode=True), nn.Flatten()), "MaxPool2d '0': max_pool2d.* with ceil_mode"),
    mean_ceil=(nn.Sequential(nn.AvgPool2d(3, 2, ceil_mode=True), nn.Flatten()), "AvgPool2d '0': avg_pool2d with ceil_mode"),
    dilated=(nn.Sequential(nn.MaxPool2d(3, 2, dilation=2), nn.Flatten()), "MaxPool2d '0': max_pool2d.* with .* dilation"),
    uneven=(nn.Sequential(nn.AdaptiveAvgPool2d(5), nn.Flatten()), "AdaptiveAvgPool2d '0': adaptive_avg_pool2d to .5, 5."),
    reflect=(nn.Sequential(nn.Conv2d(1, 2, 3, padding=1, padding_mode='reflect'), nn.Flatten()), "Conv2d '0': index"),
    crop=(nn.Sequential(nn.ZeroPad2d(-1), nn.Flatten()), "ZeroPad2d '0': constant_pad_nd by .-1"),
    divisor=(through(lambda s, x: F.avg_pool2d(x, 2, divisor_override=3)), "avg_pool2d"),
    batch_statistics=(nn.Sequential(nn.BatchNorm2d(1, track_running_stats=False), nn.Flatten()), "BatchNorm2d '0'"),
    instance=(nn.Sequential(nn.InstanceNorm2d(1), nn.Flatten()), "InstanceNorm2d '0': .*"),
    over_the_batch=(through(lambda s, x: x - x.mean(0)), "By '': mean over the axes .0."),
    over_channels=(through(lambda s, x: x - x.mean(1, keepdim=True)), "By '': mean over the axes .1."),
    over_nothing=(through(lambda s, x: x - x.mean()), "By '': mean"),
    by_image=(through(lambda s, x: x / x.amax((1, 2, 3), keepdim=True)), "By '': div"),
    cut=(through(lambda s, x: x[:, :, 3:]), "By '': slice"),
    turned=(through(lambda s, x: x.transpose(2, 3)), "By '': permute"),
    mixed=(through(lambda s, x: x.view(1, -1, 28, 28)), "By '': view across images"),
    along_rows=(through(lambda s, x: torch.cat([x, x], 2)), "By '': cat along the axis 2"),
    weights_by_image=(through(lambda s, x: x.flatten(1)[:1] * s.a(x.flatten(1)), a=nn.Linear(784, 1)), "By '': slice"),
    bias_by_image=(through(lambda s, x: F.conv2d(x, torch.ones(2, 1, 3, 3), s.a(x.flatten(1)).view(-1)), a=nn.Linear(784, 1)),
                   'convolution by what depends on the image'),
    half=(through(lambda s, x: x.half().float()), "By '': _to_copy to torch.float16"),
    random=(through(lambda s, x: F.dropout(x)), "By '': native_dropout"),
    a_choice=(through(lambda s, x: x if x.mean() > 0 else -x), 'from torch.export'),
    deaf=(through(lambda s, x: torch.zeros(len(x), 3)), 'one answer for all'),
)


@pytest.mark.parametrize('name', REFUSED)
def test_the_first_part_without_a_counterpart_is_named(name):
    model, error = REFUSED[name]
    with pytest.raises(ValueError, match='model: got .*' + error): browser_layers(model.eval(), images())


def test_other_faults_are_named():
    x = images()
    with pytest.raises(ValueError, match='VisionTransformer'): browser_layers(vit(), x)
    with pytest.raises(ValueError, match='got 11,184,990 numbers, allowed are at most limit=2,000,000'):
        browser_layers(resnet18(), x)
    with pytest.raises(ValueError, match='at most limit=472,041'): browser_layers(mlp(), x, limit=472_041)
    assert len(browser_layers(mlp(), x, limit=472_042)[1]) == 8
    with pytest.raises(TypeError, match='model: got str'): browser_layers('mlp', x)
    with pytest.raises(ValueError, match='normalisation belongs to the model'): browser_layers(mlp(), x - 1)
    with pytest.raises(ValueError, match='one tensor of logits'): browser_layers(nn.Conv2d(1, 2, 3), x)
    with pytest.raises(ValueError, match='model: got RuntimeError on images'): browser_layers(mlp(), images(1, 3, 32, 32))
