"A model as numbers for a page: what browser_layers writes, and that net.js in a browser answers as torch does."
import base64, json
import numpy as np
import pytest
import torch
import torch.nn.functional as F
import torchvision
from torch import nn
from hardkd.models import *

CONV = lambda *args, **kwargs: nn.Conv2d(*args, **kwargs)


def images(n=3, c=1, h=28, w=28, seed=0): return torch.rand(n, c, h, w, generator=torch.Generator().manual_seed(seed))


def scrambled(model, seed=0):
    "The model with weights, biases and statistics away from their start, so that a forgotten one shows."
    g = torch.Generator().manual_seed(seed)
    for p in model.parameters(): p.data.mul_(.5 + torch.rand(p.shape, generator=g)).add_(.02*torch.randn(p.shape, generator=g))
    for b in model.buffers():
        if b.is_floating_point(): b.add_(.5*torch.rand(b.shape, generator=g))
    return model.eval()


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
    for name, part in {'a b': nn.Conv2d(1, 4, 3), '2/weight': nn.ReLU(True), 'x': nn.Flatten(), 'constructor': nn.Linear(16, 3)}.items():
        net.add_module(name, part)
    return net


def residual(self, x):
    x = self.inner(x)
    y = x
    y = F.relu(self.norm(self.conv(y)))
    y += x                                                      # the same numbers in two places
    return self.head(torch.cat([y.relu_(), x, y-x, y*x], 1).mean((2, 3)))


def squeezed(self, x):
    x = self.conv(x)
    return self.head((x * self.gate(x.mean((2, 3), keepdim=True)).sigmoid() + x.amax((-2, -1), keepdim=True)).amax((-1, -2)))


def constants(self, x):
    x = (1 - x*2)/3 + self.places                               # one number for each place
    x = -(self.conv(x) - torch.arange(3.).view(3, 1, 1)) * self.gain.exp()
    if x.shape[1] != 3 or x.ndim != 4: raise ValueError('shapes are known')
    x = F.pad(x, (1, 2, 0, 3), value=.5).view(x.shape[0], -1)
    return (x @ self.table)[:, None].squeeze(1) + self.last


WORDS = dict(flatten=lambda x: x.flatten(1), torch_flatten=lambda x: torch.flatten(x, 1), view=lambda x: x.view(x.size(0), -1),
             reshape=lambda x: x.reshape(len(x), -1), minus=lambda x: x.view(-1, 48), squeeze=lambda x: x.reshape(-1, 48, 1).squeeze(2))
EACH = dict(relu=nn.ReLU(), leaky=nn.LeakyReLU(.3), leaky_plain=nn.LeakyReLU(), gelu=nn.GELU(), gelu_tanh=nn.GELU('tanh'),
            sigmoid=nn.Sigmoid(), tanh=nn.Tanh(), elu=nn.ELU(.7), selu=nn.SELU(), silu=nn.SiLU(), hardtanh=nn.Hardtanh(-.2, .3),
            relu6=nn.ReLU6(), hardswish=nn.Hardswish(), clamp_low=By(lambda s, x: x.clamp(min=.1)),
            clamp_high=By(lambda s, x: torch.clamp(x, max=.1)), relu_word=By(lambda s, x: torch.relu(x)),
            dropout=nn.Sequential(nn.Dropout(.5), nn.Dropout2d(.5), nn.Identity()))
POOLS = dict(max2=nn.MaxPool2d(2), max3=nn.MaxPool2d(3, 2, 1), max_long=nn.MaxPool2d((2, 3), (1, 2), (1, 0)), avg2=nn.AvgPool2d(2),
             avg_border=nn.AvgPool2d(3, 2, 1), avg_inside=nn.AvgPool2d(3, 2, 1, count_include_pad=False),
             avg_long=nn.AvgPool2d((3, 2), (2, 1), (0, 1)), ceil_plain=nn.MaxPool2d(2, ceil_mode=True), to_one=nn.AdaptiveAvgPool2d(1),
             max_to_one=nn.AdaptiveMaxPool2d(1), to_some=nn.AdaptiveAvgPool2d((3, 2)), max_to_some=nn.AdaptiveMaxPool2d((2, 5)),
             mean=By(lambda s, x: x.mean((2, 3))), mean_steps=By(lambda s, x: x.mean(-1).mean(-1)), rows=By(lambda s, x: x.mean(3)),
             functional=By(lambda s, x: F.avg_pool2d(F.max_pool2d(x, 2), 3, stride=1)), zeros=nn.ZeroPad2d((0, 3, 2, 1)))
CONVS = dict(plain=(5, 3), strided=(5, 3, (2, 3), (1, 2)), dilated=(4, 3, 1, 2, 2), oblong=(5, (1, 4)), same=(5, (3, 5), 1, 'same', (2, 1)),
             one=(7, 1), groups=(9, 3, 1, 1, 1, 3), each=(6, 5, 2, 2, 1, 3), no_bias=(5, 3, 1, 0, 1, 1, False), whole=(6, (12, 10)))


def norms():
    return classes(nn.Sequential(nn.BatchNorm2d(3), nn.Conv2d(3, 4, 3, bias=False), nn.BatchNorm2d(4), nn.ReLU(), nn.BatchNorm2d(4, affine=False),
                                 nn.Flatten(), nn.Linear(320, 6), nn.BatchNorm1d(6), nn.BatchNorm1d(6)), 3, 12, 10)


def table():
    grey, colour = (1, 28, 28), (3, 32, 32)
    yield 'shipped', pretrained('shift_cnn'), grey
    for make in cnn, mlp, resnet18: yield make.__name__, scrambled(make()), grey
    yield 'mlp dropout', mlp(7, (3, 32, 32), (40,), .5), colour
    yield 'normalised', Normalised(shift_cnn(7, 3), [.4, .5, .6], [.2, .3, .1]), colour
    yield 'normalised grey', Normalised(mlp(hidden=()), .13, .31), grey
    yield 'odd names', odd_names(), (1, 4, 4)
    yield 'residual', By(residual, inner=nn.Conv2d(3, 4, 3), conv=nn.Conv2d(4, 4, 3, padding=1), norm=nn.BatchNorm2d(4),
                         head=nn.Linear(16, 7)), (3, 9, 7)
    yield 'squeezed', By(squeezed, conv=nn.Conv2d(1, 6, 3), gate=nn.Conv2d(6, 6, 1), head=nn.Linear(6, 4)), (1, 9, 9)
    yield 'constants', By(constants, conv=nn.Conv2d(1, 3, 2), places=torch.rand(6, 5), gain=nn.Parameter(torch.rand(3, 1, 1)),
                          table=torch.rand(3*8*7, 4), last=torch.rand(1, 4)), (1, 6, 5)
    yield 'norms', norms(), (3, 12, 10)
    yield 'weight norm', nn.Sequential(nn.Flatten(), nn.utils.parametrizations.weight_norm(nn.Linear(12, 4))), (1, 3, 4)
    yield 'half', classes(nn.Conv2d(1, 3, 3)).half(), grey
    yield 'double', classes(nn.Conv2d(1, 3, 3)).double(), grey
    yield 'dense', torchvision.models.DenseNet(4, (2, 2), 8, num_classes=7), colour
    yield 'mobile', torchvision.models.mobilenet_v3_small(num_classes=7), colour
    for name, f in WORDS.items(): yield name, nn.Sequential(By(lambda s, x, f=f: f(x)), nn.Linear(48, 4)), (3, 4, 4)
    for name, f in EACH.items(): yield name, nn.Sequential(nn.Flatten(), nn.Linear(12, 30), f, nn.Linear(30, 4)), (1, 3, 4)
    for name, f in POOLS.items(): yield name, classes(nn.Sequential(nn.Conv2d(3, 4, 3), f), 3, 14, 12), (3, 14, 12)
    for name, args in CONVS.items(): yield name, classes(nn.Conv2d(3, *args), 3, 12, 10), (3, 12, 10)


TABLE = {name: (model, shape) for name, model, shape in table()}


@pytest.fixture(scope='module')
def page(chromium, root):
    "A page with nothing but net.js, without a network."
    context = chromium.new_context(offline=True)
    page = context.new_page()
    script = (root/'hardkd'/'static'/'net.js').read_text()
    page.set_content(f'<script type="module">{script}\nwindow.makeNet = makeNet</script>')
    page.wait_for_function('() => window.makeNet !== undefined')
    page.evaluate('''() => { window.floats = text => new Float32Array(Uint8Array.from(atob(text), c => c.charCodeAt(0)).buffer) }''')
    yield page
    context.close()


def text(array): return base64.b64encode(np.ascontiguousarray(array, dtype='<f4').tobytes()).decode()


def answers(page, layers, arrays, x, script='net.run(x, n)'):
    "What net.js makes of the images; or what another line does with it."
    return page.evaluate('''([layers, texts, x, n]) => {
        const arrays = Object.fromEntries(Object.entries(texts).map(([name, text]) => [name, floats(text)]))
        const net = makeNet(JSON.parse(layers), arrays)
        x = floats(x)
        return Array.from(%s)
    }''' % script, [json.dumps(layers), {k: text(v) for k, v in arrays.items()}, text(x), len(x)])


@pytest.mark.parametrize('name', TABLE)
def test_a_page_answers_as_torch_does(name, page):
    model, shape = TABLE[name]
    model = model if name == 'shipped' else scrambled(model)
    x = images(3, *shape, seed=1)
    want = predict(model.float(), x)
    got = torch.tensor(answers(page, *browser_layers(model, x, limit=20_000_000), x)).view(len(x), -1)
    assert got.shape == want.shape and want.std(0).min() > 1e-4, 'a model that says the same of each image shows nothing'
    assert ((got-want).abs() / want.abs().clamp(min=1)).max() < 1e-4
