"""Teach, explore and use knowledge distillation with learned hard augmentations.

Kept by hand (nbdev leaves it alone). `import hardkd` loads nothing heavy: the first public name that is asked for
(`hardkd.digits`, `from hardkd import digits`, `from hardkd import *`) loads the modules below, in this order.
A later module's name wins: `hardkd.distill` is the front door of `hardkd.hard`.
"""
from importlib import import_module
from typing import TYPE_CHECKING

__version__ = '0.1.0'
_modules = ['data', 'kit', 'models', 'losses', 'train', 'shift', 'spatial', 'hard', 'mix', 'vae', 'icd', 'robust', 'rivals']
_names = {}

if TYPE_CHECKING:
    from .data import *
    from .kit import *
    from .models import *
    from .losses import *
    from .train import *
    from .shift import *
    from .spatial import *
    from .hard import *
    from .mix import *
    from .vae import *
    from .icd import *
    from .robust import *
    from .rivals import *


def _load():
    "Every public name with what it stands for."
    if not _names:
        exports = [import_module(f'.{module}', __name__) for module in _modules]
        _names.update({name: getattr(module, name) for module in exports for name in module.__all__})
    return _names


def __getattr__(name):
    if name == '__all__': return sorted(_load())
    if name in _modules: return import_module(f'.{name}', __name__)
    if name.startswith('_') or name not in _load():
        raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
    return _names[name]


def __dir__():
    return sorted({*globals(), *_load()})
