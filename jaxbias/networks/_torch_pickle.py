"""The pickle of a PyTorch checkpoint: tensors are understood, nothing can be run."""

import io
import pickle
import struct
from collections.abc import Callable
from typing import Any, NamedTuple

from jaxbias._checks import InputError, reason

FIX = "torch.save(model.state_dict(), path)"
_TENSORS = "torch.save({{n: t.{} for n, t in model.state_dict().items()}}, path)"
# Saving the same tensors once more would end in the same refusal.
_OTHER_FIXES = (
    ("sparse", _TENSORS.format("to_dense()")),
    ("Complex", _TENSORS.format("real.clone()") + ", if the real parts are meant"),
    ("complex", _TENSORS.format("real.clone()") + ", if the real parts are meant"),
    ("qtensor", _TENSORS.format("dequantize()")),
)
BFLOAT16 = "bfloat16"
_SHOWN = 80
ELEMENTS = {
    "DoubleStorage": "f8",
    "FloatStorage": "f4",
    "HalfStorage": "f2",
    "BFloat16Storage": BFLOAT16,
    "LongStorage": "i8",
    "IntStorage": "i4",
    "ShortStorage": "i2",
    "CharStorage": "i1",
    "ByteStorage": "u1",
    "BoolStorage": "?",
}
_DTYPES = (
    "float64 float32 float16 bfloat16 int64 int32 int16 int8 uint8 bool "
    "double float half long int short"
).split()
_BROKEN_PICKLE = (
    pickle.UnpicklingError,
    EOFError,
    ValueError,
    TypeError,
    KeyError,
    IndexError,
    AttributeError,
    OverflowError,
    MemoryError,
    struct.error,
)


class _Storage(NamedTuple):
    """Where a tensor's numbers lie: a record of the archive."""

    element: Any
    key: Any
    count: Any


class View(NamedTuple):
    """A tensor: some numbers of a storage, in PyTorch's terms."""

    storage: Any
    offset: Any
    size: Any
    stride: Any


class _Mapping(dict):
    """An OrderedDict; what a state dict carries beside its items is no weight."""

    def __setstate__(self, state: Any) -> None:
        pass


class _Callable:
    """What a global of the pickle may be: called, and neither built on nor changed."""

    __slots__ = ("_make",)

    def __init__(self, make: Callable[..., Any]):
        self._make = make

    def __call__(self, *arguments: Any) -> Any:
        return self._make(*arguments)

    def __setstate__(self, state: Any) -> None:
        raise pickle.UnpicklingError("a global with a state of its own")


def _tensor(storage: Any, offset: Any, size: Any, stride: Any, *_: Any) -> View:
    return View(storage, offset, size, stride)


def _parameter(tensor: Any, *_: Any) -> Any:
    return tensor


_GLOBALS: dict[str, Any] = {
    "collections.OrderedDict": _Callable(lambda: _Mapping()),
    "torch._utils._rebuild_tensor_v2": _Callable(_tensor),
    "torch._utils._rebuild_parameter": _Callable(_parameter),
    "torch.Size": _Callable(lambda size: tuple(size)),
    "torch.device": _Callable(lambda *name: name),
    **{f"torch.{name}": element for name, element in ELEMENTS.items()},
    **{f"torch.{name}": f"torch.{name}" for name in _DTYPES},
}


# The unpickler in C allocates whatever a memo index of the file asks for.
class _Tensors(pickle._Unpickler):
    """An unpickler that knows tensors and can run nothing."""

    # Hashing tuples within tuples without end would overflow the stack of the process.
    dispatch: Any = {
        code: load
        for code, load in pickle._Unpickler.dispatch.items()
        if code not in b"".join((pickle.DICT, pickle.FROZENSET, pickle.ADDITEMS))
    }

    def _set_item(self: Any) -> None:
        _plain(self.stack[-2:-1])
        pickle._Unpickler.dispatch[pickle.SETITEM[0]](self)

    def _set_items(self: Any) -> None:
        _plain(self.stack[::2])
        pickle._Unpickler.dispatch[pickle.SETITEMS[0]](self)

    dispatch[pickle.SETITEM[0]] = _set_item
    dispatch[pickle.SETITEMS[0]] = _set_items

    def __init__(self, file: Any, source: str):
        super().__init__(file)
        self._source = source

    def find_class(self, module: str, name: str, /) -> Any:
        whole = f"{module}.{name}"
        if whole not in _GLOBALS:
            fix = next((fix for word, fix in _OTHER_FIXES if word in name), FIX)
            raise InputError(
                f"{self._source}, which asks for {whole[:_SHOWN]!r}",
                "only tensors are read: other objects of a pickle could run any code",
                fix,
            )
        return _GLOBALS[whole]

    def persistent_load(self, pid: Any) -> Any:
        kind, element, key, _, count = pid
        if kind != "storage":
            raise pickle.UnpicklingError("a reference to something but a storage")
        return _Storage(element, key, count)


def _plain(keys: list[Any]) -> None:
    for key in keys:
        if not isinstance(key, str | int):
            raise pickle.UnpicklingError(f"a key of type {type(key).__name__}")


def unpickled(content: bytes, source: str) -> Any:
    try:
        return _Tensors(io.BytesIO(content), source).load()
    except InputError:
        raise
    except _BROKEN_PICKLE as error:
        raise broken(source, error) from error


def broken(source: str, error: Exception) -> InputError:
    return InputError(
        source,
        f"it is no complete PyTorch checkpoint ({reason(error)})",
        FIX,
    )
