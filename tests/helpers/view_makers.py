"Every view, of the shipped models and of models and images that hardkd has never seen."
from functools import cache
import torch
from torch import nn
import hardkd, hardkd.train
from hardkd import Images, SpatialAugmentor, digits, distill, mlp, pretrained

NASTY = ['plain', 'two words', 'a "quoted" one', "it's", '<script>window.hacked = 1</script>', '<img src=x onerror="window.hacked=1">',
         'ünïcödé & co']


class Odd(nn.Module):
    "Somebody's network: other names, no Sequential, BatchNorm, 7 classes of 3x32x32."
    def __init__(self, wide=6):
        super().__init__()
        self.eyes, self.brow = nn.Conv2d(3, wide, 5, stride=2, padding=2), nn.BatchNorm2d(wide)
        self.mouth = nn.Linear(wide*16, 7)

    def forward(self, picture):
        seen = torch.relu(self.brow(self.eyes(picture)))
        return self.mouth(nn.functional.adaptive_avg_pool2d(seen, 4).flatten(1))


@cache
def shipped():
    "teacher, students, test images, a recorded run of 40 steps."
    train, test = digits()
    with torch.random.fork_rng():
        torch.manual_seed(0)
        teacher, kd = pretrained('shift_cnn'), mlp()
        distill(teacher, kd, train, epochs=1, seed=0, progress=False)
        referee = hardkd.train.Referee(warmup=5)
        run = distill(teacher, mlp(), train, augmentor=SpatialAugmentor(.1), epochs=40/78, seed=0, progress=False, trace=True, referee=referee)
    return teacher, {'KD': kd, 'HARD': run.student}, test.subset(40), run


@cache
def foreign():
    "The same of a stranger's models and images."
    with torch.random.fork_rng():
        torch.manual_seed(0)
        data = Images(torch.rand(56, 3, 32, 32), torch.arange(56) % 7, NASTY)
        teacher, student = Odd(12), Odd()
        run = distill(teacher, student, data, augmentor=SpatialAugmentor(.1), epochs=4, batch_size=14, seed=0, progress=False,
                      trace=data.subset(21), referee=hardkd.train.Referee(warmup=2))
    return teacher, {'<b>first</b> "student"': student, 'second': Odd()}, data, run


@cache
def vae(shape):
    "An untrained VAE of three small groups that draws with some contrast."
    with torch.random.fork_rng():
        torch.manual_seed(0)
        made = hardkd.HierarchicalVAE(shape, ((8,), (2,), (1,)), width=8)
    for p in made.down[-1][-1].parameters(): p.data.mul_(20)
    return made


def vae_scrub(teacher, students, data, run):
    "With an untrained augmentor."
    known = vae(tuple(data.x.shape[1:]))
    return hardkd.VaeScrub(teacher, students, known, data, hardkd.VAEAugmentor(known), limit=6)


MAKERS = dict(
    VaeScrub=vae_scrub,
    ShiftMap=lambda t, s, d, r: hardkd.ShiftMap(t, s, d, max_shift=4, limit=24),
    HardScrub=lambda t, s, d, r: hardkd.HardScrub(r),
    PushTheDigit=lambda t, s, d, r: hardkd.PushTheDigit(t, s, d),
    DisagreementMap=lambda t, s, d, r: hardkd.DisagreementMap(t, s, d, run=r),
    TemperatureDial=lambda t, s, d, r: hardkd.TemperatureDial(t, s, d),
    AugmentorCloud=lambda t, s, d, r: hardkd.AugmentorCloud(r),
    LossLedger=lambda t, s, d, r: hardkd.LossLedger(r),
    IcdMatrix=lambda t, s, d, r: hardkd.IcdMatrix(t, s, d),
    EmbeddingDuel=lambda t, s, d, r: hardkd.EmbeddingDuel(t, s, d),
    TeacherXray=lambda t, s, d, r: hardkd.TeacherXray({'teacher': t, **s}, d, images=40))
SETS = dict(shipped=shipped, foreign=foreign)


@cache
def made(name, which):
    "The view `name` of the set `which`."
    return MAKERS[name](*SETS[which]())
