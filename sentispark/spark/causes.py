"""Spark's errors → the one sentence that says why: what a task raised, what Java did not find, what was killed.

Spark reports every layer that an error has passed through, two stack traces and more; the reason is one line of them.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator

from py4j.protocol import Py4JError
from pyspark.errors import PySparkException
from pyspark.sql import DataFrame, Row

from sentispark import errors
from sentispark.errors import JobError, SentisparkError

__all__ = ["cause_of", "collected", "explained_error", "is_spark_error", "spark_errors_explained"]

_TRACEBACK = "Traceback (most recent call last):"

# The class of a Java exception, and what Spark puts before the text of its own.
_JAVA_CLASS = re.compile(r"^(?:[a-z_]\w*\.)+[A-Z][\w$]*(?:: |$)")
_ABORTED = re.compile(r"^Job aborted(?: due to stage failure: |\.)")
_ERROR_CLASS = re.compile(r"^\[[A-Z_0-9.]+\] ")
_JAVA_FRAMES = re.compile(r"\n\s*(?:at [\w.$/]+\(|Driver stacktrace:|JVM stacktrace:)")
_LOST_TASK = re.compile(r"^.*most recent failure: Lost task [^:]*: ")
_MEMORY = "Raise spark.executor.memoryOverhead, or run fewer tasks at once."

_EXECUTOR_LOST = "sentispark.errors.ExecutorLostError"

# Patterns of Spark's text, the sentence that replaces it, and the class of the error if it is not just a `JobError`; a
# pattern's groups fill the sentence's fields.
_KNOWN: tuple[tuple[str, str] | tuple[str, str, str], ...] = (
    (
        r"ExecutorLostFailure \(executor (\S+) .*?Reason: ([^\n]*code 137[^\n]*)",
        f"Executor {{0}}{{host}} was killed ({{1}}), most often because its memory ran out. {_MEMORY}",
        _EXECUTOR_LOST,
    ),
    (r"ExecutorLostFailure \(executor (\S+) .*?Reason: ([^\n]+)", "Executor {0}{host} was lost: {1}.", _EXECUTOR_LOST),
    (
        r"Python in worker has different version:? \(?(\d+)[., ]+(\d+)\)? than that in driver:? ([\d.]+)",
        "Spark's Python workers must run the driver's version of Python, {2}. They run {0}.{1}. "
        "Set PYSPARK_PYTHON to an interpreter of that version.",
    ),
    (
        r'Cannot run program "([^"]*\bpy[^"/]*)"[^\n]*?(?:error=\d+, )([^\n]+)',
        "Spark's Python workers cannot be started: '{0}': {1}. Set PYSPARK_PYTHON to an interpreter that can be run.",
    ),
    (r'Cannot run program "([^"]+)"[^\n]*?(?:error=\d+, )([^\n]+)', "Spark cannot run '{0}'{host}: {1}."),
    (
        r"Python worker exited unexpectedly|Python worker failed to connect back",
        f"A Python worker{{host}} was killed or crashed, most often because memory ran out. {_MEMORY}",
        _EXECUTOR_LOST,
    ),
    (r"(Total size of serialized results [^\n]*maxResultSize[^\n]*)", "{0}. Raise spark.driver.maxResultSize."),
    (
        # A thread that cannot be created is the operating system's limit, not the heap's.
        r"java\.lang\.OutOfMemoryError: (?!unable to create)([^\n]+)",
        "Spark's JVM ran out of memory: {0}. Raise spark.driver.memory or spark.executor.memory.",
    ),
    # Deeper causes in the chains of these say less.
    (r"(Could not execute broadcast in [^\n]+|Kryo serialization failed: [^\n]+)", "{0}."),
    (
        r"FetchFailedException: ([^\n]+)",
        "A task could not fetch the shuffle output of another one: {0}. Check the log of the executor that is named.",
    ),
    (r"Task not serializable[^\n]*\n(?:.*\n)*?Caused by: [\w.]+: ([^\n]+)", "A task cannot be sent to executors: {0}."),
    (
        r"(?:Class (\S*File[Ss]ystem\S*) not found|No FileSystem for scheme:? \"?([\w.+-]+))",
        "Spark has no implementation of such a file system ({0}{1}). Start it with the package, hadoop-aws for S3.",
    ),
    (
        r"Service '(\w+)' (?:failed after|could not bind)",
        "Spark's '{0}' found no address to listen on. Set SPARK_LOCAL_IP or spark.driver.bindAddress to an address of "
        "this machine.",
    ),
    (
        r"Java gateway process exited",
        "Spark's Java did not start. See its output above, and check spark.master, spark.driver.memory and JAVA_HOME.",
    ),
    (
        r"SparkContext was shut down|stopped SparkContext|Answer from Java side is empty|Java side is empty",
        "Spark ended during the work, most often because its memory ran out or it was stopped.",
    ),
)


@contextlib.contextmanager
def spark_errors_explained() -> Iterator[None]:
    """A block whose Spark errors are raised as one sentence that names the cause, with Spark's own error chained."""
    try:
        yield
    except Exception as error:
        if not is_spark_error(error):
            raise
        raise explained_error(error) from error


def collected(frame: DataFrame) -> list[Row]:
    """The rows of a DataFrame. If its job fails, the error says why in one sentence."""
    with spark_errors_explained():
        return frame.collect()


def is_spark_error(error: BaseException) -> bool:
    """Whether an error came from Spark or its JVM."""
    return isinstance(error, (Py4JError, PySparkException))


def explained_error(error: BaseException) -> SentisparkError:
    """The cause of a Spark error: an error of the class that a task raised, if it is one of ours, or a `JobError`."""
    text = str(error)
    if not text.strip() or re.fullmatch(r"An error occurred while calling \S+", text.strip()):
        text = "Answer from Java side is empty"  # what py4j says of a JVM that is gone
    kind, sentence = cause_of(text, python=os.environ.get("PYSPARK_PYTHON", "python3"))
    ours = getattr(errors, kind.rpartition(".")[2], None) if kind.startswith("sentispark.errors.") else None
    return (ours or JobError)(sentence)


def cause_of(text: str, *, python: str = "python3") -> tuple[str, str]:
    """What caused a Spark error.

    Parameters
    ----------
    text : str
        The whole text of the error, as Spark or py4j gives it.
    python : str
        The command that starts workers, named in the sentence about a missing module.

    Returns
    -------
    kind : str
        The class of the Python exception that a task raised, or of the error that says it; empty for other causes.
    sentence : str
        The cause in one line.
    """
    kind, message = _raised(text) or ("", "")
    if not kind.startswith("sentispark.errors."):
        for pattern, sentence, *lost in _KNOWN:
            if found := re.search(pattern, message or text):
                values = ((group or "").strip().rstrip(".") for group in found.groups())
                return "".join(lost), _one_line(sentence.format(*values, host=_host(text)))
    return kind, _python_cause(kind, message, python) if kind else _java_cause(text)


def _host(text: str) -> str:
    """` on HOST` for the host of the task that failed; empty if it is the driver's own."""
    found = re.search(r"\(TID \d+\) \((\S+) executor (?!driver)", text)
    return f" on {found[1]}" if found else ""


def _raised(text: str) -> tuple[str, str] | None:
    """Class and message of the exception that a Python task raised; None if the text holds no traceback."""
    if _TRACEBACK not in text:
        return None
    # Java's frames follow. Of chained exceptions the last one is the one that was raised.
    block = _JAVA_FRAMES.split(text[text.index(_TRACEBACK) :])[0]
    # A message may quote a traceback, which then is not on a line of its own.
    lines = f"\n{block.removeprefix(_TRACEBACK)}".rsplit(f"\n{_TRACEBACK}\n", 1)[-1].splitlines()
    raised = next((index for index, line in enumerate(lines) if line and not line.startswith(" ")), None)
    if raised is None:
        return None
    kind, _, first = lines[raised].partition(": ")
    return kind.strip(), "\n".join([first, *lines[raised + 1 :]]).strip()


def _python_cause(kind: str, message: str, python: str) -> str:
    if kind.startswith("sentispark.errors."):
        return _one_line(message)
    if kind == "ModuleNotFoundError":
        return _one_line(
            f"Spark's Python workers lack a module: {message}. They run '{python}'. Install it there, or set "
            "PYSPARK_PYTHON to an interpreter that has it."
        )
    if kind.rpartition(".")[2] in ("MemoryError", "_ArrayMemoryError", "ArrowMemoryError"):
        return f"A Python worker ran out of memory. {_MEMORY}"
    if message.startswith("[Errno "):
        return _one_line(message.partition("] ")[2])
    return _one_line(f"{kind}: {message}" if message else f"{kind}")


def _java_cause(text: str) -> str:
    """The deepest message in a chain of Java exceptions; those above it only say what failed as a consequence."""
    text = re.sub(r"^\s*An error occurred while calling [^\n]*\n: ", "", text).strip()
    first, *rest = text.split("\nCaused by: ")
    first = re.sub(r"^.*barrier task \S+ \d+\) finished unsuccessfully\.\n", "", first)
    messages = [message for one in (first, *rest) if (message := _java_message(one))]
    # An exception without a message has at least a name.
    names = re.findall(r"[\w.$]+(?:Exception|Error)\b", f"{first}\n{''.join(rest)}")
    return _one_line(messages[-1] if messages else names[-1] if names else text or "Spark gave no reason")


def _java_message(text: str) -> str:
    """The message of one exception without classes, tasks and plans; empty if it has none."""
    line = text.splitlines()[0] if text else ""
    for _ in range(8):  # a class may precede a task, and another class follow it
        shorter = _ERROR_CLASS.sub("", _JAVA_CLASS.sub("", _ABORTED.sub("", _LOST_TASK.sub("", line))))
        if shorter == line:
            break
        line = shorter
    # A class name by itself is not a message.
    if re.fullmatch(r"[\w.$]+(Exception|Error)", line):
        return ""
    return re.sub(r"\s*SQLSTATE: \w+", "", line).strip(" ;")


def _one_line(text: str) -> str:
    text = " ".join(text.split())
    return text if text.endswith((".", "!", "?")) else f"{text}."
