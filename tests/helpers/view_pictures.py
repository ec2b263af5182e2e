"""The README's pictures of the views: `python tests/helpers/view_pictures.py [NAME ...]` writes nbs/images/views/NAME.png, two minutes on two cores.

The models are those of the README's first example; each view is opened as a saved page in Chromium, its question skipped."""
import io, sys, tempfile
from pathlib import Path
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from helpers.lab import open_chromium
import hardkd
from PIL import Image

OUT = Path(__file__).resolve().parents[2]/'nbs'/'images'/'views'
WIDTH, TALL, COLOURS = 760, 620, 96   # CSS pixels across; at most so many down; colours of the palette


def views():
    "name → view, on the shipped teacher and two students of five epochs."
    train, test = hardkd.digits()
    teacher, few = hardkd.pretrained('shift_cnn'), test.subset(300)
    options = dict(epochs=5, seed=0, progress=False)
    kd = hardkd.distill(teacher, hardkd.mlp(), train, **options)
    run = hardkd.distill(teacher, hardkd.mlp(), train, augmentor=hardkd.SpatialAugmentor(), trace=True, **options)
    students = {'KD': kd.student, 'HARD': run.student}
    return dict(
        ShiftMap=lambda: hardkd.ShiftMap(teacher, students, few), PushTheDigit=lambda: hardkd.PushTheDigit(teacher, students, few),
        HardScrub=lambda: hardkd.HardScrub(run), DisagreementMap=lambda: hardkd.DisagreementMap(teacher, students, few, run=run),
        VaeScrub=lambda: hardkd.VaeScrub(teacher, students, hardkd.pretrained('vae'), few),
        TemperatureDial=lambda: hardkd.TemperatureDial(teacher, students, few), AugmentorCloud=lambda: hardkd.AugmentorCloud(run),
        LossLedger=lambda: hardkd.LossLedger(run), IcdMatrix=lambda: hardkd.IcdMatrix(teacher, students, few),
        EmbeddingDuel=lambda: hardkd.EmbeddingDuel(teacher, students, few),
        TeacherXray=lambda: hardkd.TeacherXray({name: hardkd.pretrained(name) for name in ('shift_cnn', 'rotation_cnn')}, test))


def photograph(browser, view, path):
    "The view as a reader sees it, in few colours."
    context = browser.new_context(viewport=dict(width=WIDTH, height=900), offline=True, reduced_motion='reduce')
    with tempfile.TemporaryDirectory() as folder:
        page = context.new_page()
        page.goto(view.save_html(Path(folder)/'view.html').as_uri())
        shown = page.locator('.hardkd').first
        shown.get_by_role('button', name='Skip').click()
        page.wait_for_timeout(400)
        picture = Image.open(io.BytesIO(shown.screenshot())).convert('RGB')
    context.close()
    picture = picture.crop((0, 0, picture.width, min(picture.height, TALL)))
    picture.quantize(COLOURS).save(path, optimize=True)


if __name__ == '__main__':
    OUT.mkdir(parents=True, exist_ok=True)
    made = views()
    with open_chromium() as browser:
        for name in sys.argv[1:] or made:
            photograph(browser, made[name](), OUT/f'{name}.png')
            print(f'{name}: {(OUT/name).with_suffix(".png").stat().st_size/1e3:.0f} kB')
