"""`sentispark COMMAND …`: flags in, one line of JSON out; an error is one sentence and exit status 1."""

from __future__ import annotations

import argparse
import importlib
import json
import logging
import signal
import sys
import traceback

from sentispark import __version__
from sentispark.errors import SentisparkError, sentence_of
from sentispark.jobs.flags import add_session_flags
from sentispark.signals import Signals

__all__ = ["COMMANDS", "main"]

COMMANDS = {
    "demo": "run every step on generated reviews and draw a report",
    "prepare": "turn review files into an encoded dataset",
    "train": "train a model on a dataset",
    "evaluate": "measure the quality of a model on a dataset",
    "predict": "predict the sentiment of raw reviews",
    "bench": "compare speed and quality with the alternatives",
}


def main(arguments: list[str] | None = None) -> int:
    """Run a command and return its exit status."""
    flags = _parser(sys.argv[1:] if arguments is None else arguments).parse_args(arguments)
    logging.basicConfig(
        level=logging.ERROR if flags.quiet else logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S"
    )
    logging.getLogger("py4j").setLevel(logging.ERROR)
    with Signals() as signals:
        try:
            from sentispark.spark.session import get_spark

            command = importlib.import_module(f"sentispark.jobs.{flags.command}")
            spark = get_spark(master=flags.master, log_level="error" if flags.verbose else "off")
            signals.listen()
            result = command.run(spark, flags)
        except BaseException as error:
            if flags.verbose:
                traceback.print_exception(error)
            signals.clean_up()
            if _interrupted(error):
                print(f"sentispark {flags.command}: interrupted; the output was not written.", file=sys.stderr)
                return 128 + (signals.number or signal.SIGINT)
            if not isinstance(error, Exception):
                raise
            print(f"sentispark {flags.command}: {_message(error)}", file=sys.stderr)
            return 1
    print(json.dumps(result))
    return 0


def _message(error: Exception) -> str:
    """The sentence that states an error's cause."""
    from sentispark.spark.causes import explained_error, is_spark_error

    if is_spark_error(error):
        return str(explained_error(error))
    if isinstance(error, (SentisparkError, OSError)):
        return sentence_of(error)
    return f"{type(error).__name__}: {sentence_of(error)} Run with --verbose to see where."


def _interrupted(error: BaseException | None) -> bool:
    """Whether the user ended the command; the clean-up that follows may raise errors of its own."""
    while error is not None and not isinstance(error, KeyboardInterrupt):
        error = error.__context__
    return error is not None


def _parser(arguments: list[str]) -> argparse.ArgumentParser:
    """The parser of all commands; only the module of the requested command is imported, as some take seconds."""
    parser = argparse.ArgumentParser(prog="sentispark", description="Sentiment analysis of reviews on Spark.")
    parser.add_argument("--version", action="version", version=f"sentispark {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    requested = next((word for word in arguments if not word.startswith("-")), None)
    for name, summary in COMMANDS.items():
        command = commands.add_parser(name, help=summary, description=summary[0].upper() + summary[1:] + ".")
        if name == requested:
            importlib.import_module(f"sentispark.jobs.{name}").add_arguments(command)
        add_session_flags(command)
    return parser
