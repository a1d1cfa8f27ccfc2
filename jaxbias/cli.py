"""The command ``jaxbias``: words in, an exit status out.

0: all as expected. 1: a verdict differs from the expected one, or a run failed.
2: wrong usage or bad input, or standard output that cannot be written, in one line.
3: an internal error, with its traceback.
130: stopped by Ctrl-C, as a status or as death by SIGINT, which a shell calls 130 too.
141: the reader of a pipe left.
"""

import os
import sys
from collections.abc import Sequence

from jaxbias.cli_interrupt import LINE, STOPPED, Interrupt

AS_EXPECTED, UNEXPECTED, BAD_INPUT, INTERNAL, BROKEN_PIPE = 0, 1, 2, 3, 141


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        arguments: The words after ``jaxbias``. By default those of this process, which
            is then the command's own: SIGINT ends it, and after a failure it ends
            without Python's shutdown, in which threads of XLA that still run crash.

    Returns:
        The exit status.
    """
    interrupt = Interrupt()
    if arguments is not None:
        try:
            return _run(list(arguments), interrupt)
        except KeyboardInterrupt:
            print(LINE, file=sys.stderr)
            return STOPPED
    try:
        interrupt.install()
        from jaxbias.cli_streams import prepare_streams

        prepare_streams()
        status = _run(sys.argv[1:], interrupt)
        if interrupt.came:
            raise KeyboardInterrupt
        if status not in (AS_EXPECTED, UNEXPECTED):
            os._exit(status)
        interrupt.release()
        return status
    except KeyboardInterrupt:
        interrupt.stop()


def _run(words: list[str], interrupt: Interrupt) -> int:
    # Loaded here, where Ctrl-C is heard already.
    from jaxbias._checks import InputError
    from jaxbias.cli_streams import OutputLost, checked_streams, say

    try:
        with checked_streams():
            try:
                return _command(words)
            except SystemExit as end:
                return int(end.code or 0)
            except (InputError, OutputLost):
                raise
            except Exception:
                if interrupt.came:
                    # Somebody has caught it and raised another.
                    raise KeyboardInterrupt from None
                import traceback

                # Status 3 belongs to bugs, so that a script can tell them apart.
                traceback.print_exc()
                return INTERNAL
    except OutputLost as lost:
        if lost.reader_left:
            return BROKEN_PIPE
        say(lost.as_input_error())
        return BAD_INPUT
    except InputError as error:
        if interrupt.came:
            raise KeyboardInterrupt from None
        say(error)
        return BAD_INPUT


def _command(words: list[str]) -> int:
    if words == ["--version"]:
        from jaxbias import __version__

        print("jaxbias", __version__)
        return AS_EXPECTED
    try:
        from jaxbias.cli_arguments import parse
    except ModuleNotFoundError as missing:
        if missing.name != "tyro":
            raise
        from jaxbias._checks import InputError

        raise InputError(
            "jaxbias without tyro",
            "the command line needs the extra 'cli'",
            "pip install 'jaxbias[cli]'",
        ) from None
    command = parse(words)

    from jaxbias.cli_commands import run

    return run(command)
