"""What can go wrong, by name. Every error says the name, the rule, what was given and what to do."""

import re

__all__ = [
    "DatasetError",
    "InputError",
    "JobError",
    "OptionError",
    "SentisparkError",
    "SetupError",
    "TrainingError",
    "sentence_of",
]


class SentisparkError(Exception):
    """The parent of every error that sentispark raises on purpose; its text is one clear sentence."""


class OptionError(SentisparkError, ValueError):
    """An option is outside its rule. Change the option."""


class InputError(SentisparkError, ValueError):
    """The input files or columns cannot be used. Change the path, the format or the column names."""


class DatasetError(SentisparkError, RuntimeError):
    """A prepared dataset or a saved model is damaged, half-written, in the way, or of another version."""


class SetupError(SentisparkError, RuntimeError):
    """Something this machine or cluster lacks (Java, a package, free slots). Install or configure it."""


class JobError(SentisparkError, RuntimeError):
    """A Spark job failed. The text says why in one sentence; Spark's own error is chained."""


class TrainingError(SentisparkError, RuntimeError):
    """Training stopped. The text names the rank and its host; the cause is chained."""


def sentence_of(error: BaseException) -> str:
    """What an error says, in one line that ends with a full stop; its kind where it says nothing, or too little."""
    text = re.sub(r"^\[Errno -?\d+\] ", "", " ".join(str(error).split()))
    # The text of a KeyError is the key alone.
    text = text if text and not isinstance(error, KeyError) else f"{type(error).__name__}({text})".replace("()", "")
    return text if text.endswith((".", "!", "?")) else f"{text}."
