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


def told(value: Any) -> str:
    """A value for one line of text: NumPy breaks its own, and long ones end in dots."""
    said = " ".join(repr(value).split())
    return said if len(said) <= _MESSAGE else f"{said[:_MESSAGE]}..."


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
        _no_gradient(name, part)


def _no_gradient(name: str, value: Any) -> None:
    if getattr(value, "requires_grad", False) is True:
        raise InputError(
            f"{name} of type {type(value).__name__} that requires a gradient",
            "nothing is differentiated here",
            _as_numpy(name, value),
        )


def _as_numpy(name: str, value: Any) -> str:
    """The call that makes an array of numbers of what NumPy cannot take as it is."""
    import numpy as np

    if hasattr(value, "toarray"):
        return f"{name}.toarray()"
    if hasattr(value, "select_dtypes"):
        return f"{name}.select_dtypes('number').to_numpy(), its columns of numbers"
    array = hasattr(value, "__array__") and not isinstance(value, np.ndarray)
    if array or getattr(value, "requires_grad", False) is True:
        dense = "sparse" in str(getattr(value, "layout", ""))
        # NumPy has no bfloat16 of its own.
        short = "bfloat16" in str(getattr(value, "dtype", ""))
        call = f"{name}.detach().cpu()" + ".to_dense()" * dense + ".float()" * short
        return f"{call}.numpy()"
    return f"{name} as an array of numbers"


def plain_array(name: str, value: Any, dtype: Any = None) -> Any:
    """A NumPy array of what a caller gives as numbers.

    Raises:
        InputError: for masked entries, which would count as numbers, tensors that
            record gradients or lie on another device, rows of several lengths, and
            words or complex numbers where a type is asked for.
    """
    import numpy as np

    unmasked(name, value)
    if dtype is not None and "complex" in str(getattr(value, "dtype", "")):
        raise InputError(
            f"{name} of complex numbers",
            "their imaginary parts would be dropped",
            f"{name}.real, if that is meant",
        )
    try:
        return np.asarray(value, dtype)
    except (TypeError, ValueError, RuntimeError) as error:
        # What JAX says of its traced arrays is for whoever wrote the function.
        if type(value).__module__.startswith("jax"):
            raise
        raise InputError(
            f"{name} of type {type(value).__name__}",
            f"it is no array of numbers ({reason(error)})",
            _as_numpy(name, value),
        ) from error


def positive_int(name: str, value: Any) -> None:
    """Refuse anything but an integer of at least 1, and one beyond 32 bits."""
    if _perhaps_traced(value):
        return
    integer = isinstance(value, numbers.Integral) and not isinstance(value, bool)
    number: Any = value if isinstance(value, numbers.Real) else math.nan
    if number > _MOST:
        raise InputError(
            f"{name}={told(value)}", f"counts go up to {_MOST:,}", f"{name}=1000"
        )
    if not (integer and number >= 1):
        pointed = isinstance(value, float) and value.is_integer() and bool(number >= 1)
        raise InputError(
            f"{name}={told(value)}",
            "it counts things, so it must be a whole number"
            f"{' without a point' * pointed}, at least 1",
            f"{name}={int(number) if pointed else 1}",
        )


def _perhaps_traced(value: Any) -> bool:
    """Whether it is one of JAX's own arrays, which may have no value yet."""
    return not is_concrete(value) and type(value).__module__.startswith("jax")


def nonnegative(name: str, value: Any) -> None:
    """Refuse a negative, infinite or undefined number."""
    at_least(name, value, 0.0)


def at_least(
    name: str,
    value: Any,
    bound: float,
    why: str | None = None,
    fix: float | None = None,
) -> None:
    """Refuse what is no number, and one below ``bound``, infinite or undefined.

    Args:
        name: how messages call it.
        value: traced arrays of JAX pass.
        bound: the least value.
        why: why that is the least one.
        fix: a value that would do, where the bound itself would not.
    """
    if _perhaps_traced(value):
        return
    _no_gradient(name, value)
    truth = type(value).__name__ in ("bool", "bool_")
    if truth or not (_finite(value) and float(value) >= bound):
        reason = why or f"it must be a finite number of at least {bound:g}"
        works = bound if fix is None else fix
        raise InputError(f"{name}={told(value)}", reason, f"{name}={works:g}")


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
        f"{name}={told(value)}",
        f"known are {', '.join(map(repr, options))}",
        " or ".join(f"{name}={c!r}" for c in close or options[:1]),
    )


def reason(error: Exception) -> str:
    """What an error of another library says, short enough to be quoted."""
    said = str(error).strip() or type(error).__name__
    return said.splitlines()[0][:_MESSAGE]
