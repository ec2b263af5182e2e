"The exercises of the course, kept by hand (nbdev leaves it alone): what a learner types."
from .verbs import check, hint, predict, progress, reveal, solution

__all__ = ['check', 'hint', 'predict', 'progress', 'reveal', 'solution']
