"hardkd.models: sizes, a look inside networks never seen before, modes put back, weights there and back, bad input."
import json, stat, subprocess, sys
import pytest
import torch
import torchvision
from hypothesis import given, settings, strategies as st
from safetensors.torch import load_file
from torch import nn
from torch.autograd import gradcheck
from torch.utils.data import DataLoader
from hardkd.data import Images, digits
from hardkd.core.assets import asset
from hardkd.outputs import device_of
from hardkd.models import *
from hardkd.weights import *
from hardkd.views.net import *
from hardkd.core.assets import *
from hardkd.views.base import *

FACTORIES = dict(shift_cnn=shift_cnn, cnn=cnn, mlp=mlp, resnet18=resnet18, vit=vit)
each_factory = pytest.mark.parametrize('name', FACTORIES)


def images(n=4, c=1, h=28, w=28, seed=0): return torch.rand(n, c, h, w, generator=torch.Generator().manual_seed(seed))
def count(model): return sum(p.numel() for p in model.parameters())
def same_state(model, state): return all(v.equal(state[k]) for k, v in model.state_dict().items())
def copy_of(model): return {k: v.clone() for k, v in model.state_dict().items()}


def scrambled(model, seed=0):
    "The model with every parameter and statistic away from its start."
    g = torch.Generator().manual_seed(seed)
    for p in model.parameters(): p.data.add_(.05*torch.randn(p.shape, generator=g))
    for b in model.buffers():
        b.add_(.1*torch.rand(b.shape, generator=g) if b.is_floating_point() else 3001)   # 16 bits would make it 3000
    return model.eval()


# --- sizes and shapes

def test_parameters_are_counted():
    assert count(cnn()) == 112_650 and count(mlp()) == 472_042
    assert count(shift_cnn()) == 9*(16+16*32+32*64) + 2*(16+32+64) + 64*10+10
    assert count(resnet18()) == count(torchvision.models.resnet18(num_classes=10)) - 3*49*64 + 49*64


@given(n=st.integers(1, 3), c=st.integers(1, 4), h=st.integers(6, 40), w=st.integers(6, 40), k=st.integers(2, 12))
def test_conv_nets_take_any_size(n, c, h, w, k):
    for make in shift_cnn, cnn: assert make(k, c).eval()(images(n, c, h, w)).shape == (n, k)


@given(c=st.integers(1, 3), h=st.integers(1, 9), w=st.integers(1, 9), k=st.integers(2, 9),
       hidden=st.lists(st.integers(1, 9), max_size=3), dropout=st.sampled_from([0., .5]))
def test_mlp_has_the_layers_asked_for(c, h, w, k, hidden, dropout):
    net = mlp(k, (c, h, w), hidden, dropout)
    sizes = [c*h*w, *hidden, k]
    assert count(net) == sum(a*b+b for a, b in zip(sizes, sizes[1:]))
    assert net.eval()(images(2, c, h, w)).shape == (2, k)
    assert sum(isinstance(m, nn.Dropout) for m in net) == (len(hidden) if dropout else 0)


@given(patch=st.integers(1, 4), steps=st.integers(1, 4), heads=st.integers(1, 3), c=st.integers(1, 3))
@settings(max_examples=10)
def test_vit_takes_its_own_size(patch, steps, heads, c):
    net = vit(5, c, patch*steps, patch, 4*heads, 1, heads, 8)
    assert net(images(2, c, patch*steps, patch*steps)).shape == (2, 5)


@pytest.mark.parametrize('name', ['shift_cnn', 'cnn', 'resnet18'])
def test_conv_nets_are_channels_last(name):
    convs = [m for m in FACTORIES[name](channels=3).modules() if isinstance(m, nn.Conv2d)]
    assert all(m.weight.is_contiguous(memory_format=torch.channels_last) for m in convs)


@each_factory
def test_the_same_seed_the_same_model(name):
    states = []
    for seed in (0, 0, 1):
        torch.manual_seed(seed)
        states.append(copy_of(FACTORIES[name]()))
    assert all(states[0][k].equal(states[1][k]) for k in states[0])
    assert any(not states[0][k].equal(states[2][k]) for k in states[0])


@each_factory
def test_every_parameter_gets_a_gradient(name):
    model = scrambled(FACTORIES[name]()).train()
    model(images(8)).pow(2).sum().backward()
    assert [k for k, p in model.named_parameters() if p.grad is None or p.grad.abs().sum() == 0] == []


def test_shift_cnn_returns_at_whole_steps():
    torch.manual_seed(0)
    x = torch.zeros(6, 1, 28, 28)
    x[:, :, 10:18, 10:18] = images(6, 1, 8, 8)
    net = shift_cnn().eval()
    with torch.no_grad():
        for step in (4, -4):
            for axis in (2, 3): assert torch.allclose(net(x.roll(step, axis)), net(x), atol=1e-5)
        assert not torch.allclose(net(x.roll(2, 3)), net(x), atol=1e-3)
        assert not torch.allclose(mlp()(x.roll(4, 3)), mlp()(x), atol=1e-3)


# --- normalised

@given(c=st.integers(1, 4), seed=st.integers(0, 9))
def test_normalised_is_the_formula(c, seed):
    x, mean, std = images(2, c, 3, 3, seed), torch.rand(c), torch.rand(c)+.1
    by_hand = torch.stack([(x[:, i]-mean[i])/std[i] for i in range(c)], 1)
    assert torch.allclose(Normalised(nn.Identity(), mean, std)(x), by_hand)
    assert torch.allclose(Normalised(nn.Identity(), .4, .2)(x), (x-.4)/.2)


def test_normalised_keeps_what_it_needs():
    net = Normalised(mlp(), .1, .3)
    assert {'mean', 'std'} <= set(net.state_dict()) and count(net) == count(mlp())
    assert net.double().mean.dtype == torch.float64                     # follows its model
    assert gradcheck(Normalised(nn.Identity(), .4, .2).double(), images(1, 1, 2, 2).double().requires_grad_())


# --- modes

class Odd(nn.Module):
    "A network nobody has seen: strange names, a frozen layer, dropout, BatchNorm, an in-place ReLU, a skip."
    def __init__(self):
        super().__init__()
        self.Трунк = nn.ModuleDict({'0x': nn.Conv2d(1, 6, 3, padding=1), 'bn_': nn.BatchNorm2d(6)})
        self.relu, self.drop, self.idle = nn.ReLU(inplace=True), nn.Dropout(.5), nn.Linear(2, 2)
        self.κ = nn.Linear(6, 3)
    def forward(self, picture):
        h = self.Трунк['bn_'](first := self.Трунк['0x'](picture))
        return self.κ(input=self.drop(self.relu(h)+first).mean((2, 3)))


def modes(model): return [m.training for m in model.modules()]


@pytest.mark.parametrize('look', [lambda m: predict(m, images()), lambda m: accuracy(m, Images(images(), torch.tensor([0, 1, 2, 0]))),
                                  lambda m: check_models(m, m, images())], ids=['predict', 'accuracy', 'check_models'])
@pytest.mark.parametrize('state', ['training', 'eval', 'mixed'])
def test_looking_changes_nothing(look, state):
    net = Odd().train(state != 'eval')
    if state == 'mixed': net.Трунк['bn_'].eval(), net.κ.requires_grad_(False)
    before, flags, needs = copy_of(net), modes(net), [p.requires_grad for p in net.parameters()]
    look(net)
    assert modes(net) == flags and same_state(net, before)
    assert [p.requires_grad for p in net.parameters()] == needs and all(p.grad is None for p in net.parameters())
    assert torch.is_grad_enabled() and not any(m._forward_hooks for m in net.modules())


def test_modes_come_back_after_an_error():
    net = Odd()
    net.drop.eval()
    flags = modes(net)
    with pytest.raises(ValueError, match='model: got RuntimeError'): predict(net, images(c=3))
    assert modes(net) == flags and torch.is_grad_enabled()
    with pytest.raises(KeyError):
        with evaluating(net, mlp()): raise KeyError
    assert modes(net) == flags and torch.is_grad_enabled()


def test_evaluating_holds_several_models():
    a, b = cnn(), shift_cnn().eval()
    with evaluating(a, b):
        assert not any(modes(a)+modes(b)) and not torch.is_grad_enabled()
    assert all(modes(a)) and not any(modes(b))


# --- predict, accuracy

@given(n=st.integers(1, 9), batch_size=st.integers(1, 12))
def test_predict_in_any_batches(n, batch_size):
    torch.manual_seed(0)
    net, x = Odd(), images(n)
    with torch.no_grad(): whole = net.eval()(x)
    got = predict(net.train(), x, batch_size)
    assert got.shape == (n, 3) and torch.allclose(got, whole, atol=1e-6) and not got.requires_grad


def test_accuracy_counts_for_images_sets_and_loaders():
    x, y = images(20), torch.arange(20) % 3
    net = Odd()
    right = sum(int(net.eval()(x[i:i+1]).argmax()) == int(y[i]) for i in range(20))/20
    for data in (Images(x, y), Images(x, y).subset(slice(None)), list(zip(x, y)), DataLoader(Images(x, y), batch_size=7)):
        assert accuracy(net, data) == pytest.approx(right)


def test_device_of_a_model_without_parameters():
    assert device_of(nn.Flatten()) == device_of(mlp()) == torch.device('cpu')
    assert device_of(nn.Linear(2, 2, device='meta')) == torch.device('meta')
    assert predict(nn.Flatten(), images()).shape == (4, 784)


def test_check_models_counts_classes():
    assert check_models(cnn(7), mlp(7), images()) == 7
    assert check_models(shift_cnn(3), Odd(), images(1)) == 3


# --- a look inside

@each_factory
def test_features_are_what_the_last_layer_sees(name):
    model = scrambled(FACTORIES[name]())
    last = [m for m in model.modules() if isinstance(m, nn.Linear)][-1]
    logits, features = logits_and_features(model, x := images())
    assert logits.equal(model(x)) and features.shape == (4, last.in_features)
    assert torch.allclose(last(features), logits, atol=1e-5)
    assert not any(m._forward_hooks for m in model.modules())


@each_factory
def test_features_by_every_path_that_is_called(name):
    model, x = scrambled(FACTORIES[name]()), images(2)
    called = []
    hooks = [m.register_forward_hook(lambda m, a, out, p=p: called.append((p, out))) for p, m in model.named_modules()]
    model(x)
    for hook in hooks: hook.remove()
    called = {p: out for p, out in called if isinstance(out, torch.Tensor)}
    assert len(called) > 5
    for path, out in list(called.items())[::5]:
        features = logits_and_features(model, x, path)[1]
        assert features.shape[0] == 2 and features.ndim == 2 and features.isfinite().all(), path


def test_features_of_a_network_never_seen():
    net, x = Odd().eval(), images()
    logits, features = logits_and_features(net, x)
    assert features.shape == (4, 6) and torch.allclose(net.κ(features), logits)
    maps = net.Трунк['bn_'](net.Трунк['0x'](x))
    assert maps.min() < 0
    assert torch.allclose(logits_and_features(net, x, 'Трунк.bn_')[1], maps.mean((2, 3)))   # before relu wrote over it
    wrapped = nn.Sequential(nn.Identity(), Normalised(net, .1, .3))
    assert torch.allclose(wrapped[1].model.κ(logits_and_features(wrapped, x)[1]), wrapped(x))
    assert logits_and_features(wrapped, x, '1.model.Трунк.0x')[1].shape == (4, 6)


def test_features_of_tokens_rows_and_repeated_layers():
    tokens = nn.Sequential(nn.Flatten(2), nn.Linear(784, 5), nn.Flatten(), nn.Linear(15, 3))   # three tokens of five
    logits, features = logits_and_features(tokens, x := images(c=3), '1')
    assert torch.allclose(features, tokens[1](x.flatten(2)).mean(1))
    shared = nn.Linear(784, 784)
    twice = nn.Sequential(nn.Flatten(), shared, nn.Tanh(), shared)
    assert torch.allclose(logits_and_features(twice, x := images())[1], twice[:3](x))                   # the last call counts


class Handed(nn.Module):
    "Hands on a copy of the logits, as wrappers for mixed precision do."
    def __init__(self, model): super().__init__(); self.model = model
    def forward(self, x): return self.model.bfloat16()(x.bfloat16()).float()


def test_features_behind_a_wrapper_that_copies():
    logits, features = logits_and_features(Handed(mlp()), images())
    assert logits.dtype == torch.float32 and features.shape == (4, 32)


def test_features_of_torchvisions_networks():
    x = images(2, 3, 64, 64)
    for make, width in ((torchvision.models.mobilenet_v3_small, 1024), (torchvision.models.squeezenet1_1, None)):
        model = make(num_classes=4).eval()
        if width: assert logits_and_features(model, x)[1].shape == (2, width)
        else:
            with pytest.raises(ValueError, match=r"does not end in a linear layer.*'classifier.1'"): logits_and_features(model, x)
            assert logits_and_features(model, x, 'features')[1].shape == (2, 512)


def test_gradients_flow_through_logits_and_features():
    torch.manual_seed(0)
    net = nn.Sequential(nn.Flatten(), nn.Linear(4, 3), nn.Tanh(), nn.Linear(3, 2)).double()
    x = images(2, 1, 2, 2).double().requires_grad_()
    for layer in (None, '1', '2'): assert gradcheck(lambda x: logits_and_features(net, x, layer), x)
    logits_and_features(net, x)[1].sum().backward()
    assert net[1].weight.grad is not None and net[3].weight.grad is None


def test_hooks_go_even_after_an_error():
    net = Odd()
    for layer in (None, 'κ'):
        with pytest.raises(ValueError, match='model: got RuntimeError'): logits_and_features(net, images(c=3), layer)
    with pytest.raises(ValueError): logits_and_features(net, images(), 'idle')
    assert not any(m._forward_hooks for m in net.modules())


def test_features_in_the_mode_the_model_is_in():
    net, x = Odd(), images()
    before = copy_of(net)
    logits_and_features(net, x)
    assert not same_state(net, before)                               # a training step may use it: BatchNorm learns
    before = copy_of(net.eval())
    logits_and_features(net, x)
    assert same_state(net, before)


# --- weights, there and back

@each_factory
@pytest.mark.parametrize('half', [False, True])
def test_weights_come_back(name, half, tmp_path):
    model = scrambled(FACTORIES[name]())
    line = save_pretrained(model, tmp_path/'w.safetensors', name, 'a test', 3, half, metrics=dict(test=.5))
    again = pretrained('w', tmp_path)
    for k, v in model.state_dict().items():
        w = again.state_dict()[k]
        assert w.dtype == v.dtype and w.equal(v.half().to(v.dtype) if half and v.is_floating_point() else v), k
    assert again.manifest == line == json.loads((tmp_path/'manifest.json').read_text())['w.safetensors']
    assert (line['seed'], line['metrics'], line['factory'], line['recipe']) == (3, dict(test=.5), name, 'a test')
    assert not again.training and all(p.requires_grad for p in again.parameters())
    strides = [p.stride() for p in model.parameters()]
    assert [p.stride() for p in again.parameters()] == strides                        # channels_last is kept
    stored = {v.dtype for v in load_file(tmp_path/'w.safetensors').values() if v.is_floating_point()}
    assert stored == {torch.float16 if half else torch.float32}


def test_saving_leaves_the_model_alone(tmp_path):
    model = scrambled(shift_cnn())
    before = copy_of(model)
    save_pretrained(model, tmp_path/'w.safetensors', 'shift_cnn', 'a test', 0, half=True)
    assert same_state(model, before) and model[1].weight.dtype == torch.float32


def test_arguments_of_the_factory_come_back(tmp_path):
    model = mlp(4, hidden=[8, 6], dropout=.2)
    save_pretrained(model, tmp_path/'w.safetensors', 'mlp', 'a test', 0, arguments=dict(num_classes=4, hidden=[8, 6], dropout=.2))
    again = pretrained('w', tmp_path)
    assert predict(again, images()).equal(predict(model, images())) and again[3].p == .2


def test_others_may_read_the_file(tmp_path):
    save_pretrained(mlp(), tmp_path/'w.safetensors', 'mlp', 'a test', 0)
    plain = tmp_path/'plain'
    plain.write_text('')
    assert stat.S_IMODE((tmp_path/'w.safetensors').stat().st_mode) == stat.S_IMODE(plain.stat().st_mode)


def test_wrong_checksum_is_refused(tmp_path):
    save_pretrained(shift_cnn(), path := tmp_path/'w.safetensors', 'shift_cnn', 'a test', 0)
    damaged = bytearray(path.read_bytes())
    damaged[-1] ^= 1
    path.write_bytes(damaged)
    with pytest.raises(ValueError, match="'w.safetensors' with sha256 .* the file is damaged"): pretrained('w', tmp_path)
    path.unlink()
    with pytest.raises(ValueError, match="'w.safetensors', which is gone"): pretrained('w', tmp_path)


def test_two_calls_two_models(tmp_path):
    save_pretrained(mlp(), tmp_path/'w.safetensors', 'mlp', 'a test', 0)
    a, b = pretrained('w', tmp_path), pretrained('w', tmp_path)
    a[1].weight.data.zero_()
    assert b[1].weight.abs().sum() > 0


def test_everything_that_ships_loads():
    assert 'shift_cnn' in pretrained_names() and pretrained_names() == sorted(pretrained_names())
    for name in pretrained_names():
        model = pretrained(name)
        assert not model.training
        if model.manifest['factory'] == 'vae':                           # no classifier: tests/test_vae.py
            assert model.reconstruct(images()).isfinite().all()
            continue
        assert model.manifest['factory'] in MAKERS and predict(model, images()).isfinite().all()
        if 'test' in model.manifest.get('metrics', {}):                  # what it says of itself is true
            assert accuracy(model, digits()[1]) == pytest.approx(model.manifest['metrics']['test'], abs=.001)


def test_module_needs_nothing_of_the_lessons():
    code = "import sys, hardkd.losses, hardkd.models; print([m for m in sys.modules if m in ('fastcore', 'nbdev', 'matplotlib')])"
    assert subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, check=True).stdout.strip() == '[]'


# --- bad input: what is called, which error, what its message says

class Two(nn.Module):
    def forward(self, x): return x.flatten(1), x


x, odd = images(), Odd().eval()
flat = nn.Sequential(nn.Flatten(), nn.Linear(784, 5))
BAD = {
    'classes one':          (lambda p: cnn(1), ValueError, 'num_classes: got 1'),
    'classes a float':      (lambda p: vit(10.), TypeError, r'num_classes: got 10.0 \(float\)'),
    'channels zero':        (lambda p: shift_cnn(channels=0), ValueError, 'channels: got 0'),
    'widths none':          (lambda p: shift_cnn(widths=()), ValueError, 'widths: got no numbers'),
    'width zero':           (lambda p: shift_cnn(widths=(8, 0)), ValueError, r'widths\[1\]: got 0'),
    'hidden negative':      (lambda p: mlp(hidden=(5, -1)), ValueError, r'hidden\[1\]: got -1'),
    'shape of zero':        (lambda p: mlp(shape=(1, 0, 5)), ValueError, r'shape\[1\]: got 0'),
    'dropout over 1':       (lambda p: mlp(dropout=1.5), ValueError, 'dropout: got 1.5'),
    'dropout negative':     (lambda p: cnn(dropout=-.1), ValueError, 'dropout: got -0.1'),
    'resnet channels':      (lambda p: resnet18(channels=-3), ValueError, 'channels: got -3'),
    'patch does not fit':   (lambda p: vit(size=30), ValueError, 'patch: got 7, allowed are divisors of size=30'),
    'heads do not fit':     (lambda p: vit(heads=7), ValueError, 'heads: got 7, allowed are divisors of dim=64'),
    'std zero':             (lambda p: Normalised(odd, .5, 0.), ValueError, r'std: got \[0.0\]'),
    'std NaN':              (lambda p: Normalised(odd, .5, float('nan')), ValueError, 'std: got 1 values that are not finite'),
    'mean infinite':        (lambda p: Normalised(odd, float('inf'), .2), ValueError, 'mean: got 1 values that are not finite'),
    'mean and std differ':  (lambda p: Normalised(odd, [.5]*3, [.2]*2), ValueError, 'mean, std: got shapes'),
    'normalised channels':  (lambda p: Normalised(odd, [.5]*3, [.2]*3)(x), ValueError, 'x: got 1 channels, allowed are 3'),
    'predict no module':    (lambda p: predict(lambda x: x, x), TypeError, 'model: got function, allowed are torch.nn.Module'),
    'predict out of range': (lambda p: predict(odd, x*3), ValueError, r'x: got values in .* allowed are \[0, 1\]'),
    'predict bytes':        (lambda p: predict(odd, (x*255).byte()), TypeError, 'x: got torch.uint8'),
    'predict empty':        (lambda p: predict(odd, x[:0]), ValueError, r'x: got shape \(0, 1, 28, 28\)'),
    'predict batch zero':   (lambda p: predict(odd, x, 0), ValueError, 'batch_size: got 0'),
    'predict two outputs':  (lambda p: predict(Two(), x), ValueError, 'model: got an output of type tuple'),
    'predict maps':         (lambda p: predict(nn.Identity(), x), ValueError, r'model: got an output of shape \(4, 1, 28, 28\)'),
    'accuracy label':       (lambda p: accuracy(odd, Images(x, torch.arange(4))), ValueError, 'data: got labels from 0 to 3, allowed are 0 to 2'),
    'accuracy no data':     (lambda p: accuracy(odd, None), TypeError, 'dataset: got NoneType'),
    'teacher no module':    (lambda p: check_models('cnn', odd, x), TypeError, 'teacher: got str'),
    'class counts differ':  (lambda p: check_models(cnn(4), odd, x), ValueError, 'teacher, student: got 4 classes and 3 classes'),
    'student takes colour': (lambda p: check_models(odd, cnn(3, channels=3), x), ValueError, r'student: got RuntimeError on images \(1, 28, 28\)'),
    'teacher takes 32':     (lambda p: check_models(vit(3, size=32, patch=8), odd, x), ValueError, 'teacher: got AssertionError on images'),
    'student gives maps':   (lambda p: check_models(odd, nn.Conv2d(1, 3, 1), x), ValueError, 'student: got an output of shape'),
    'images normalised':    (lambda p: check_models(odd, odd, x-1), ValueError, 'x: got values in'),
    'layer misspelt':       (lambda p: logits_and_features(resnet18(), x, 'layer4.1.bn'), ValueError, "layer: got 'layer4.1.bn'.*did you mean 'layer4.1.bn"),
    'layer not called':     (lambda p: logits_and_features(odd, x, 'idle'), ValueError, "layer: got 'idle', which was not called"),
    'no linear layer':      (lambda p: logits_and_features(nn.Sequential(nn.Conv2d(1, 3, 28), nn.Flatten()), x), ValueError, "layer: got None, .* such as '0', '1'"),
    'linear not last':      (lambda p: logits_and_features(nn.Sequential(flat, nn.Softmax(1)), x), ValueError, "layer: got None, .*'0.1', '1'"),
    'features no module':   (lambda p: logits_and_features(None, x), TypeError, 'model: got NoneType'),
    'features no logits':   (lambda p: logits_and_features(Two(), x), ValueError, 'model: got an output of type tuple'),
    'pretrained misspelt':  (lambda p: pretrained('shiftcnn'), ValueError, "name: got 'shiftcnn'.*did you mean 'shift_cnn'"),
    'pretrained a path':    (lambda p: pretrained('../shift_cnn'), ValueError, "name: got '../shift_cnn'"),
    'save unknown factory': (lambda p: save_pretrained(odd, p/'w.safetensors', 'odd', '', 0), ValueError, "factory: got 'odd'"),
    'save other weights':   (lambda p: save_pretrained(mlp(), p/'w.safetensors', 'cnn', '', 0), ValueError, 'model: got weights that do not fit'),
    'save other ending':    (lambda p: save_pretrained(mlp(), p/'w.pt', 'mlp', '', 0), ValueError, r"w.pt', allowed are names that end in .safetensors"),
    'save too large':       (lambda p: save_pretrained(big(), p/'w.safetensors', 'mlp', '', 0, half=True), ValueError, 'not finite in 1.bias'),
}


def big():
    net = mlp()
    net[1].bias.data[0] = 1e5                 # more than a 16-bit float holds
    return net


@pytest.mark.parametrize('name', BAD)
def test_bad_input(name, tmp_path):
    call, error, message = BAD[name]
    with pytest.raises(error, match=message): call(tmp_path)
    assert list(tmp_path.iterdir()) == []     # nothing half written


def test_a_layer_that_gives_no_tensor(tmp_path):
    class Pair(nn.Module):
        def __init__(self): super().__init__(); self.two, self.head = Two(), nn.Linear(784, 3)
        def forward(self, x): return self.head(self.two(x)[0])
    with pytest.raises(ValueError, match="layer: got 'two', which returns tuple"): logits_and_features(Pair(), x, 'two')
    assert logits_and_features(Pair(), x)[1].shape == (4, 784)


def test_a_manifest_with_an_unknown_factory(tmp_path):
    save_pretrained(mlp(), tmp_path/'w.safetensors', 'mlp', 'a test', 0)
    manifest = tmp_path/'manifest.json'
    manifest.write_text(manifest.read_text().replace('"mlp"', '"mpl"'))
    with pytest.raises(ValueError, match="factory: got 'mpl'.*did you mean 'mlp'"): pretrained('w', tmp_path)


def test_features_of_a_model_that_says_nan():
    "The last linear layer is found though NaN is unlike itself."
    net = mlp(3, (1, 2, 2), (5,))
    with torch.no_grad(): net[-1].bias[0] = float('nan')
    logits, features = logits_and_features(net, torch.rand(4, 1, 2, 2))
    assert logits.isnan().any() and features.shape == (4, 5) and features.isfinite().all()
