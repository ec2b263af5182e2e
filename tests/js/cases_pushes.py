"Breaks and who is right, by torch, looking at all moves one by one."
import itertools, math
import torch


def opinions(M=3, moves=29, K=4):
    "(L,M,K) probabilities after each move, the unmoved image first; the teacher keeps its mind on about half of them."
    draw = torch.Generator().manual_seed(1)
    logits = torch.randn(moves, M, K, generator=draw, dtype=torch.float64)
    logits[:, 0] = logits[0, 0] + logits[:, 0]*.8
    return logits.softmax(2)


def kind_of(teacher_is_right, student_is_right):
    return {(True, True): 0, (True, False): 1, (False, True): 2, (False, False): 3}[bool(teacher_is_right), bool(student_is_right)]


def cases_pushes():
    side = range(-3, 4)
    moves = sorted((d for d in itertools.product(side, side) if math.hypot(*d) <= 3), key=lambda d: math.hypot(*d))
    p = opinions(moves=len(moves))
    says, rows = p.argmax(2), []
    for student in 1, 2:
        is_break = (says[:, student] != says[0, student]) & (says[:, 0] == says[0, 0])
        kinds = [[kind_of(t == label, s == label) for t, s in zip(says[:, 0], says[:, student])] for label in range(p.shape[2])]
        rows.append(dict(student=student, breaks=is_break, first=is_break.nonzero()[0].item(), kinds=kinds))
    wanted = 30*torch.randn(20, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    logits = [wanted + error*torch.eye(20)[7] for error in (0., 1e-4, 1e-3, 1e-2, .1)]
    room = 1e-4*max(1., wanted.abs().max().item())
    rings = [[list(d) for d in moves if round(math.hypot(*d)) == r] for r in range(4)]
    return dict(moves=[list(d) for d in moves], lengths=[math.hypot(*d) for d in moves], rings=rings, opinions=p, students=rows,
                same=[dict(logits=z, wanted=wanted, same=bool((z-wanted).abs().max() <= room)) for z in logits])
