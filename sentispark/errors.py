"""The errors that sentispark raises.

An error about an option states the name, the rule and the value; any other states the problem and the remedy.
"""

import re

__all__ = [
    "DatasetError",
    "ExecutorLostError",
    "InputError",
    "JobError",
    "OptionError",
    "PreemptedError",
    "RankLostError",
    "RankMemoryError",
    "SentisparkError",
    "SetupError",
    "TrainingError",
    "sentence_of",
]


class SentisparkError(Exception):
    """The base class of all errors that sentispark raises on purpose; the message is meant for the user."""


class OptionError(SentisparkError, ValueError):
    """An option breaks its rule. Change the option."""


class InputError(SentisparkError, ValueError):
    """The input files or columns cannot be used. Change the path, the format or the column names."""


class DatasetError(SentisparkError, RuntimeError):
    """A dataset or a saved model is damaged, incomplete or of another version, or an output already exists."""


class SetupError(SentisparkError, RuntimeError):
    """This machine or cluster lacks something (Java, a package, free task slots). Install or configure it."""


class JobError(SentisparkError, RuntimeError):
    """A Spark job failed. The message gives the cause in one sentence; Spark's own error is chained."""


class ExecutorLostError(JobError):
    """A Spark job failed because an executor or a Python worker was lost. It may succeed if it is run again."""


class TrainingError(SentisparkError, RuntimeError):
    """Training failed. The message names the rank and its host; the cause is chained."""


class RankLostError(TrainingError):
    """A rank, its host or a connection between ranks was lost. The training can be restarted."""


class RankMemoryError(TrainingError):
    """A rank ran out of memory. Use smaller batches, `microBatchSize` or more workers."""


class PreemptedError(TrainingError):
    """A rank's machine is about to be taken away. The training was saved and can be resumed."""


def sentence_of(error: BaseException) -> str:
    """The message of an error on one line, with a full stop at the end; the error's class if the message is empty.

    >>> sentence_of(OSError(2, "No such file or directory"))
    'No such file or directory.'
    >>> sentence_of(KeyError("overall"))
    "KeyError('overall')."
    >>> sentence_of(TimeoutError())
    'TimeoutError.'
    """
    text = re.sub(r"^\[Errno -?\d+\] ", "", " ".join(str(error).split()))
    # The message of a KeyError is only the key.
    text = text if text and not isinstance(error, KeyError) else f"{type(error).__name__}({text})".replace("()", "")
    return text if text.endswith((".", "!", "?")) else f"{text}."
