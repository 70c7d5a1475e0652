"""A command that fails prints one sentence, and all details with --verbose."""

import pytest

from sentispark.errors import InputError
from sentispark.jobs import cli


def fails_in_a_task(spark, flags):
    def fails(batches):
        raise KeyError("overall")
        yield

    spark.range(1).mapInArrow(fails, "id long").collect()


def raises(error):
    def run(spark, flags):
        raise error

    return run


@pytest.mark.parametrize(
    ("run", "sentence", "hidden"),
    [
        (fails_in_a_task, "KeyError: 'overall'.", "mapInArrow"),
        (raises(InputError("'x' is wrong. Change it.")), "'x' is wrong. Change it.", "in run"),
        (raises(PermissionError(13, "Permission denied", "x")), "Permission denied: 'x'.", "in run"),
        (
            raises(ZeroDivisionError("by zero")),
            "ZeroDivisionError: by zero. Run with --verbose to see where.",
            "in run",
        ),
    ],
)
@pytest.mark.modern
def test_a_failed_command_prints_the_cause_in_one_line(spark, monkeypatch, capsys, run, sentence, hidden):
    monkeypatch.setattr("sentispark.jobs.evaluate.run", run)
    assert cli.main(["evaluate", "model", "dataset", "--quiet"]) == 1
    assert capsys.readouterr() == ("", f"sentispark evaluate: {sentence}\n")
    assert cli.main(["evaluate", "model", "dataset", "--quiet", "--verbose"]) == 1
    errors = capsys.readouterr().err
    assert errors.endswith(f"sentispark evaluate: {sentence}\n")
    assert hidden in errors
