"""Each bench has its own flags, and reports a missing package before it starts."""

import argparse
import subprocess
import sys

import pytest

from sentispark.jobs import bench, cli


def parsed(*words):
    return cli._parser(["bench", *words]).parse_args(["bench", *words])


def test_flags_belong_to_a_bench_and_session_flags_may_precede_or_follow_its_name(capsys):
    flags = parsed(
        "prepare", "--parts", "polars", "encoder", "--rows", "300000", "--sizes", "10,20", "--master", "local[2]"
    )
    assert (flags.bench, flags.parts, flags.rows, flags.times) == ("prepare", ["polars", "encoder"], 300_000, 3)
    assert (flags.sizes, flags.memory, flags.master, flags.quiet) == ([10, 20], "1g", "local[2]", False)
    before = parsed("--master", "local[3]", "--quiet", "inference")
    assert (before.master, before.quiet, before.verbose, before.rows) == ("local[3]", True, False, 60_000)
    with pytest.raises(SystemExit):
        parsed("balance", "--parts", "polars")
    assert "unrecognized arguments: --parts polars" in capsys.readouterr().err


def test_lists_have_defaults():
    assert parsed("prepare").sizes[0] == 100_000
    assert parsed("prepare", "--sizes", "").sizes == []
    throughput = parsed("throughput", "dataset")
    assert (throughput.dataset, throughput.batches[:2], throughput.precision) == ("dataset", [128, 512], "tf32")


@pytest.mark.parametrize("name", sorted(bench.BENCHES))
def test_every_bench_has_help_without_its_name_as_a_prefix(name, capsys):
    with pytest.raises(SystemExit):
        parsed(name, "--help")
    output = capsys.readouterr().out
    assert "--output" in output
    assert f" {name}: " not in output


def test_declaring_the_flags_imports_no_bench():
    code = "import sys; from sentispark.jobs import cli; cli._parser(['bench', 'train']); print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not {"torch", "matplotlib", "sklearn", "sentispark.bench.train"} & set(loaded)
    assert "sentispark.jobs.bench" in loaded


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (
            ["quality"],
            "'sentispark bench quality' needs scikit-learn. Install it with pip install 'sentispark[bench]'.",
        ),
        (
            ["prepare"],
            "'sentispark bench prepare' needs Polars. Install it with pip install 'sentispark[bench]' (Python 3.11 or "
            "newer), or leave 'polars' out of --parts.",
        ),
        (
            ["train"],
            "'sentispark bench train' needs Petastorm. Install it with pip install 'sentispark[petastorm]'.",
        ),
    ],
)
@pytest.mark.modern
def test_a_missing_package_is_reported_before_anything_is_written(
    spark, words, sentence, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sentispark.bench.packages.find_spec", lambda module: None)
    assert cli.main(["bench", *words, "--quiet"]) == 1
    assert capsys.readouterr().err == f"sentispark bench: {sentence}\n"
    assert list(tmp_path.iterdir()) == []


def test_parts_other_than_polars_do_not_need_polars(monkeypatch):
    monkeypatch.setattr("sentispark.bench.packages.find_spec", lambda module: None)
    flags = argparse.Namespace(parts=["encoder"], rows=1, times=1, sizes=[], memory="1g")
    assert callable(bench.BENCHES["prepare"].configured(flags))
