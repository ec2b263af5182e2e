"""PushTheDigit and DisagreementMap against torch and against brute force, in Python and in saved pages without a network."""
import base64, itertools, math, re, threading
import pytest, torch
from torch import nn
import hardkd, hardkd.shift, hardkd.spatial, hardkd.views.push_the_digit
from hardkd import Images, digits, disagreement, distill, mlp, predict, pretrained, shift_batch, soften, vit
from hardkd.data import to_bytes
from hardkd.figures.answers import plane_figure, push_figure
from hardkd.views.push_the_digit import PushTheDigit
from hardkd.spatial import GENERATORS, from_units, to_units, warp
from hardkd.views.disagreement_map import motion_plane, pixel_places, plane_axes
from helpers.asking import heard
from helpers.lab import painted, picture
from helpers.pages import Page
from helpers.view_makers import NASTY, Odd, foreign, made, shipped


def as_shown(x): return to_bytes(x).float()/255          # what a page holds of images
def says(model, x): return predict(model, x).argmax(1)

def array(message, buffers, name):
    "One of the arrays in an answer."
    i = list(message['arrays']).index(name)
    a = message['arrays'][name]
    return torch.frombuffer(bytearray(buffers[i]), dtype=getattr(torch, a['dtype'])).reshape(a['shape'])


class Reads(nn.Module):
    "Two classes, from one pixel: lit, or not. Its layers have names that programs stumble over."
    def __init__(self, row, col, shape=(1, 9, 9)):
        super().__init__()
        weight = torch.zeros(shape)
        weight[:, row, col] = 10/shape[0]
        self.add_module('class', nn.Flatten())
        self.add_module('a b', nn.Linear(weight.numel(), 2))
        self._modules['a b'].weight.data, self._modules['a b'].bias.data = torch.stack([-weight.flatten(), weight.flatten()]), torch.tensor([5., -5.])

    def forward(self, ünïcode): return self._modules['a b'](getattr(self, 'class')(ünïcode))


class Anywhere(nn.Module):
    "Lit if any pixel is."
    def __init__(self, C=1):
        super().__init__()
        self.head = nn.Linear(C, 2)
        self.head.weight.data, self.head.bias.data = torch.tensor([[-10.], [10.]]).expand(2, C)/C, torch.tensor([5., -5.])

    def forward(self, x): return self.head(x.amax((2, 3)))


def dot(H=9, W=9, C=1):
    x = torch.zeros(1, C, H, W)
    x[:, :, H//2, W//2] = 1
    return Images(x, torch.tensor([1]), ['dark "night"', '<script>window.hacked=1</script>'])


# --- PushTheDigit: the search

def shortest_break(teacher, student, image, m):
    "Length of the shortest breaking move, looking at all of them one by one, in no order."
    mind = says(teacher, image), says(student, image)
    lengths = [math.hypot(dx, dy) for dx, dy in itertools.product(range(-m, m+1), repeat=2) if dx*dx + dy*dy <= m*m
               and says(student, shift_batch(image, dx, dy)) != mind[1] and says(teacher, shift_batch(image, dx, dy)) == mind[0]]
    return min(lengths, default=math.inf)


def offered(length): return 0 if round(length) == 1 else 1 if length < 3.5 else 2 if length < 6.5 else 3


@pytest.mark.parametrize('which', ['shipped', 'foreign'])
def test_answer_of_the_question_is_the_shortest_break(which):
    teacher, students, _, _ = dict(shipped=shipped, foreign=foreign)[which]()
    view = made('PushTheDigit', which)
    image = view.data.x[view.place['image'], None]
    length = shortest_break(teacher, list(students.values())[0], image, 8)
    assert view.state['question']['right'] == offered(length)
    assert (f'{length:.1f} pixels' if length < math.inf else 'No break within 8 pixels') in view.describe()


def test_every_image_and_student_has_its_shortest_break():
    teacher, students, data, _ = shipped()
    view = PushTheDigit(teacher, students, data, max_shift=4, limit=5, in_browser=False)
    for image, (s, name) in itertools.product(range(5), enumerate(students, 1)):
        place = view.place | dict(image=image, student=s)
        length, row = shortest_break(teacher, students[name], view.data.x[image, None], 4), view._break(place)
        assert (math.hypot(*view.moves[row]) if row is not None else math.inf) == pytest.approx(length)


def test_known_breaks():
    "A student of one pixel breaks at once; a copy of the teacher never; a teacher that breaks as well does not count."
    blind, sees = Reads(4, 4), Anywhere()
    assert PushTheDigit(sees, blind, dot(), max_shift=3).state['question']['right'] == 0
    assert PushTheDigit(sees, sees, dot(), max_shift=3).state['question']['right'] == 3
    assert PushTheDigit(blind, blind, dot(), max_shift=3).state['question']['right'] == 3
    wide = Reads(4, 4)
    for row, col in itertools.product(range(9), repeat=2):
        if max(abs(row-4), abs(col-4)) <= 2: wide._modules['a b'].weight.data[:, 9*row+col] = torch.tensor([-10., 10.])
    view = PushTheDigit(sees, wide, dot(), max_shift=4)
    assert view.state['question']['right'] == 1 and view.moves[view._break(view.place)] in ((3, 0), (-3, 0), (0, 3), (0, -3))


def test_moves_go_outwards_and_none_is_left_out():
    for m in 1, 2, 5:
        moves = hardkd.shift.outward_moves(m)
        lengths = [math.hypot(*d) for d in moves]
        assert lengths == sorted(lengths) and len(set(moves)) == len(moves)
        assert set(moves) == {d for d in itertools.product(range(-m, m+1), repeat=2) if math.hypot(*d) <= m}


def test_opens_where_both_are_right():
    data = dot()
    both = Images(torch.cat([torch.zeros(1, 1, 9, 9), data.x]), torch.tensor([1, 1]), data.classes)
    assert PushTheDigit(Anywhere(), Reads(4, 4), both, max_shift=2).place['image'] == 1


# --- PushTheDigit: words, table, picture

@pytest.mark.parametrize('which', ['shipped', 'foreign'])
def test_push_table_is_what_torch_says(which):
    teacher, students, _, _ = dict(shipped=shipped, foreign=foreign)[which]()
    view = made('PushTheDigit', which)
    image, label = view.data.x[view.place['image'], None], view.data.y[view.place['image']].item()
    rows = view.to_frame()
    assert len(rows) == (len(students)+1)*len(view.moves)
    for r in rows[::13]:
        model = teacher if r['model'] == 'teacher' else students[r['model']]
        p = soften(predict(model, shift_batch(image, r['dx'], r['dy'])), 1.)[0]
        assert r['answer'] == view.data.classes[p.argmax()] and r['probability'] == pytest.approx(p.max().item(), abs=1e-5)
        assert r['right'] == (p.argmax().item() == label)
    share = sum(r['right'] for r in rows if r['model'] == 'teacher')/len(view.moves)
    assert f'teacher after {share:.0%}' in view.describe()


@pytest.mark.parametrize('turn, scale', [(0, 100), (30, 100), (-90, 120), (0, 60)])
def test_turned_and_scaled_images_are_those_of_the_warps(turn, scale):
    "A rotation and a growth around the middle commute, so the wind of both is their sum; the shift comes after."
    x = digits()[1].x[0]
    ours = hardkd.views.push_the_digit._pushed(x, [(0, 0), (3, -2)], turn, scale/100)
    amounts = dict(rotation=math.radians(turn), scale=math.log(scale/100))
    motion = sum(a*m for a, m in zip(amounts.values(), hardkd.spatial.generator_matrices(amounts, 28, 28)))
    theirs = warp(x[None], motion[None])
    assert (ours[:1] - theirs).abs().max() < 1/200
    assert (ours[1:, :, 4:20, 6:] - shift_batch(theirs, 3, -2)[:, :, 4:20, 6:]).abs().max() < 1/200


def test_pushed_image_is_not_cut_before_it_is_moved():
    image = torch.zeros(1, 9, 9)
    image[0, 4, 7] = 1.                     # at twice the size this leaves on the right, and a push brings it back
    assert hardkd.views.push_the_digit._pushed(image, [(-3, 0)], 0., 2.)[0, 0, 4].max() > .9


def test_push_figure_holds_the_numbers():
    moves = [(0, 0), (1, 0), (0, 1), (-1, 0)]
    teacher = torch.tensor([[.9, .1], [.8, .2], [.3, .7], [.6, .4]])
    student = torch.tensor([[.7, .3], [.2, .8], [.1, .9], [.4, .6]])
    student[2] = torch.tensor([.95, .05])
    images = torch.rand(2, 3, 6, 8)
    fig = push_figure(images, [0, 2], 2, moves, dict(teacher=teacher, KD=student), 0, ['<b>', 'two words'], 'How $far$?')
    sheet, field, bars = fig.axes
    for shown, image in zip(sheet.images, images): assert torch.equal(torch.tensor(shown.get_array()).float(), image.permute(1, 2, 0))
    squares = {(p.get_x()+.5, p.get_y()+.5): p.get_facecolor() for p in field.patches}
    assert set(squares) == {tuple(map(float, d)) for d in moves}
    assert squares[1, 0] == squares[-1, 0] != squares[0, 0]                # only the teacher; there both
    assert len(set(squares.values())) == 3
    assert [t.get_text() for t in field.texts if t.get_text()] == ['T', 'S', 'T']
    assert [b.get_width() for b in bars.patches] == pytest.approx([30, 70, 95, 5])
    assert '4 moves: teacher is right after 75%, KD is right after 50%' in fig.get_label()
    for wrong, message in ((dict(shown=[0]), 'images: got 2 rows, allowed are 1'), (dict(now=7), 'now: got 7'), (dict(label=5), 'label: got 5'),
                           (dict(probs=dict(teacher=teacher)), 'probs: got 1 models'), (dict(moves=moves[:3]), "probs['teacher']: got 4 rows")):
        given = dict(images=images, shown=[0, 2], now=2, moves=moves, probs=dict(teacher=teacher, KD=student), label=0, classes=['a', 'b'])
        with pytest.raises((ValueError, TypeError), match=re.escape(message)): push_figure(**given | wrong)


def test_four_kinds_have_four_colours(root):
    "Whatever the student is called, its colour is not the one of both or of neither."
    code = (root/'hardkd/views/kit/canvas.js').read_text()
    kinds = {re.search(rf"\b{kind}: '(#\w+)'", code)[1] for kind in ('both', 'neither')}
    for name in 'x', 'augmentor 2', 'augmentor', 'HARD', 'icd':
        view = PushTheDigit(Anywhere(), {name: Reads(4, 4)}, dot(), max_shift=1)
        colours = {view.state['looks'][n]['color'] for n in view.names}
        assert len(colours | kinds) == 4, name


def test_push_figure_of_a_drawing():
    view = made('PushTheDigit', 'shipped')
    ink = torch.zeros(28, 28, dtype=torch.uint8)
    ink[5:23, 13:16] = 255
    before = view.place
    view.place = before | dict(image=-1, drawn=base64.b64encode(bytes(ink.flatten().tolist())).decode(), dx=2, dy=0, turn=90)
    try:
        shown = torch.tensor(view.figure().axes[0].images[2].get_array())      # the one at (2, 0)
        rows = [r for r in view.to_frame() if r['model'] == 'teacher']
    finally: view.place = before
    lit = (shown > .5).nonzero()
    assert lit[:, 0].unique().tolist() == [13, 14, 15] and [lit[:, 1].min(), lit[:, 1].max()] == [7, 24]   # it lies down
    assert rows[0]['right'], "what the teacher says of the unmoved drawing counts as right"


def test_weights_that_are_too_many_stay_with_the_kernel():
    teacher, students, data, _ = shipped()
    view = PushTheDigit(teacher, {n: mlp() for n in 'abc'}, data, max_shift=1)
    assert [layers is None for layers in view.state['nets']] == [False, False, False, True]
    assert 'c does not run in a page: model: got' in view.state['why'][0]
    assert sum(len(a['data']) for a in view.arrays.values()) <= 5e6
    assert not any(PushTheDigit(teacher, mlp(), data, max_shift=1, in_browser=False).state['nets'])


# --- PushTheDigit: the kernel

def asked_for(x): return dict(images=base64.b64encode(bytes(to_bytes(x).flatten().tolist())).decode(), count=len(x))


def test_kernel_answers_for_a_transformer_while_another_model_trains():
    train, test = digits()
    torch.manual_seed(0)
    big = vit()
    view = PushTheDigit(big, {'other': vit()}, test, max_shift=1, limit=2)
    assert view.state['nets'] == [None, None] and len(view.state['why']) == 2
    x = as_shown(torch.rand(5, 1, 28, 28))
    want = torch.stack([predict(m, x) for m in view.models.values()])
    stop, errors, first = threading.Event(), [], next(big.parameters()).detach().clone()
    def work():
        try:
            while not stop.is_set(): distill(pretrained('shift_cnn'), big, train.subset(256), epochs=1, seed=0, progress=False)
        except Exception as e: errors.append(e)
    thread = threading.Thread(target=work)
    thread.start()
    try:
        for i in range(2000):
            learned = not torch.equal(first, next(big.parameters()))
            message, buffers = heard(view, asked_for(x))
            assert message['reply_to'] == 3 and 'error' not in message
            torch.testing.assert_close(array(message, buffers, 'logits'), want, atol=1e-5, rtol=1e-5)   # a snapshot, not the one that trains
            if learned and i >= 10: break
    finally:
        stop.set()
        thread.join()
    assert not errors and learned, 'meanwhile it did learn'
    assert not any(m.training for m in view.models.values())


def test_kernel_leaves_the_readers_model_as_it_is():
    teacher, student, data = Odd(12), Odd(), foreign()[2]
    teacher.train(), student.train()
    before = [t.clone() for m in (teacher, student) for t in m.state_dict().values()]
    view = PushTheDigit(teacher, student, data, max_shift=2, limit=3)
    heard(view, asked_for(data.x[:2]))
    view.figure(), view.to_frame()
    assert teacher.training and student.training
    assert all(torch.equal(a, b) for a, b in zip(before, (t for m in (teacher, student) for t in m.state_dict().values())))


@pytest.mark.parametrize('what, error', [
    (dict(images='AAAA', count=2), 'ValueError: images: got 3 bytes, allowed are 6144, for (2, 3, 32, 32)'),
    (dict(images='', count=0), 'ValueError: count: got 0'), (dict(images='A', count=1), 'Error: '), ({}, "KeyError: 'count'")])
def test_error_of_an_answer_is_told(what, error):
    message, _ = heard(made('PushTheDigit', 'foreign'), what)
    assert set(message) == {'reply_to', 'error'} and message['reply_to'] == 3 and error in message['error']


def push_errors():
    teacher, students, data, run = shipped()
    yield 'classes', lambda: PushTheDigit(teacher, mlp(7), data), 'teacher, student: got 10 classes and 7 classes'
    yield 'names', lambda: PushTheDigit(teacher, mlp(), Images(data.x, data.y.clamp(max=4))), 'data: got 5 classes, allowed are 10'
    yield 'shift', lambda: PushTheDigit(teacher, mlp(), data, max_shift=28), 'max_shift: got 28'
    yield 'images', lambda: PushTheDigit(teacher, mlp(), data.x), 'data: got Tensor'
    yield 'limit', lambda: PushTheDigit(teacher, mlp(), data, limit=0), 'limit: got 0'
    yield 'colours', lambda: PushTheDigit(mlp(shape=(2, 28, 28)), mlp(shape=(2, 28, 28)), Images(data.x.repeat(1, 2, 1, 1), data.y, data.classes)), 'data: got 2 channels'


@pytest.mark.parametrize('case', ['classes', 'names', 'shift', 'images', 'limit', 'colours'])
def test_push_names_what_is_wrong(case):
    call, message = {name: rest for name, *rest in push_errors()}[case]
    with pytest.raises((ValueError, TypeError), match=re.escape(message)): call()


# --- the warp in JavaScript

def in_javascript(javascript, image, back):
    "The image (C,H,W) of bytes as warped() makes it; back: six numbers, or arguments of lookBack."
    line = 'warped(from, shape, Array.isArray(back) ? back : lookBack(shape, back), new Uint8Array(from.length))'
    made = javascript('warp.js', line, **{'from': image.flatten().numpy()}, shape=list(image.shape), back=back)
    return torch.tensor(made, dtype=torch.uint8).view(image.shape)


@pytest.mark.parametrize('shape', [(1, 28, 28), (3, 32, 32), (3, 7, 12), (1, 5, 4)])
def test_whole_pixels_in_javascript_are_those_of_shift_batch(javascript, shape):
    x = torch.randint(0, 256, shape, dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    for dx, dy in (0, 0), (1, 0), (0, 1), (-3, 2), (4, -4), (99, 0):
        assert torch.equal(in_javascript(javascript, x, dict(dx=dx, dy=dy)), shift_batch(x, dx, dy))


@pytest.mark.parametrize('shape', [(1, 28, 28), (3, 16, 24)])
def test_turns_and_scales_in_javascript_are_those_of_python(javascript, shape):
    x = torch.randint(0, 256, shape, dtype=torch.uint8, generator=torch.Generator().manual_seed(1))
    for dx, dy, turn, scale in (0, 0, 25, 1), (3, -1, -60, 1.3), (-2, 5, 180, .5):
        ours = in_javascript(javascript, x, dict(dx=dx, dy=dy, turn=turn, scale=scale))
        theirs = to_bytes(hardkd.views.push_the_digit._pushed(x/255, [(dx, dy)], turn, scale)[0])
        assert (ours.int() - theirs.int()).abs().max() <= 1


@pytest.mark.parametrize('shape', [(1, 28, 28), (3, 16, 24)])
@pytest.mark.parametrize('plane', [('tx', 'ty'), ('rotation', 'scale'), ('stretch', 'shear')])
def test_planes_in_javascript_are_those_of_warp(javascript, shape, plane):
    x = torch.randint(0, 256, shape, dtype=torch.uint8, generator=torch.Generator().manual_seed(2))
    motions = motion_plane(plane, (.3, .4), 5, shape[1:])
    for r, c in (0, 0), (2, 2), (4, 1), (1, 4):
        ours = in_javascript(javascript, x, pixel_places(motions[r, c], shape[1:]).tolist())
        theirs = to_bytes(warp(x[None]/255, motions[r, c][None])[0])
        assert (ours.int() - theirs.int()).abs().max() <= 1


# --- PushTheDigit in a saved page

@pytest.fixture(scope='module')
def page_of(chromium, tmp_path_factory):
    "page_of(view, **options): an open page of it."
    folder, opened = tmp_path_factory.mktemp('push'), []
    def open_page(view, **options):
        opened.append(Page(chromium, view.save_html(folder/f'{len(opened)}.html'), **options))
        return opened[-1]
    yield open_page
    for p in opened: p.context.close()


def here(p):
    "Where the caption says that the image is."
    found = re.search(r'moved by \((-?\d+), (-?\d+)\)', p.caption())
    return tuple(map(int, found.groups())) if found else (0, 0)


def opinions(view, p):
    "What the caption says of teacher and student: {name: (class, per cent)}."
    found = {n: re.search(rf'{re.escape(n)} says (.*?) \((\d+) %\)', p.caption()) for n in view.names}
    return {n: (m[1], int(m[2])) for n, m in found.items() if m}


def shown_in(p, index, H, W):
    "The image in a canvas, one reading in the middle of each of its pixels (H,W,3), for images of the canvas's full width."
    return torch.tensor(p.view.locator('canvas').nth(index).evaluate('''(c, [H, W]) => {
        const ctx = c.getContext('2d'), side = (c.dataset.side ? Number(c.dataset.side) : c.width) - 2, u = side / Math.max(H, W), out = [];
        for (let y = 0; y < H; y += 1) for (let x = 0; x < W; x += 1) out.push(...ctx.getImageData(1 + (x + 0.5) * u, 1 + (y + 0.5) * u, 1, 1).data.slice(0, 3));
        return out }''', [H, W])).view(H, W, 3)


def hand(p): return p.view.get_by_role('application', name='arrows push')


@pytest.mark.parametrize('which', ['shipped', 'foreign'])
def test_page_says_what_torch_says(page_of, which):
    view = made('PushTheDigit', which)
    at = {(r['model'], r['dx'], r['dy']): r for r in view.to_frame()}
    p = page_of(view)
    p.skip()
    hand(p).focus()
    for key in 'ArrowRight', 'ArrowRight', 'Shift+ArrowDown', 'ArrowUp', 'Shift+ArrowLeft', 'Home', 'ArrowUp':
        p.page.keyboard.press(key)
        for name, (word, sure) in opinions(view, p).items():
            row = at[name, *here(p)]
            assert word == row['answer'] and sure == pytest.approx(100*row['probability'], abs=.51)
        image = shift_batch(view.data.x[view.place['image']], *here(p)).expand(3, -1, -1).permute(1, 2, 0)
        assert (shown_in(p, 0, *image.shape[:2]) - 255*image).abs().max() <= 1
    assert here(p) == (0, -1) and len(opinions(view, p)) == 2
    assert 'Runs in this page: teacher' in p.view.inner_text() and p.errors == []


def test_page_answers_for_turned_and_scaled_images_too(page_of):
    teacher, students, _, _ = shipped()
    view = made('PushTheDigit', 'shipped')
    p = page_of(view)
    p.skip()
    hand(p).focus()
    for key in ']', ']', ']', ']', '-', '-', 'ArrowLeft', 'ArrowDown': p.page.keyboard.press(key)
    assert 'moved by (-1, 1), 1.4 pixels, turned by 20°, scaled to 90 %' in p.caption()
    x = hardkd.views.push_the_digit._pushed(view.data.x[view.place['image']], [(-1, 1)], 20, .9)
    for name, (word, sure) in opinions(view, p).items():
        best = soften(predict(view.models[name], x), 1.)[0]
        assert word == view.data.classes[best.argmax()] and sure == pytest.approx(100*best.max().item(), abs=2)
    p.page.keyboard.press('['), p.page.keyboard.press('+')
    assert 'turned by 15°, scaled to 95 %' in p.caption()


def test_dragging_moves_the_image_by_whole_pixels(page_of):
    view = made('PushTheDigit', 'shipped')
    p = page_of(view)
    box = hand(p).bounding_box()
    x, y, unit = box['x'] + box['width']/2, box['y'] + box['height']/2, (min(box['width'], 250) - 2)/28
    p.page.mouse.move(x, y), p.page.mouse.down(), p.page.mouse.move(x + 3*unit, y), p.page.mouse.up()
    assert here(p) == (0, 0), 'not before the question'
    p.skip()
    seen, start = {}, picture(p.view)
    box = hand(p).bounding_box()
    x, y = box['x'] + box['width']/2, box['y'] + box['height']/2
    p.page.mouse.move(x, y), p.page.mouse.down()
    for i in range(1, 5):
        p.page.mouse.move(x + i*unit, y - 2*i*unit)
        seen[here(p)] = picture(p.view)
    p.page.mouse.up()
    assert list(seen) == [(i, -2*i) for i in range(1, 5)] and len(set(map(str, seen.values()))) == 4 and start not in seen.values()
    p.page.mouse.move(x, y), p.page.mouse.down(), p.page.mouse.move(x + 30*unit, y), p.page.mouse.up()
    assert here(p) == (8, -8), 'no further than the edge'


def test_map_of_moves_can_be_pointed_at(page_of):
    view = made('PushTheDigit', 'shipped')
    p = page_of(view)
    p.skip()
    plane = p.view.get_by_role('application', name='shifts tried')
    box = plane.bounding_box()
    cell = min(box['width'] - 48, 250)/17
    p.page.mouse.click(box['x'] + 40 + (8 + 3 + .5)*cell, box['y'] + 2 + (8 - 5 + .5)*cell)
    assert here(p) == (3, -5)
    plane.focus()
    p.page.keyboard.press('ArrowDown')
    assert here(p) == (3, -4)


@pytest.mark.parametrize('which', ['shipped', 'foreign'])
def test_break_is_found_by_keyboard_alone(page_of, which):
    view = made('PushTheDigit', which)
    p = page_of(view, calm=True)
    for key in 'Tab', 'Space', 'Tab', 'Enter', 'Tab', 'Enter': p.page.keyboard.press(key)       # choose, commit, find the break
    p.page.wait_for_function('() => document.querySelector(".hk-caption").textContent.includes("break")')
    row = view._break(view.place)
    if row is None: assert 'No break within 8 pixels: on 196 moves' in p.caption()
    else:
        dx, dy = view.moves[row]
        assert here(p) == (dx, dy) and f'The smallest break: ({dx}, {dy}), {math.hypot(dx, dy):.1f} pixels' in p.caption()
    assert p.errors == []


def test_no_break_is_said_so(page_of):
    p = page_of(PushTheDigit(Anywhere(), Anywhere(), dot(), max_shift=3), calm=True)
    p.skip()
    p.view.get_by_role('button', name='find the break').click()
    p.page.wait_for_function('() => document.querySelector(".hk-caption").textContent.includes("No break")')
    assert 'No break within 3 pixels: on 28 moves' in p.caption() and p.errors == []


def test_drawing_by_pointer_and_by_keys(page_of):
    view = made('PushTheDigit', 'shipped')
    p = page_of(view)
    p.skip()
    p.view.get_by_role('button', name='draw your own').click()
    assert p.caption() == 'The sheet is empty: draw on it.'
    sheet = p.view.get_by_role('application', name='a sheet to draw on')
    sheet.focus()
    for _ in range(6): p.page.keyboard.press('Space'), p.page.keyboard.press('ArrowDown')
    first = p.caption()
    assert first.startswith('Your drawing, unmoved: teacher says') and 'counts as right' in first
    assert 'Your drawing' in hand(p).get_attribute('aria-label') or 'your drawing' in hand(p).get_attribute('aria-label')
    before, box = picture(p.view), sheet.bounding_box()
    p.page.mouse.move(box['x'] + 60, box['y'] + 40), p.page.mouse.down()
    for i in range(8): p.page.mouse.move(box['x'] + 60 + 8*i, box['y'] + 40)
    p.page.mouse.up()
    assert picture(p.view) != before
    with p.page.expect_download() as download: p.view.get_by_role('button', name='Save HTML').click()
    said = p.caption()
    again = Page(p.context.browser, download.value.path().rename(download.value.path().with_suffix('.html')))
    assert again.caption() == said and again.errors == []
    again.context.close()
    p.view.get_by_role('button', name='clear the sheet').click()
    assert p.caption() == 'The sheet is empty: draw on it.'
    p.view.get_by_role('button', name='draw your own').click()
    assert p.caption().startswith('Image of') and p.errors == []


def test_other_images_and_other_students(page_of):
    view = made('PushTheDigit', 'shipped')
    p = page_of(view)
    p.skip()
    hand(p).focus()
    p.page.keyboard.press('Shift+ArrowRight')
    p.view.get_by_label('student').select_option('1')
    assert 'HARD says' in p.caption() and here(p) == (3, 0)
    p.view.get_by_role('button', name='next image').click()
    label = view.data.classes[view.data.y[(view.place['image'] + 1) % len(view.data)]]
    assert p.caption().startswith(f'Image of {label}, unmoved')


def test_network_that_says_something_else_in_the_page_is_not_believed(page_of):
    teacher, students, data, _ = shipped()
    view = PushTheDigit(teacher, students['KD'], data, max_shift=3)
    arrays = dict(view.arrays)
    logits = torch.frombuffer(bytearray(arrays['known']['data']), dtype=torch.float32).clone()
    logits[len(logits)//2] += .01                                    # the student's first
    view.arrays = arrays | dict(known=arrays['known'] | dict(data=logits.numpy().tobytes()))
    p = page_of(view)
    text = p.view.inner_text()
    assert "Needs the notebook's kernel: student" in text and 'Did not say here what it says in torch: student' in text
    assert 'Runs in this page: teacher' in text
    p.skip()
    hand(p).focus()
    p.page.keyboard.press('ArrowRight')
    p.view.locator('.hk-error', has_text='open the notebook').wait_for()
    assert p.errors == []


def test_page_of_a_network_that_needs_the_kernel_says_so_and_stays_alive(page_of):
    teacher, students, data, _ = shipped()
    p = page_of(PushTheDigit(teacher, students['KD'], data, in_browser=False))
    assert "Needs the notebook's kernel: teacher, student" in p.view.inner_text() and p.errors == []
    p.skip()
    assert 'teacher says' in p.caption(), 'the unmoved images are known'
    before = picture(p.view)
    hand(p).focus()
    p.page.keyboard.press('ArrowRight')
    p.view.locator('.hk-error', has_text='This page has no kernel').wait_for()
    assert 'asking the kernel for teacher and student' in p.caption() and picture(p.view) != before
    p.view.get_by_role('button', name='find the break').click()
    p.page.wait_for_timeout(300)
    p.view.get_by_role('button', name='next image').click()
    assert 'teacher says' in p.caption() and p.errors == []


def test_stranger_with_odd_names_in_a_page(page_of):
    view = PushTheDigit(Anywhere(3), {'<img src=x onerror="window.hacked=1">': Reads(4, 6, (3, 9, 13))}, dot(9, 13, 3), max_shift=4)
    assert view.state['why'] == []
    p = page_of(view, calm=True)
    p.skip()
    p.view.get_by_role('button', name='find the break').click()
    p.page.wait_for_function('() => document.querySelector(".hk-caption").textContent.includes("smallest break")')
    assert 'says dark "night"' in p.caption() and 'teacher says <script>window.hacked=1</script>' in p.caption()
    assert p.page.evaluate('window.hacked') is None and p.view.locator('img, script').count() == 0 and p.errors == []
    assert min(painted(p.view)) > 3


# --- the plane and its map

def test_natural_units_go_there_and_back():
    for g in GENERATORS:
        for amount in -.3, 0., .7: assert from_units(g, to_units(g, amount, (20, 40))[0], (20, 40)) == pytest.approx(amount)
    assert to_units('tx', .25, (20, 40)) == (10, 'px') and to_units('ty', .25, (20, 40)) == (5, 'px')
    assert to_units('rotation', math.pi/2) == (pytest.approx(90), '°') and to_units('scale', math.log(1.5)) == (pytest.approx(50), '%')
    with pytest.raises(ValueError, match='above|> -100'): from_units('scale', -100)
    with pytest.raises(ValueError, match="did you mean 'rotation'"): to_units('rotate', 1.)


def test_plane_of_shifts_is_shift_batch():
    x = digits()[1].x[:1]
    motions, axes = motion_plane(('tx', 'ty'), (3/28, 2/28), 7), plane_axes(('tx', 'ty'), (3/28, 2/28), 7)
    for r, c in (0, 6), (3, 3), (6, 0):
        want = shift_batch(x, round(axes[0]['at'][c]), 0)
        moved = warp(x, motions[r, c][None])
        if r == 3: torch.testing.assert_close(moved, want, atol=1e-4, rtol=0)
        assert [axes[0]['at'][c], axes[1]['at'][r]] == pytest.approx([c-3, (r-3)*2/3])
    torch.testing.assert_close(warp(x, motions[6, 6][None]), shift_batch(x, 3, 2), atol=1e-4, rtol=0)


@pytest.mark.parametrize('given, message', [
    (dict(plane=('tx',)), "plane: got ('tx',)"), (dict(plane=('tx', 'tx')), 'two different generators'), (dict(cells=4), 'cells: got 4, allowed are odd'),
    (dict(reach=(1., 0.)), 'reach of ty: got 0.0'), (dict(reach=(1.,)), 'reach: got (1.0,), allowed are two numbers'), (dict(plane=('tx', 'roll')), "got 'roll'")])
def test_plane_names_what_is_wrong(given, message):
    with pytest.raises(ValueError, match=re.escape(message)): motion_plane(**dict(plane=('tx', 'ty'), reach=(.1, .1)) | given)


def test_plane_figure_holds_the_map():
    values, sure = torch.rand(5, 5), torch.rand(5, 5) > .4
    image = torch.rand(3, 6, 8)
    probs = dict(teacher=torch.tensor([.2, .8]), KD=torch.tensor([.6, .4]))
    fig = plane_figure(values, plane_axes(('tx', 'scale'), (.25, .4), 5), (1, 3), image, 'KL, nats', ~sure, probs, ['$a', 'two words'], (.5, .25), 'Where?')
    field = next(ax for ax in fig.axes if ax.get_xlabel() == 'tx, px')
    assert torch.equal(torch.tensor(field.images[0].get_array()).float(), values) and field.images[0].get_clim() == (0, values.max())
    hatched = {(round(p.get_y()+.5), round(p.get_x()+.5)) for p in field.patches if p.get_hatch()}
    assert hatched == set(map(tuple, (~sure).nonzero().tolist()))
    cloud, = [p for p in field.patches if not p.get_hatch()]
    assert cloud.get_bbox().extents.tolist() == pytest.approx([1, 1.5, 3, 2.5])
    assert [t.get_text() for t in field.get_xticklabels()] == ['-7', '0', '7'] and [t.get_text() for t in field.get_yticklabels()] == ['-33', '0', '49.2']
    assert field.lines[0].get_xydata().tolist() == [[3, 1]]
    assert torch.equal(torch.tensor(fig.axes[0].images[0].get_array()).float(), image.permute(1, 2, 0))
    assert f'KL, nats: {values[1,3]:.3g} in the circle, teacher says two words, KD says $a' in fig.get_label()


# --- DisagreementMap

def test_disagreement_is_what_torch_says():
    teacher, students, _, _ = shipped()
    view = made('DisagreementMap', 'shipped')
    rows = view.to_frame()
    G, n = len(view.motions), len(view.x)
    assert len(rows) == len(students)*n*G*G
    for r in rows[::997]:
        image = view.x[r['image'], None]
        motion = sum(from_units(g, r[g])*m for g, m in zip(('tx', 'ty'), hardkd.spatial.generator_matrices(('tx', 'ty'), 28, 28)))
        hard_x = as_shown(warp(image, motion[None]))
        t, s, still = predict(teacher, hard_x), predict(students[r['student']], hard_x), predict(teacher, image)
        assert r['disagreement'] == pytest.approx(disagreement(s, t).item(), rel=5e-3, abs=1e-3)     # some bytes round the other way
        assert r['hardness'] == pytest.approx(hardkd.hardness(s, t, still).item(), abs=5e-3*(r['disagreement'] + r['teacher_change'] + 1))
        p = soften(t, 1.)[0, still.argmax()].item()
        if abs(p - .5) > 1e-3: assert r['sure'] == (p >= .5)


@pytest.mark.parametrize('which', ['shipped', 'foreign'])
def test_most_is_the_most(which):
    "By brute force, from the table: the largest mean over the images among the cells where at least half are sure."
    view = made('DisagreementMap', which)
    (a, b), cells = view.plane, {}
    for r in view.to_frame():
        if r['student'] == view.names[1]: cells.setdefault((r[a], r[b]), []).append((r['disagreement'], r['sure']))
    means = {k: sum(d for d, _ in v)/len(v) for k, v in cells.items() if 2*sum(s for _, s in v) >= len(v)}
    because = view.state['question']['because']
    assert f': {max(means.values()):.3g} nats' in because if means else 'the teacher is sure nowhere' in because
    assert view.state['question']['because'] in view.describe()


def test_map_of_another_plane():
    teacher, students, data, run = shipped()
    view = hardkd.DisagreementMap(teacher, students['KD'], data, run, plane=('rotation', 'scale'), reach=(90, 100), cells=3, limit=2)
    assert [a['at'] for a in view.axes] == [pytest.approx([-90, 0, 90]), pytest.approx([-50, 0, 100])]
    turned = as_shown(warp(view.x[:1], view.motions[1, 2][None]))
    assert (turned - view.x[:1].rot90(-1, (2, 3))).abs().max() < 1/100                                # a quarter, clockwise
    rows = [r for r in view.to_frame() if r['image'] == 0 and r['rotation'] > 80 and r['scale'] == 0]
    assert rows[0]['disagreement'] == pytest.approx(disagreement(predict(students['KD'], turned), predict(teacher, turned)).item(), rel=1e-3)
    widths = run.trace['widths'][-1]
    assert view.cloud[-1].tolist() == pytest.approx([widths[2].item()/(math.pi/2), widths[3].item()/math.log(2)])


def test_disagreement_figure_is_that_of_the_place():
    view, before = made('DisagreementMap', 'shipped'), made('DisagreementMap', 'shipped').place
    try:
        view.place = before | dict(image=3, mean=False, student=2, row=4, col=9, frame=0)
        field = next(ax for ax in view.figure().axes if ax.get_xlabel() == 'tx, px')
        torch.testing.assert_close(torch.tensor(field.images[0].get_array()).float(), view.fields['disagreement'][1, 3])
        assert field.lines[0].get_xydata().tolist() == [[9, 4]]
        view.place = before | dict(image=len(view.x), mean=False, index=7)
        field = next(ax for ax in view.figure().axes if ax.get_xlabel() == 'tx, px')
        torch.testing.assert_close(torch.tensor(field.images[0].get_array()).float(), view._fields(as_shown(view.data.x[7]))['disagreement'][0])
    finally: view.place = before


def test_kernel_answers_for_any_image():
    view = made('DisagreementMap', 'foreign')
    message, buffers = heard(view, dict(index=11))
    own = view._fields(as_shown(view.data.x[11]))
    assert message['answer'] == dict(label=view.data.y[11].item(), index=11)
    torch.testing.assert_close(array(message, buffers, 'disagreement'), own['disagreement'])
    assert torch.equal(array(message, buffers, 'sure') > 0, own['sure'])
    assert torch.equal(array(message, buffers, 'image'), to_bytes(view.data.x[11]))
    for index in -1, len(view.data), 'x':
        message, _ = heard(view, dict(index=index))
        assert set(message) == {'reply_to', 'error'} and 'image: got' in message['error']


def plane_errors():
    import copy
    teacher, students, data, run = shipped()
    plain, blind, other = copy.copy(run), copy.copy(run), copy.copy(run)
    plain.trace, blind.trace = None, {k: v for k, v in run.trace.items() if k != 'widths'}
    other.augmentor = hardkd.SpatialAugmentor(generators=['rotation'])
    other.trace = run.trace | dict(widths=run.trace['widths'][:, 2:3])
    new = lambda **options: (lambda: hardkd.DisagreementMap(teacher, students, data, **options))
    yield 'generator', new(plane=('tx', 'rotaton')), "plane: got 'rotaton'"
    yield 'plane', new(plane=('tx', 'tx')), 'two different generators'
    yield 'no frames', new(run=plain), 'run: got a trace without frames'
    yield 'no widths', new(run=blind), 'run: got a trace without widths'
    yield 'no run', new(run=teacher), 'run: got Sequential'
    yield 'others', new(run=other), 'run: got an augmentor of rotation, allowed are one with tx or ty'
    yield 'cells', new(cells=8), 'cells: got 8'
    yield 'temperature', new(temperature=0), 'temperature: got 0'
    yield 'weight', new(invariance_weight=-1), 'invariance_weight: got -1'
    yield 'classes', lambda: hardkd.DisagreementMap(teacher, mlp(7), data), '10 classes and 7 classes'
    yield 'images', lambda: hardkd.DisagreementMap(teacher, students, data.x), 'data: got Tensor'


@pytest.mark.parametrize('case', ['generator', 'plane', 'no frames', 'no widths', 'no run', 'others', 'cells', 'temperature', 'weight', 'classes', 'images'])
def test_plane_view_names_what_is_wrong(case):
    call, message = {name: rest for name, *rest in plane_errors()}[case]
    with pytest.raises((ValueError, TypeError), match=re.escape(message)): call()


# --- DisagreementMap in a saved page

def plane(p): return p.view.locator('[aria-roledescription^=map]')


def test_mark_is_placed_committed_and_judged_by_keyboard_alone(page_of):
    view = made('DisagreementMap', 'shipped')
    p = page_of(view)
    commit, middle = p.view.get_by_role('button', name='Commit'), len(view.motions)//2
    assert commit.is_disabled() and 'KD says' not in p.caption() and 'nats' not in p.caption()
    p.page.keyboard.press('Tab')                                   # Skip; Commit waits for a mark
    for _ in range(40):
        if p.page.evaluate("document.activeElement.getAttribute('aria-roledescription')?.startsWith('map')"): break
        p.page.keyboard.press('Tab')
    assert 'not shown yet' in plane(p).get_attribute('aria-label')
    for key in 'ArrowRight', 'ArrowRight', 'ArrowUp': p.page.keyboard.press(key)
    assert not commit.is_disabled()
    for _ in range(40):
        p.page.keyboard.press('Shift+Tab')
        if p.page.evaluate('document.activeElement.textContent') == 'Commit': break
    p.page.keyboard.press('Enter')
    apart, sure = view.fields['disagreement'][0].mean(0), view.fields['sure'].float().mean(0) >= .5
    value, most = apart[middle-1, middle+2].item(), torch.where(sure, apart, -1.).max().item()
    said = p.view.locator('.hk-predict').inner_text()
    assert 'Your mark at tx +3 px, ty −1.5 px:' in said and view.state['question']['because'] in said
    assert f'{100*value/most:.0f} % of the most there is' in said if sure[middle-1, middle+2] else 'not sure' in said
    assert f'here {most:.3g}'.rstrip('0').rstrip('.') in p.caption() and 'KD says' in p.caption() and p.errors == []
    with p.page.expect_download() as download: p.view.get_by_role('button', name='Save HTML').click()
    again = Page(p.context.browser, download.value.path().rename(download.value.path().with_suffix('.html')))
    assert again.view.locator('.hk-predict').inner_text() == said and again.caption() == p.caption()
    again.context.close()


def test_cell_shows_its_image_and_terms(page_of):
    view = made('DisagreementMap', 'shipped')
    p = page_of(view)
    p.skip()
    p.view.get_by_label('map').select_option('1')
    box = plane(p).bounding_box()
    G = len(view.motions)
    cell = min(box['width'] - 98, 340)/G
    seen = set()
    for r, c in (7, 7), (3, 11), (13, 2):
        p.page.mouse.click(box['x'] + 40 + (c+.5)*cell, box['y'] + 4 + (r+.5)*cell)
        row = next(x for x in view.to_frame() if x['student'] == 'KD' and x['image'] == 0
                   and (x['tx'], x['ty']) == (view.axes[0]['at'][c], view.axes[1]['at'][r]))
        words = p.view.locator('canvas').nth(1).get_attribute('aria-label')
        for key, name in (('disagreement', 'disagreement'), ('teacher_change', 'teacher’s change of mind'), ('hardness', 'hardness')):
            assert float(re.search(rf'{name} (-?[\d.e-]+)', words)[1]) == pytest.approx(row[key], rel=6e-3, abs=1e-4)
        assert f"the teacher is {'sure' if row['sure'] else 'not sure'}" in plane(p).get_attribute('aria-label')
        p.view.locator('canvas').nth(1).evaluate("c => { c.dataset.side = Math.min(c.clientWidth, 190) }")
        image = as_shown(warp(view.x[:1], view.motions[r, c][None]))[0, 0]
        assert (shown_in(p, 1, 28, 28)[..., 0] - 255*image).abs().max() <= 1
        seen.add(str(picture(p.view)))
    assert len(seen) == 3 and p.errors == []


def test_cloud_walks(page_of):
    view = made('DisagreementMap', 'shipped')
    p = page_of(view)
    p.skip()
    slider = p.view.locator('input[type=range]')
    slider.focus()
    seen = []
    for key, frame in ('Home', 0), ('ArrowRight', 1), ('End', len(view.cloud)-1):
        p.page.keyboard.press(key)
        width = view.cloud[frame][0].item()*view.axes[0]['at'][-1]
        assert float(re.search(r'tx ±([\d.]+) px', p.caption())[1]) == pytest.approx(width, rel=6e-3)
        seen.append(picture(p.view)[0])
    assert seen[0] != seen[2] and p.errors == []
    alone = page_of(hardkd.DisagreementMap(*shipped()[:3], cells=3, limit=2))
    assert alone.view.locator('input[type=range]').count() == 0 and 'augmentor goes' not in alone.view.inner_text() and alone.errors == []


def test_asking_without_a_kernel_is_said(page_of):
    p = page_of(made('DisagreementMap', 'foreign'))
    p.skip()
    p.view.get_by_role('button', name='ask the kernel').click()
    p.view.locator('.hk-error', has_text='This page has no kernel').wait_for()
    p.view.get_by_role('button', name='next image').click()
    assert any(label in p.caption() for label in NASTY) and p.errors == [] and p.page.evaluate('window.hacked') is None


def test_answer_of_the_kernel_is_shown(page_of, chromium, tmp_path):
    "The module with a stand-in for the notebook that answers as Python would."
    view = made('DisagreementMap', 'shipped')
    message, buffers = heard(view, dict(index=9))
    path = view.save_html(tmp_path/'live.html')
    coded = [base64.b64encode(b).decode() for b in buffers]
    refusal = 'f({ reply_to: ask, error })'
    page = path.read_text().replace(refusal, f'window.reply ? f({{ ...window.reply, reply_to: ask }}, window.sent) : {refusal}')
    assert page != path.read_text()
    path.write_text(page)
    with Page(chromium, path) as p:
        p.skip()
        p.page.evaluate('''([message, coded]) => { window.reply = message;
            window.sent = coded.map((t) => new DataView(Uint8Array.from(atob(t), (c) => c.charCodeAt(0)).buffer)) }''', [message, coded])
        p.view.get_by_label('image 0 to').fill('9')
        p.view.get_by_role('button', name='ask the kernel').click()
        p.page.wait_for_timeout(200)
        own = view._fields(as_shown(view.data.x[9]))
        most = torch.where(own['sure'], own['disagreement'][0], -1.).max().item()
        assert f'image of {view.data.classes[view.data.y[9]]}' in p.caption() and 'image 9, in this cell' in p.view.inner_text()
        assert float(re.search(r'sure: ([\d.]+) nats', p.caption())[1]) == pytest.approx(most, rel=6e-3)
        assert p.errors == [] and not p.view.locator('.hk-error').is_visible()
