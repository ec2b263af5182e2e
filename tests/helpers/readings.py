"What a shipped teacher says of an augmentor's widths is the same each time: it is asked once in a process, not once a game."
import copy
from hardkd import bound
from hardkd.session import fingerprint
from hardkd.spatial import SpatialAugmentor

KNOWN:dict = {}
read_widths = bound.read_widths


def remembered(teacher, augmentor, x, keeps=None, seed=0):
    "`read_widths`; of a shipped teacher and the usual augmentor from memory, from the second time on."
    if type(augmentor) is not SpatialAugmentor or not hasattr(teacher, 'manifest'): return read_widths(teacher, augmentor, x, keeps, seed)
    key = fingerprint(teacher.state_dict().values()), fingerprint([x]), x.shape, augmentor.generators, keeps, seed
    if key not in KNOWN: KNOWN[key] = read_widths(teacher, augmentor, x, keeps, seed)
    reading = copy.deepcopy(KNOWN[key])
    bound.go_only(augmentor, reading.together, augmentor.limits())
    return reading


def read_once(patch):
    "For the time of a monkeypatch, games ask as `remembered` does."
    patch.setattr(bound, 'read_widths', remembered)
