"How light the colours of roles are, by matplotlib's reading of them."
from matplotlib.colors import to_rgb
from hardkd.figures.style import LOOKS


def cases_contrast():
    colours = [look[0] for look in LOOKS.values()] + ['#000', '#fff', '#555', '#3FA2E0']
    return [dict(colour=c, dark=sum(w*v for w, v in zip((.2126, .7152, .0722), to_rgb(c))) < .4) for c in colours]
