"""Ctrl-C: the process ends within seconds, whatever it is doing; the shell sees 130.

KeyboardInterrupt alone does not promise that. Raised in a callback it is printed and
forgotten, a compilation holds it back, and an interpreter that shuts down while XLA's
threads still run may crash. So it is raised once, to let what is half done be tidied
away, a thread ends the process where that takes too long, and the interpreter is never
shut down. Nothing that takes time is imported: the handler comes before all else.
"""

import _thread
import os
import signal
import sys
import time
from types import FrameType
from typing import Any, NoReturn

STOPPED = 130
LINE = "jaxbias: stopped; what was finished is kept"
_SHOW_CURSOR = "\x1b[?25h"
_GRACE_SECONDS = 2.0


def _importing(frame: FrameType | None) -> bool:
    while frame is not None:
        if frame.f_code.co_filename.startswith("<frozen importlib"):
            return True
        frame = frame.f_back
    return False


class Interrupt:
    """What SIGINT does to this process, once installed.

    Attributes:
        came: whether the signal has been seen.
    """

    def __init__(self):
        self.came = False
        self._ending = _thread.allocate_lock()

    def install(self) -> None:
        """Let SIGINT end the process.

        A signal that is ignored stays ignored, as in a script's background; a handler
        that somebody else has set stays theirs; and only a main thread may set one.
        """
        if signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
            return
        try:
            signal.signal(signal.SIGINT, self._unwind)
        except ValueError:
            return
        reading, writing = os.pipe()
        os.set_blocking(writing, False)
        _thread.start_new_thread(self._watch, (reading,))
        # The C handler writes to the pipe at once, also where no Python code runs.
        signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
        sys.unraisablehook = self._not_forgotten
        sys.excepthook = self._not_printed

    def release(self) -> None:
        """Let SIGINT kill without a word: all is done, the interpreter shuts down."""
        # Methods are equal, not identical.
        if signal.getsignal(signal.SIGINT) == self._unwind:
            signal.signal(signal.SIGINT, signal.SIG_DFL)

    def stop(self) -> NoReturn:
        """End the process now, from any thread, with one line on standard error."""
        if not self._ending.acquire(blocking=False):
            time.sleep(_GRACE_SECONDS)
        cursor = _SHOW_CURSOR if os.isatty(2) else ""
        try:
            os.write(2, f"{cursor}{LINE}\n".encode())
        except OSError:
            pass  # Nobody can read it.
        try:
            # A shell's loop ends too only if the signal itself was the end.
            signal.signal(signal.SIGINT, signal.SIG_DFL)
            os.kill(os.getpid(), signal.SIGINT)
        except ValueError:
            pass  # Only the main thread may say what a signal does.
        os._exit(STOPPED)

    def _unwind(self, number: int, frame: FrameType | None) -> None:
        again, self.came = self.came, True
        # C code that initialises a module may crash on an exception, and while modules
        # are loaded nothing is half done.
        if again or _importing(frame):
            self.stop()
        raise KeyboardInterrupt

    def _watch(self, pipe: int) -> None:
        while signal.SIGINT not in os.read(pipe, 1):
            pass
        time.sleep(_GRACE_SECONDS)
        self.stop()

    def _not_forgotten(self, lost: Any) -> None:
        # Destructors and callbacks swallow what is raised in them.
        if self.came:
            self.stop()
        sys.__unraisablehook__(lost)

    def _not_printed(self, kind: Any, error: Any, trace: Any) -> None:
        # C code that imports or calls back prints what it cannot pass on.
        if self.came:
            self.stop()
        sys.__excepthook__(kind, error, trace)
