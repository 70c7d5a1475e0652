"""Whether a bench's packages are installed, asked before its work starts."""

from __future__ import annotations

from importlib.util import find_spec

from sentispark.errors import SetupError

__all__ = ["require_package"]


def require_package(bench: str, module: str, *, name: str, extra: str = "bench", otherwise: str = "") -> None:
    """Raise `SetupError` if a bench's package is not installed.

    Parameters
    ----------
    bench : str
        As in `sentispark bench NAME`.
    module : str
        What is imported.
    name : str
        What the package is called.
    extra : str
        The extra of sentispark that installs it.
    otherwise : str
        What else the user can do, as the end of the sentence.
    """
    if find_spec(module) is None:
        raise SetupError(
            f"'sentispark bench {bench}' needs {name}. Install it with pip install 'sentispark[{extra}]'{otherwise}."
        )
