"""Specifications as JSON: frozen dataclasses out, the same objects back, a hash."""

import dataclasses
import hashlib
import importlib
import json
import math
import sys
from collections.abc import Sequence
from typing import Any

import numpy as np

from jaxbias._checks import InputError

_HOME = "jaxbias"
_SMALL = 64


def spec_to_json(spec: Any) -> str:
    """The specification as canonical JSON: sorted keys, no spaces, exact floats.

    A frozen dataclass becomes ``{"class": "module:Name", ...fields}``; a named
    object of a module, such as a registered loss, ``{"object": "module:name"}``.
    An object with the method ``__spec__`` is what that returns.
    Arrays of more than 64 entries are replaced by shape, dtype and SHA-256 digest:
    enough to tell two data sets apart, not to rebuild them.

    Args:
        spec: Dataclasses, containers, strings, numbers, arrays, in any nesting.

    Raises:
        InputError: A part has no JSON form, for instance a lambda.
    """
    return _dump(_encode(spec, "spec"))


def spec_from_json(text: str, modules: Sequence[str] = ()) -> Any:
    """The object that ``spec_to_json`` described, equal to the one it came from.

    Args:
        text: What ``spec_to_json`` returned, or the ``spec`` attribute of a file.
        modules: Modules outside of ``jaxbias`` from which objects are loaded, too.

    Raises:
        InputError: The text is no JSON, names a class outside ``jaxbias`` or one
            that no longer exists, or holds the digest of an array.
    """
    try:
        tree = json.loads(text)
    except (TypeError, ValueError) as error:
        raise InputError(
            f"spec {str(text)[:60]!r}",
            f"it is no JSON ({error})",
            "spec_from_json(dataset.attrs['spec'])",
        ) from error
    return _decode(tree, frozenset(modules))


def spec_hash(spec: Any) -> str:
    """Sixteen hexadecimal digits of the SHA-256 of ``spec_to_json(spec)``."""
    return hashlib.sha256(spec_to_json(spec).encode()).hexdigest()[:16]


def _dump(tree: Any) -> str:
    return json.dumps(tree, sort_keys=True, separators=(",", ":"), allow_nan=False)


def _encode(value: Any, path: str) -> Any:
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else {"float": str(value)}
    if isinstance(value, np.generic):
        return _encode(value.item(), path)
    if isinstance(value, list | tuple):
        items = [_encode(v, f"{path}[{i}]") for i, v in enumerate(value)]
        return {"tuple": items} if isinstance(value, tuple) else items
    if isinstance(value, dict):
        return {"dict": [[k, _encode(v, f"{path}.{k}")] for k, v in value.items()]}
    if hasattr(type(value), "__spec__"):
        return _encode(value.__spec__(), path)
    named = _name_in_module(value)
    if named is not None:
        return {"object": named}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        kind = type(value)
        fields = {
            field.name: _encode(getattr(value, field.name), f"{path}.{field.name}")
            for field in dataclasses.fields(value)
            if field.init
        }
        return {"class": f"{kind.__module__}:{kind.__qualname__}", **fields}
    if hasattr(value, "__array__"):
        return _encode_array(np.asarray(value))
    raise InputError(
        f"{path}={value!r}",
        f"a {type(value).__name__} has no JSON form, so no file could name it",
        "a frozen dataclass or an object defined at the top of a module",
    )


def _encode_array(array: np.ndarray) -> Any:
    form = {"shape": list(array.shape), "dtype": str(array.dtype)}
    if array.size <= _SMALL and array.dtype.kind in "biuf":
        values = [_encode(v, "array") for v in array.ravel().tolist()]
        return {"array": values, **form}
    digest = hashlib.sha256(np.ascontiguousarray(array).tobytes()).hexdigest()
    return {"digest": digest, **form}


def _name_in_module(value: Any) -> str | None:
    """``module:name`` if the value is what that module calls by that name."""
    module = getattr(value, "__module__", None)
    name = getattr(value, "name", None) or getattr(value, "__qualname__", None)
    if not isinstance(name, str) or module not in sys.modules:
        return None
    found = getattr(sys.modules[module], name, None)
    return f"{module}:{name}" if found is value else None


def _decode(tree: Any, modules: frozenset[str]) -> Any:
    if isinstance(tree, list):
        return [_decode(item, modules) for item in tree]
    if not isinstance(tree, dict):
        return tree
    if "float" in tree:
        return float(tree["float"])
    if "tuple" in tree:
        return tuple(_decode(item, modules) for item in tree["tuple"])
    if "dict" in tree:
        return {key: _decode(item, modules) for key, item in tree["dict"]}
    if "object" in tree:
        return _find(tree["object"], modules)
    if "array" in tree:
        flat = np.array([_decode(v, modules) for v in tree["array"]], tree["dtype"])
        return flat.reshape(tree["shape"])
    if "digest" in tree:
        raise InputError(
            f"an array of shape {tuple(tree['shape'])} kept only as a digest",
            "the specification names the data set but does not hold it",
            "building the flow from the data set itself",
        )
    kind = _find(tree["class"], modules)
    return kind(**{k: _decode(v, modules) for k, v in tree.items() if k != "class"})


def _find(name: str, modules: frozenset[str]) -> Any:
    module, _, attribute = name.partition(":")
    if module.split(".")[0] != _HOME and module not in modules:
        raise InputError(
            f"specification of {name}",
            f"only classes of {_HOME} are loaded by name from a file",
            f"spec_from_json(text, modules=[{module!r}]) if you trust that module",
        )
    try:
        return getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        raise InputError(
            f"specification of {name}",
            "this version of jaxbias has nothing of that name",
            "the version written in the file's 'jaxbias' attribute",
        ) from error
