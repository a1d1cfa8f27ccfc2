"""The command ``jaxbias``: words in, an exit status out.

0: all as expected. 1: a verdict differs from the expected one, or a run failed.
2: wrong usage or bad input, in one line. 3: an internal error, with its traceback.
130: stopped by Ctrl-C.
"""

import os
import sys
import traceback
from collections.abc import Sequence

from jaxbias._checks import InputError

AS_EXPECTED, UNEXPECTED, BAD_INPUT, INTERNAL, BROKEN_PIPE, STOPPED = (
    0,
    1,
    2,
    3,
    141,
    130,
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        arguments: The words after ``jaxbias``; by default those of this process.

    Returns:
        The exit status.
    """
    words = sys.argv[1:] if arguments is None else list(arguments)
    try:
        try:
            from jaxbias.cli_arguments import parse
        except ModuleNotFoundError as missing:
            if missing.name != "tyro":
                raise
            raise InputError(
                "jaxbias without tyro",
                "the command line needs the extra 'cli'",
                "pip install 'jaxbias[cli]'",
            ) from None
        if words == ["--version"]:
            from jaxbias import __version__

            print("jaxbias", __version__, flush=True)
            return AS_EXPECTED
        command = parse(words)

        from jaxbias.cli_commands import run

        status = run(command)
        sys.stdout.flush()
        return status
    except SystemExit as end:
        return int(end.code or 0)
    except InputError as error:
        print("jaxbias:", " ".join(str(error).split()), file=sys.stderr)
        return BAD_INPUT
    except KeyboardInterrupt:
        print("jaxbias: stopped; what was finished is kept", file=sys.stderr)
        return STOPPED
    except BrokenPipeError:
        # The reader has gone; Python would complain once more while closing.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return BROKEN_PIPE
    except Exception:
        # Status 3 belongs to bugs, so that a script can tell them from bad input.
        traceback.print_exc()
        return INTERNAL
