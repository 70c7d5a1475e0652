"""The notebooks run from their first cell to their last, and say on the way what they say they show."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[2] / "notebooks"

pytestmark = [pytest.mark.endtoend, pytest.mark.timeout(1200)]


def executed(name, folder, monkeypatch):
    """The notebook after a run in a kernel of its own."""
    nbclient, nbformat = pytest.importorskip("nbclient"), pytest.importorskip("nbformat")
    for variable in [variable for variable in os.environ if variable.startswith(("SPARK_", "PYSPARK_"))]:
        monkeypatch.delenv(variable)
    monkeypatch.setenv("PYSPARK_PYTHON", sys.executable)
    monkeypatch.setenv("JUPYTER_PATH", f"{sys.prefix}/share/jupyter")
    notebook = nbformat.read(FOLDER / f"{name}.ipynb", as_version=4)
    nbclient.NotebookClient(notebook, timeout=600, resources={"metadata": {"path": str(folder)}}).execute()
    return notebook


def shown(notebook):
    """All that its cells print and show, and how many pictures there are."""
    outputs = [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]
    assert not [output for output in outputs if output.output_type == "error" or output.get("name") == "stderr"]
    data = [output.data for output in outputs if "data" in output]
    texts = [output.text for output in outputs if "text" in output]
    texts += ["".join(one.get("text/html", one.get("text/plain", ""))) for one in data]
    return "\n".join(texts), sum("image/png" in one for one in data)


def test_quickstart(tmp_path, monkeypatch):
    text, pictures = shown(executed("01_quickstart", tmp_path, monkeypatch))
    area = float(text.split("area under the ROC curve of the test: ")[1][:5])
    assert area > 0.75
    assert "<b>LSTMClassifier_" in text
    assert "rgba(" in text  # a text with its words painted
    assert pictures == 3


def test_pipeline_and_tuning(tmp_path, monkeypatch):
    text, _ = shown(executed("02_pipeline_and_tuning", tmp_path, monkeypatch))
    assert "'learnRate' is not a Param of LSTMClassifier. Did you mean 'learningRate'?" in text
    assert "epoch 2: loss " in text
    assert "above 0.9: " in text


@pytest.mark.parametrize("name", sorted(path.stem for path in FOLDER.glob("*.ipynb")))
def test_what_is_committed_has_run_from_top_to_bottom(name):
    nbformat = pytest.importorskip("nbformat")
    notebook = nbformat.read(FOLDER / f"{name}.ipynb", as_version=4)
    nbformat.validate(notebook)
    counts = [cell.execution_count for cell in notebook.cells if cell.cell_type == "code"]
    assert counts == list(range(1, len(counts) + 1))
