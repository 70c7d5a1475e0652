"""Reports of a training are drawn without pyplot."""

import subprocess
import sys

import pytest
from matplotlib.image import imread

from sentispark.errors import InputError
from sentispark.evaluate.metrics import measures, tally
from sentispark.evaluate.plots import balance_report, training_report

CONFUSION = [[25_431, 5_969], [4_210, 64_390]]
PANEL_DOTS = 660


def epoch(number, *, validation=None):
    return {
        "epoch": number,
        "train_loss": 0.5 / number,
        "validation": validation,
        "seconds": 2.0,
        "rows_per_second": 5_000.0,
        "batch_sizes": [64, 64],
    }


VALIDATION = measures(tally([2.0, -1.0, 3.0, -2.0], [1, 0, 0, 1]))
WITHOUT_ROWS = measures(tally([], []))


@pytest.mark.parametrize(
    ("history", "confusion", "panels"),
    [
        ([epoch(1, validation=VALIDATION), epoch(2, validation=VALIDATION)], CONFUSION, 3),
        ([epoch(1, validation=VALIDATION)], CONFUSION, 3),
        ([epoch(1), epoch(2, validation=VALIDATION), epoch(3)], CONFUSION, 3),
        ([epoch(1, validation={"log_loss": 0.4, "accuracy": 0.8})], CONFUSION, 3),
        ([epoch(1, validation=WITHOUT_ROWS)], [[0, 0], [0, 0]], 3),
        ([epoch(1), epoch(2)], CONFUSION, 2),
        ([epoch(1), epoch(2)], None, 1),
        ([epoch(1)], None, 1),
    ],
    ids=[
        "all",
        "one epoch",
        "some epochs validated",
        "no majority",
        "validation without rows",
        "no validation",
        "loss alone",
        "one epoch, loss alone",
    ],
)
def test_the_report_is_a_png_with_a_panel_for_each_available_result(tmp_path, history, confusion, panels):
    path = tmp_path / "training.png"
    training_report(history, confusion, path)
    image = imread(path, format="png")
    assert image.shape[1] == panels * PANEL_DOTS
    assert image.min() < image.max()


def test_drawing_does_not_import_pyplot():
    script = "import sys, sentispark.evaluate.plots; sys.exit('matplotlib.pyplot' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0


def test_batch_sizes_and_step_times_are_drawn_by_rank(tmp_path):
    decision = {"step": 10, "rows": [64.0, 64.0], "seconds": [0.1, 0.3]}
    later = {"step": 20, "rows": [96.0, 32.0], "seconds": [0.15, 0.15]}
    balance_report([{"balance": [decision]}, {"balance": [later]}], tmp_path / "balance.png")
    height, width, _ = imread(tmp_path / "balance.png").shape
    assert width == pytest.approx(2 * PANEL_DOTS, rel=0.1)
    assert height < PANEL_DOTS


def test_a_history_without_decisions_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"'history' must hold a decision on batch sizes\."):
        balance_report([{"balance": []}], tmp_path / "balance.png")
    assert not list(tmp_path.iterdir())


def test_a_history_without_epochs_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"'history' must hold at least one epoch\."):
        training_report([], CONFUSION, tmp_path / "training.png")
    assert not list(tmp_path.iterdir())
