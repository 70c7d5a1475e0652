"""What a command says when it fails: one sentence, or all that is known with --verbose."""

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
        (raises(InputError("This is wrong. Do that.")), "This is wrong. Do that.", "in run"),
        (raises(PermissionError(13, "Permission denied", "x")), "Permission denied: 'x'.", "in run"),
        (raises(ZeroDivisionError("by zero")), "ZeroDivisionError: by zero. --verbose shows where.", "in run"),
    ],
)
@pytest.mark.modern
def test_an_error_ends_a_command_with_its_cause_in_one_line(spark, monkeypatch, capsys, run, sentence, hidden):
    monkeypatch.setattr("sentispark.jobs.evaluate.run", run)
    assert cli.main(["evaluate", "model", "dataset", "--quiet"]) == 1
    assert capsys.readouterr() == ("", f"sentispark evaluate: {sentence}\n")
    assert cli.main(["evaluate", "model", "dataset", "--quiet", "--verbose"]) == 1
    told = capsys.readouterr().err
    assert told.endswith(f"sentispark evaluate: {sentence}\n")
    assert hidden in told
