"""Spark's errors to the sentence that says why: what a task raised, what Java did not find, what was killed.

Spark hands on the whole way that an error has come, two stack traces and more; the reason is one line of it.
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

__all__ = ["cause_of", "causes_told", "collected", "is_of_spark", "told_by"]

_TRACEBACK = "Traceback (most recent call last):"

# The class of a Java exception, and what Spark puts before the text of its own.
_JAVA_CLASS = re.compile(r"^(?:[a-z_]\w*\.)+[A-Z][\w$]*(?:: |$)")
_ABORTED = re.compile(r"^Job aborted(?: due to stage failure: |\.)")
_ERROR_CLASS = re.compile(r"^\[[A-Z_0-9.]+\] ")
_JAVA_FRAMES = re.compile(r"\n\s*(?:at [\w.$/]+\(|Driver stacktrace:|JVM stacktrace:)")
_LOST_TASK = re.compile(r"^.*most recent failure: Lost task [^:]*: ")
_MEMORY = "Raise spark.executor.memoryOverhead, or run fewer tasks at once."

# What is known by a few words of Spark's text, and what is to be said of it; the words' groups are its values.
_KNOWN = (
    (
        r"ExecutorLostFailure \(executor (\S+) .*?Reason: ([^\n]*code 137[^\n]*)",
        f"Executor {{0}}{{host}} was killed ({{1}}), most often because its memory ran out. {_MEMORY}",
    ),
    (r"ExecutorLostFailure \(executor (\S+) .*?Reason: ([^\n]+)", "Executor {0}{host} was lost: {1}."),
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
    ),
    (r"(Total size of serialized results [^\n]*maxResultSize[^\n]*)", "{0}. Raise spark.driver.maxResultSize."),
    (
        # Threads that cannot be made are a limit of the system's.
        r"java\.lang\.OutOfMemoryError: (?!unable to create)([^\n]+)",
        "Spark's JVM ran out of memory: {0}. Raise spark.driver.memory or spark.executor.memory.",
    ),
    # What lies deeper in the chains of these says less.
    (r"(Could not execute broadcast in [^\n]+|Kryo serialization failed: [^\n]+)", "{0}."),
    (
        r"FetchFailedException: ([^\n]+)",
        "A task could not fetch what another one wrote: {0}. Check the log of the executor that is named.",
    ),
    (r"Task not serializable[^\n]*\n(?:.*\n)*?Caused by: [\w.]+: ([^\n]+)", "A task cannot be sent to executors: {0}."),
    (
        r"(?:Class (\S*File[Ss]ystem\S*) not found|No FileSystem for scheme:? \"?([\w.+-]+))",
        "Spark lacks what reaches such a file system ({0}{1}). Start it with that package, hadoop-aws for S3.",
    ),
    (
        r"Service '(\w+)' (?:failed after|could not bind)",
        "Spark's '{0}' finds no address to listen on. Set SPARK_LOCAL_IP or spark.driver.bindAddress to one of this "
        "machine's.",
    ),
    (
        r"Java gateway process exited",
        "Spark's Java did not start. See what it said, and check spark.master, spark.driver.memory and JAVA_HOME.",
    ),
    (
        r"SparkContext was shut down|stopped SparkContext|Answer from Java side is empty|Java side is empty",
        "Spark has ended in the middle of the work; most often its memory ran out, or somebody stopped it.",
    ),
)


@contextlib.contextmanager
def causes_told() -> Iterator[None]:
    """A block whose errors of Spark are raised as the cause in one sentence, Spark's own chained."""
    try:
        yield
    except Exception as error:
        if not is_of_spark(error):
            raise
        raise told_by(error) from error


def collected(frame: DataFrame) -> list[Row]:
    """The rows of a DataFrame; why there are none, if its job fails, in one sentence."""
    with causes_told():
        return frame.collect()


def is_of_spark(error: BaseException) -> bool:
    """Whether an error has come from Spark or its JVM."""
    return isinstance(error, (Py4JError, PySparkException))


def told_by(error: BaseException) -> SentisparkError:
    """The cause of an error of Spark: of the class that a task has raised, if it is one of ours, or a `JobError`."""
    text = str(error)
    if not text.strip() or re.fullmatch(r"An error occurred while calling \S+", text.strip()):
        text = "Answer from Java side is empty"  # py4j's word for a JVM that is gone
    kind, sentence = cause_of(text, python=os.environ.get("PYSPARK_PYTHON", "python3"))
    ours = getattr(errors, kind.rpartition(".")[2], None) if kind.startswith("sentispark.errors.") else None
    return (ours or JobError)(sentence)


def cause_of(text: str, *, python: str = "python3") -> tuple[str, str]:
    """What an error of Spark was caused by.

    Parameters
    ----------
    text : str
        All that Spark or py4j says.
    python : str
        What workers are started as, for one that lacks a module.

    Returns
    -------
    kind : str
        The class of the Python exception that a task has raised; empty for others.
    sentence : str
        One line.
    """
    kind, message = _raised(text) or ("", "")
    if not kind.startswith("sentispark.errors."):
        for words, sentence in _KNOWN:
            if found := re.search(words, message or text):
                values = ((group or "").strip().rstrip(".") for group in found.groups())
                return "", _one_line(sentence.format(*values, host=_host(text)))
    return kind, _python_cause(kind, message, python) if kind else _java_cause(text)


def _host(text: str) -> str:
    """On which host the task was that is told of, if that is another one."""
    found = re.search(r"\(TID \d+\) \((\S+) executor (?!driver)", text)
    return f" on {found[1]}" if found else ""


def _raised(text: str) -> tuple[str, str] | None:
    """Class and message of the exception that a Python task has raised, if that is what the text tells of."""
    if _TRACEBACK not in text:
        return None
    # Java's frames follow; of chained exceptions the last is the one that was raised.
    block = _JAVA_FRAMES.split(text[text.index(_TRACEBACK) :])[0]
    # A message may quote one, which then does not stand on a line of its own.
    lines = f"\n{block.removeprefix(_TRACEBACK)}".rsplit(f"\n{_TRACEBACK}\n", 1)[-1].splitlines()
    said = [place for place, line in enumerate(lines) if line and not line.startswith(" ")]
    if not said:
        return None
    kind, _, first = lines[said[0]].partition(": ")
    return kind.strip(), "\n".join([first, *lines[said[0] + 1 :]]).strip()


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
    """The message that lies deepest in a chain of Java's exceptions, as the others only say what did not go on."""
    text = re.sub(r"^\s*An error occurred while calling [^\n]*\n: ", "", text).strip()
    first, *rest = text.split("\nCaused by: ")
    first = re.sub(r"^.*barrier task \S+ \d+\) finished unsuccessfully\.\n", "", first)
    messages = [message for one in (first, *rest) if (message := _java_message(one))]
    # An exception without a message has at least a name.
    names = re.findall(r"[\w.$]+(?:Exception|Error)\b", f"{first}\n{''.join(rest)}")
    return _one_line(messages[-1] if messages else names[-1] if names else text or "Spark gave no reason")


def _java_message(text: str) -> str:
    """What one exception says, without classes, tasks and plans; empty where it says nothing."""
    line = text.splitlines()[0] if text else ""
    for _ in range(8):  # a class may stand before a task, and another one behind it
        shorter = _ERROR_CLASS.sub("", _JAVA_CLASS.sub("", _ABORTED.sub("", _LOST_TASK.sub("", line))))
        if shorter == line:
            break
        line = shorter
    # A name alone is no message.
    if re.fullmatch(r"[\w.$]+(Exception|Error)", line):
        return ""
    return re.sub(r"\s*SQLSTATE: \w+", "", line).strip(" ;")


def _one_line(text: str) -> str:
    text = " ".join(text.split())
    return text if text.endswith((".", "!", "?")) else f"{text}."
