"""Recorded errors of Spark 3.5 and 4.1, with most of Java's frames left out, and the sentence for each."""

import json
from pathlib import Path

import pytest
from py4j.protocol import Py4JError
from pyspark.errors import PySparkException

from sentispark.errors import InputError, JobError, SentisparkError, TrainingError
from sentispark.spark.causes import cause_of, explained_error, spark_errors_explained

TEXTS = json.loads(Path(__file__).with_name("spark_errors.json").read_text())
KILLED = "A Python worker was killed or crashed, most often because memory ran out. Raise spark.executor.memoryOverhead"
LACKS = "Spark has no implementation of such a file system"

# What the sentence must contain, by the name of the recorded error.
EXPECTED = {
    "ours": "'text' must be a string. Got 'a: b'. Second line of it. Do this.",
    "ours_write": "'text' must be a string. Got 'a: b'. Second line of it. Do this.",
    "training": "[rank 0/2 on vm] The loss is nan. Lower it.",
    "theirs": "KeyError: 'overall'.",
    "odd": "Odd: two lines: of text.",
    "assert": "AssertionError.",
    "sysexit": "SystemExit: 3.",
    "udf": "ZeroDivisionError: division by zero.",
    "rdd": "ZeroDivisionError: division by zero.",
    "killed": KILLED,
    "killed_barrier": KILLED,
    "segv": KILLED,
    "memory": "A Python worker ran out of memory.",
    "missing": "Spark's Python workers lack a module: No module named 'nosuchmodule'. They run '/venv/bin/python'.",
    "disk": "No space left on device: '/tmp/x'.",
    "perm": "Permission denied: '/data/x'.",
    "maxresult": "is bigger than spark.driver.maxResultSize (1024.0 KiB). Raise spark.driver.maxResultSize.",
    "analysis": "with name `nope` cannot be resolved. Did you mean one of the following? [`id`].",
    "parse": "Syntax error at or near 'selec'.",
    "path": "Path does not exist: file:/nowhere/x.",
    "exists": "Path file:/tmp already exists.",
    "unwritable_scheme": f"{LACKS} (foo).",
    "s3": f"{LACKS} (org.apache.hadoop.fs.s3a.S3AFileSystem).",
    "proc": "Mkdirs failed to create file:/proc/x/",
    "badparquet": "a.parquet is not a Parquet file (length is too low: 10).",
    "filegone": "snappy.parquet does not exist.",
    "ansi": "my own: text.",
    "cast": 'The value \'a\' of the type "STRING" cannot be cast to "INT" because it is malformed.',
    "illegalpath": "Relative path in absolute URI: 10:30.",
    "jvmgone": " on 192.0.2.2 was killed (Command exited with code 137), most often because its memory ran out.",
    "jvmgone_barrier": " was killed (Command exited with code 137), most often because its memory ran out.",
}


@pytest.mark.parametrize("name", TEXTS)
def test_the_sentence_holds_the_cause_in_one_line_and_nothing_of_java(name):
    _, sentence = cause_of(TEXTS[name], python="/venv/bin/python")
    assert EXPECTED.get(name.split()[0], "") in sentence
    assert "\n" not in sentence
    assert sentence.endswith((".", "?", "!"))
    for noise in ("An error occurred while calling", "Job aborted", "Traceback", "Caused by", "Lost task", "SQLSTATE"):
        assert noise not in sentence


@pytest.mark.parametrize("version", ["3.5", "4.1"])
@pytest.mark.parametrize(("name", "kind"), [("ours", InputError), ("training", TrainingError), ("theirs", JobError)])
def test_an_error_of_ours_that_a_task_raised_keeps_its_class(name, kind, version):
    assert type(explained_error(Py4JError(TEXTS[f"{name} {version}"]))) is kind


@pytest.mark.parametrize("worker", [" (3, 10) than that in driver", ": 3.10 than that in driver:"])
def test_a_worker_of_another_python_version_is_reported_with_both_versions(worker):
    text = (
        "\nTraceback (most recent call last):\n  File 'w', line 1, in main\npyspark.PySparkRuntimeError: "
        f"[PYTHON_VERSION_MISMATCH] Python in worker has different version{worker} 3.11, PySpark cannot run with "
        "different minor versions.\nPlease check environment variables.\n\tat org.apache.spark.X(X.scala:1)"
    )
    assert cause_of(text)[1].startswith(
        "Spark's Python workers must run the driver's version of Python, 3.11. They run 3.10. Set PYSPARK_PYTHON"
    )


def test_a_missing_interpreter_is_named():
    text = (
        "Job aborted due to stage failure: Task 0 in stage 0.0 failed 1 times, most recent failure: Lost task 0.0 in "
        'stage 0.0 (TID 0) (h executor driver): java.io.IOException: Cannot run program "/nowhere/python": error=2, '
        "No such file or directory\n\tat java.base/java.lang.ProcessBuilder.start(ProcessBuilder.java:1143)"
    )
    expected = "Spark's Python workers cannot be started: '/nowhere/python': No such file or directory."
    assert cause_of(text)[1].startswith(expected)


@pytest.mark.parametrize("program", ["python3", "/opt/pypy/bin/pypy", "/envs/py/bin/python3.11"])
def test_an_interpreter_of_any_path_is_named(program):
    text = f'java.io.IOException: Cannot run program "{program}": error=13, Permission denied'
    assert cause_of(text)[1].startswith(f"Spark's Python workers cannot be started: '{program}': Permission denied.")


@pytest.mark.parametrize("program", ["/opt/getGpus.sh", "nvidia-smi", "/opt/py/bin/find-gpus", "chmod"])
def test_a_program_that_is_not_an_interpreter_is_named_as_a_program(program):
    text = f'java.io.IOException: Cannot run program "{program}": error=13, Permission denied\n\tat java.base/x.Y(Y:1)'
    assert cause_of(text) == ("", f"Spark cannot run '{program}': Permission denied.")


def test_a_thread_that_cannot_be_created_is_not_reported_as_a_full_heap():
    text = "Lost task: java.lang.OutOfMemoryError: {}\n\tat java.base/java.lang.Thread.start0(Native Method)"
    limit = "unable to create native thread: possibly out of memory or process/resource limits reached"
    assert "spark.driver.memory" not in cause_of(text.format(limit))[1]
    assert "process/resource limits reached" in cause_of(text.format(limit))[1]
    assert "Raise spark.driver.memory" in cause_of(text.format("Java heap space"))[1]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("java.net.BindException: x: Service 'sparkDriver' failed after 1 retries", "found no address to listen on"),
        ("[JAVA_GATEWAY_EXITED] Java gateway process exited before sending its port number.", "Java did not start"),
        ("System memory 1 must be at least 2. Please increase heap size", "System memory 1 must be at least 2"),
    ],
)
def test_the_reason_why_spark_does_not_start_is_reported(text, expected):
    assert expected in cause_of(text)[1]


def test_the_reason_that_yarn_and_kubernetes_give_for_a_lost_executor_is_reported():
    reason = "Container killed by YARN for exceeding physical memory limits. 5.5 GB of 5.5 GB physical memory used"
    text = (
        f"(TID 9) (node-3 executor 7): ExecutorLostFailure (executor 7 exited unrelated to the tasks) Reason: {reason}."
    )
    assert cause_of(text) == ("sentispark.errors.ExecutorLostError", f"Executor 7 on node-3 was lost: {reason}.")


def test_of_a_chain_of_python_errors_the_last_one_is_reported():
    text = (
        "Traceback (most recent call last):\n  File 'a', line 1, in f\nKeyError: 'x'\n\n"
        "The above exception was the direct cause of the following exception:\n\n"
        "Traceback (most recent call last):\n  File 'b', line 1, in g\nsentispark.errors.DatasetError: Mine.\n\n"
        "\tat org.apache.spark.X(X.scala:1)\nCaused by: other.Thing: no"
    )
    assert cause_of(text) == ("sentispark.errors.DatasetError", "Mine.")


def test_a_traceback_quoted_in_a_message_is_part_of_the_message():
    text = (
        "PythonException: Traceback (most recent call last):\n  File 'w', line 1, in f\nsentispark.errors.InputError: "
        "Number 3 is 'see Traceback (most recent call last):\nKeyError'. Take it out.\n\n\tat org.apache.X(X.scala:1)"
    )
    kind, sentence = cause_of(text)
    assert kind == "sentispark.errors.InputError"
    assert sentence == "Number 3 is 'see Traceback (most recent call last): KeyError'. Take it out."


@pytest.mark.parametrize("kind", ["numpy._core._exceptions._ArrayMemoryError", "pyarrow.lib.ArrowMemoryError"])
def test_memory_errors_of_numpy_and_arrow_are_reported_as_pythons(kind):
    text = f"Traceback (most recent call last):\n  File 'w', line 1, in f\n{kind}: Unable to allocate 3.00 GiB\n\n"
    assert cause_of(text)[1].startswith("A Python worker ran out of memory. ")
    assert cause_of(text.replace(kind, "torch.OutOfMemoryError"))[1].startswith("torch.OutOfMemoryError: Unable to ")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "org.apache.spark.SparkException: Could not execute broadcast in 300 secs. You can increase it via "
            "spark.sql.broadcastTimeout.\n\tat org.x(y:1)\nCaused by: java.util.concurrent.TimeoutException: Futures "
            "timed out after [300 seconds]",
            "Could not execute broadcast in 300 secs. You can increase it via spark.sql.broadcastTimeout.",
        ),
        (
            "org.apache.spark.SparkException: Kryo serialization failed: Buffer overflow. To avoid it, raise "
            "spark.kryoserializer.buffer.max value.\n\tat x.y(z:1)\nCaused by: com.x.KryoException: Buffer overflow",
            "Kryo serialization failed: Buffer overflow. To avoid it, raise spark.kryoserializer.buffer.max value.",
        ),
        (
            "Lost task: FetchFailed(BlockManagerId(1, node-2, 7337, None), shuffleId=0, message=\n"
            "org.apache.spark.shuffle.FetchFailedException: Failed to connect to node-2/192.0.2.1:7337\n\tat x(y:1)\n"
            "Caused by: java.net.ConnectException: Connection refused",
            "A task could not fetch the shuffle output of another one: Failed to connect to node-2/192.0.2.1:7337. "
            "Check the log of the executor that is named.",
        ),
    ],
)
def test_if_the_deepest_cause_says_less_the_one_above_is_reported(text, expected):
    assert cause_of(text) == ("", expected)


@pytest.mark.parametrize("text", ["", "\n", "An error occurred while calling o12.collectToPython"])
def test_an_error_without_text_means_that_the_jvm_is_gone(text):
    assert "Spark ended during the work" in str(explained_error(Py4JError(text)))


@pytest.mark.parametrize(
    "text", ["x", ": ", "Caused by: ", "Traceback (most recent call last):", "a.b.C: ", "{}", "%s{0}"]
)
def test_any_text_gives_a_sentence(text):
    kind, sentence = cause_of(text)
    assert (kind, bool(sentence)) == ("", True)


def test_a_block_raises_the_cause_with_sparks_error_chained_and_other_errors_unchanged():
    of_spark = PySparkException(TEXTS["theirs 3.5"])
    for raised, expected in [(of_spark, JobError), (ValueError("x"), ValueError), (InputError("y"), InputError)]:
        with pytest.raises(expected) as caught, spark_errors_explained():
            raise raised
        assert caught.value is raised or caught.value.__cause__ is raised
    assert issubclass(JobError, SentisparkError)


@pytest.mark.modern
def test_the_sentence_of_a_task_is_raised_on_the_driver(spark):
    def fails(batches):
        from sentispark.errors import InputError

        raise InputError("The number is odd. Take an even one.")
        yield

    with pytest.raises(InputError, match=r"^The number is odd\. Take an even one\.$"), spark_errors_explained():
        spark.range(1).mapInArrow(fails, "id long").collect()
