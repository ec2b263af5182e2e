"""Teach, explore and use knowledge distillation with learned hard augmentations.

Kept by hand (nbdev leaves it alone). `from hardkd import *` gives what a user of the library types: the names below.
Each is loaded when it is first asked for, with the module that it stands in; everything else is reached by its module
(`hardkd.experiments.comparison.compare`). `import hardkd` by itself loads nothing heavy.

Import hardkd before torch: threads of torch that wait for each other then sleep instead of spinning, so that a busy
process beside them does not make a run many times slower. torch reads this once, when it is loaded.
"""
import os, signal, sys
from importlib import import_module
from typing import TYPE_CHECKING

__version__ = '0.1.0'

if 'torch' not in sys.modules: os.environ.setdefault('OMP_WAIT_POLICY', 'PASSIVE')

_names = {
    'data': 'Images digits fashion idx_set images_from_bytes in_memory vision_set',
    'models': 'Normalised accuracy check_models cnn logits_and_features mlp predict resnet18 shift_cnn tiny_student vit',
    'weights': 'pretrained pretrained_names save_pretrained',
    'losses': 'agreement disagreement kd_loss soften',
    'run': 'Batch NotFinite Run',
    'players': 'Player Referee',
    'train': 'StudentLoss fit one_cycle play',
    'shift': 'equivariance_error invariance_error shift_batch shift_map shifted_views translate',
    'augmentor': 'Augmentor',
    'compose': 'BatchTransform Compose',
    'bound': 'read_widths',
    'spatial': 'GENERATORS SpatialAugmentor warp',
    'hard': 'AugmentorLoss distill hardness student_sensitivity',
    'mix': 'MixAugmentor',
    'draws': 'HardDraws PhotometricAugmentor',
    'blur': 'BlurAugmentor',
    'xrays': 'plain_cnn xray',
    'vae': 'HierarchicalVAE',
    'vae_training': 'train_vae',
    'vae_augmentor': 'VAEAugmentor',
    'icd': 'ICDLoss ICDTerm contrastive_loss icd_terms invariance_penalty',
    'figures.images': 'image_grid',
    'figures.charts': 'curves probability_bars widths_figure',
    'figures.page': 'html_page table_html',
    'figures.xray': 'xray_figure',
    'views.doctor': 'doctor',
    'views.temperature_dial': 'TemperatureDial',
    'views.loss_ledger': 'LossLedger',
    'views.shift_map': 'ShiftMap shift_map_figure',
    'views.push_the_digit': 'PushTheDigit',
    'views.disagreement_map': 'DisagreementMap',
    'views.hard_scrub': 'HardScrub',
    'views.augmentor_cloud': 'AugmentorCloud',
    'views.vae_scrub': 'VaeScrub',
    'views.icd_matrix': 'IcdMatrix',
    'views.embedding_duel': 'EmbeddingDuel',
    'views.teacher_xray': 'TeacherXray',
    'experiments.corruptions': 'CORRUPTIONS corrupt robust_teacher',
    'experiments.robustness': 'calibration_error corruption_table linear_probe paired_interval',
    'experiments.figures': 'corruption_figure',
    'experiments.rivals': 'rival_term',
    'experiments.records': 'compared compared_text',
    'experiments.runs': 'play_recorded recorded',
}
_home = {name: module for module, names in _names.items() for name in names.split()}
__all__ = sorted(_home)

if TYPE_CHECKING:
    from .data import Images, digits, fashion, idx_set, images_from_bytes, in_memory, vision_set
    from .models import (
        Normalised, accuracy, check_models, cnn, logits_and_features, mlp, predict, resnet18, shift_cnn,
        tiny_student, vit)
    from .weights import pretrained, pretrained_names, save_pretrained
    from .losses import agreement, disagreement, kd_loss, soften
    from .run import Batch, NotFinite, Run
    from .players import Player, Referee
    from .train import StudentLoss, fit, one_cycle, play
    from .shift import equivariance_error, invariance_error, shift_batch, shift_map, shifted_views, translate
    from .augmentor import Augmentor
    from .compose import BatchTransform, Compose
    from .bound import read_widths
    from .spatial import GENERATORS, SpatialAugmentor, warp
    from .hard import AugmentorLoss, distill, hardness, student_sensitivity
    from .mix import MixAugmentor
    from .draws import HardDraws, PhotometricAugmentor
    from .blur import BlurAugmentor
    from .xrays import plain_cnn, xray
    from .vae import HierarchicalVAE
    from .vae_training import train_vae
    from .vae_augmentor import VAEAugmentor
    from .icd import ICDLoss, ICDTerm, contrastive_loss, icd_terms, invariance_penalty
    from .figures.images import image_grid
    from .figures.charts import curves, probability_bars, widths_figure
    from .figures.page import html_page, table_html
    from .figures.xray import xray_figure
    from .views.doctor import doctor
    from .views.temperature_dial import TemperatureDial
    from .views.loss_ledger import LossLedger
    from .views.shift_map import ShiftMap, shift_map_figure
    from .views.push_the_digit import PushTheDigit
    from .views.disagreement_map import DisagreementMap
    from .views.hard_scrub import HardScrub
    from .views.augmentor_cloud import AugmentorCloud
    from .views.vae_scrub import VaeScrub
    from .views.icd_matrix import IcdMatrix
    from .views.embedding_duel import EmbeddingDuel
    from .views.teacher_xray import TeacherXray
    from .experiments.corruptions import CORRUPTIONS, corrupt, robust_teacher
    from .experiments.robustness import calibration_error, corruption_table, linear_probe, paired_interval
    from .experiments.figures import corruption_figure
    from .experiments.rivals import rival_term
    from .experiments.records import compared, compared_text
    from .experiments.runs import play_recorded, recorded


def __getattr__(name):
    if name in _home:
        value = getattr(import_module(f'.{_home[name]}', __name__), name)
        globals()[name] = value
        return value
    raise AttributeError(f'module {__name__!r} has no attribute {name!r}')


def shell():
    "The command `hardkd`. What is heavy is loaded here, and Ctrl-C in the meantime ends it without a traceback."
    def stop(*_):
        os.write(2, b'hardkd: stopped\n')
        os._exit(130)
    before = signal.signal(signal.SIGINT, stop)
    from .cli import main
    signal.signal(signal.SIGINT, before)
    return main()


def __dir__():
    return sorted({*globals(), *__all__})
