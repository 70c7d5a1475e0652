"""Whether the packages that a bench needs are installed, checked before its work starts."""

from __future__ import annotations

from importlib.util import find_spec

from sentispark.errors import SetupError

__all__ = ["require_package"]


def require_package(bench: str, module: str, *, name: str, extra: str = "bench", alternative: str = "") -> None:
    """Raise `SetupError` if a bench's package is not installed.

    Parameters
    ----------
    bench : str
        The name in `sentispark bench NAME`.
    module : str
        The module that is imported.
    name : str
        The package's name in the message.
    extra : str
        The extra of sentispark that installs it.
    alternative : str
        What else the user can do; it ends the sentence.
    """
    if find_spec(module) is None:
        raise SetupError(
            f"'sentispark bench {bench}' needs {name}. Install it with pip install 'sentispark[{extra}]'{alternative}."
        )
