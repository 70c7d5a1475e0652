"""What can go wrong, by name. Every error says the name, the rule, what was given and what to do."""

__all__ = [
    "DatasetError",
    "InputError",
    "OptionError",
    "SentisparkError",
    "SetupError",
    "TrainingError",
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


class TrainingError(SentisparkError, RuntimeError):
    """Training stopped. The text names the rank and its host; the cause is chained."""
