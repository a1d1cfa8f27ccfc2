"""User errors: one exception class, one three-part message, a few named checks."""

import difflib
import math
import numbers
from collections.abc import Iterable
from typing import Any

_MESSAGE = 120
# Counts and indices have 32 bits in places; no array is as long as that.
_MOST = 2**31 - 1

# NumPy is imported where it is used: the command line names its errors with this
# module, and half of the time of `jaxbias --help` would be NumPy's.


class InputError(ValueError):
    """Raised when a caller's input cannot work; a bug is never reported this way.

    Args:
        got: What came in.
        why: Why it cannot work.
        fix: The call (or value) that would.
    """

    def __init__(self, got: str, why: str, fix: str):
        super().__init__(f"{got}: {why}. Try {fix}.")
        self.got, self.why, self.fix = got, why, fix


class AccuracyWarning(UserWarning):
    """Given where the saved values of a run may be off by more than 1 %."""


def is_concrete(value: Any) -> bool:
    """Whether a value is known now: a number or a NumPy array, not a traced array."""
    import numpy as np

    return isinstance(value, numbers.Number | str | np.ndarray | np.generic)


def unmasked(name: str, value: Any) -> None:
    """Refuse masked entries, which would count as numbers, and recorded gradients.

    Nothing is converted: traced arrays pass.
    """
    import numpy as np

    for part in value if isinstance(value, list | tuple) else (value,):
        if np.ma.is_masked(part):
            masked = int(np.ma.getmaskarray(part).sum())
            rows = ".any(axis=-1)" * (np.ndim(part) > 1)
            raise InputError(
                f"{name} with {masked} masked entries",
                "the numbers behind a mask would be taken as they are",
                f"{name}[~{name}.mask{rows}], or {name}.filled(value)",
            )
        if getattr(part, "requires_grad", False) is True:
            raise InputError(
                f"{name} of type {type(part).__name__} that requires a gradient",
                "nothing is differentiated here",
                f"{name}.detach().cpu().numpy()",
            )


def plain_array(name: str, value: Any, dtype: Any = None) -> Any:
    """A NumPy array of what a caller gives as numbers.

    Raises:
        InputError: for masked entries, which would count as numbers, tensors that
            record gradients or lie on another device, rows of several lengths, and
            words where a type is asked for.
    """
    import numpy as np

    unmasked(name, value)
    try:
        return np.asarray(value, dtype)
    except (TypeError, ValueError, RuntimeError) as error:
        # What JAX says of its traced arrays is for whoever wrote the function.
        if type(value).__module__.startswith("jax"):
            raise
        if isinstance(value, list | tuple | np.ndarray):
            fix = f"{name} as an array of numbers"
        else:
            fix = f"{name}.detach().cpu().numpy()"
        why = f"it is no array of numbers ({reason(error)})"
        raise InputError(f"{name} of type {type(value).__name__}", why, fix) from error


def positive_int(name: str, value: Any) -> None:
    """Refuse anything but an integer of at least 1, and one beyond 32 bits."""
    whole = isinstance(value, numbers.Integral) and not isinstance(value, bool)
    if is_concrete(value) and not (whole and int(value) >= 1):
        raise InputError(
            f"{name}={value!r}",
            "it counts things, so it must be at least 1",
            f"{name}=1",
        )
    if is_concrete(value) and int(value) > _MOST:
        raise InputError(
            f"{name}={value!r}", f"counts go up to {_MOST:,}", f"{name}=1000"
        )


def nonnegative(name: str, value: Any) -> None:
    """Refuse a negative, infinite or undefined number."""
    at_least(name, value, 0.0)


def at_least(name: str, value: Any, bound: float, why: str | None = None) -> None:
    """Refuse a number below ``bound``, infinite or undefined."""
    if not is_concrete(value):
        return
    if not (_finite(value) and float(value) >= bound):
        reason = why or f"it must be a finite number of at least {bound:g}"
        raise InputError(f"{name}={value!r}", reason, f"{name}={bound:g}")


def _finite(value: Any) -> bool:
    """Whether it is one number that a float can hold, and not a masked one."""
    if isinstance(value, str) or getattr(value, "ndim", 0) or hasattr(value, "mask"):
        return False
    try:
        return math.isfinite(float(value))
    except (OverflowError, TypeError, ValueError):
        return False


def finite_array(name: str, array: Any) -> None:
    """Refuse a concrete NumPy array that holds NaN or infinity, or has a mask."""
    import numpy as np

    unmasked(name, array)
    if is_concrete(array) and not np.all(np.isfinite(array)):
        bad = int(np.size(array) - np.count_nonzero(np.isfinite(array)))
        raise InputError(
            f"{name} with {bad} entries that are NaN or infinite",
            "every number computed from them would be undefined",
            f"{name}[np.isfinite({name}).all(axis=-1)] to drop those rows",
        )


def one_of(name: str, value: Any, options: Iterable[str]) -> None:
    """Refuse a name that is not among the options, and offer the closest ones."""
    options = list(options)
    if value in options:
        return
    close = difflib.get_close_matches(str(value), options, n=3)
    raise InputError(
        f"{name}={value!r}",
        f"known are {', '.join(map(repr, options))}",
        " or ".join(f"{name}={c!r}" for c in close or options[:1]),
    )


def reason(error: Exception) -> str:
    """What an error of another library says, short enough to be quoted."""
    said = str(error).strip() or type(error).__name__
    return said.splitlines()[0][:_MESSAGE]
