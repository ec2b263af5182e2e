"Running means, weighed terms and marks as `ledger_figure` and `LossLedger` have them."
import numpy as np
from hardkd import LossLedger
from hardkd.views.loss_ledger import ledger_figure


def made_up(turns=60, price=.7):
    "Turns of both players, the terms drawn; the student's loss starts high."
    draw, history = np.random.default_rng(0), []
    for turn in range(1, turns+1):
        a, b, c = (draw.uniform(1, 3, 3)*(1 + 40*.7**turn)).tolist()
        if turn % 4: history.append(dict(turn=turn, player='student', loss=.5*a + .25*b + 2*c, clean=a, hard=b, labels=c))
        else: history.append(dict(turn=turn, player='augmentor', loss=price*b - a, disagreement=a, teacher_change=b))
    return history


def sent(view, name):
    "An array that goes to the browser."
    a = view.arrays[name]
    return np.frombuffer(a['data'], dtype=a['dtype']).reshape(a['shape']).astype(float)


def drawn(history, weights, smooth):
    "Of each player what is sent, and what Python draws of it: entries and sum; marks and limits of the axis."
    view, fig, rows = LossLedger(history), ledger_figure(history, weights=weights, smooth=smooth), []
    for i, (player, ax) in enumerate(zip(view.state['players'], fig.axes[1:])):
        k = len(player['terms'])
        *entries, total = [line.get_ydata() for line in ax.lines[:k+1]]
        now = player['weights'] | weights.get(player['name'], {})
        rows.append(dict(turn=sent(view, f'turn{i}'), terms=sent(view, f'terms{i}'), weights=[now[t] for t in player['terms']], smooth=smooth,
                         entries=np.stack(entries), total=total, usual=player['usual'], marks=ax.get_yticks(), limits=ax.get_ylim()))
    return [{k: v.tolist() if isinstance(v, np.ndarray) else v for k, v in row.items()} for row in rows]


def cases_ledger():
    turn = np.array([1., 2, 5, 9, 10, 30])
    values = np.array([3., 1, 4, 1, 5, 9])
    slow = [dict(width=w, means=[values[np.abs(turn-t) <= w/2].mean().item() for t in turn]) for w in (1, 4, 8, 100)]
    near = [dict(at=t, index=np.abs(turn-t).argmin().item()) for t in np.linspace(0, 40, 23).tolist()]
    changed = dict(augmentor=dict(teacher_change=-.2), student=dict(clean=0., labels=3.))
    return dict(turn=turn.tolist(), values=values.tolist(), running=slow, nearest=near,
                players=drawn(made_up(), {}, 1.) + drawn(made_up(), changed, 7.))
