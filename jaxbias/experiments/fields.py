"""Fields of nested dataclasses by their dotted paths. Free of JAX."""

import dataclasses
from collections.abc import Iterator
from typing import Any


def field_paths(spec: Any, prefix: str = "") -> Iterator[str]:
    """Dotted paths of every field of nested dataclasses that an axis could set."""
    for field in dataclasses.fields(spec):
        value = getattr(spec, field.name)
        if not field.init or hasattr(value, "__array__"):
            continue
        path = prefix + field.name
        yield path
        if dataclasses.is_dataclass(value):
            yield from field_paths(value, path + ".")


def get_at(spec: Any, path: str) -> Any:
    """The value of the field at a dotted path."""
    for name in path.split("."):
        spec = getattr(spec, name)
    return spec


def replace_at(spec: Any, path: str, value: Any) -> Any:
    """A copy of nested dataclasses with one field replaced."""
    name, _, rest = path.partition(".")
    inner = replace_at(getattr(spec, name), rest, value) if rest else value
    return dataclasses.replace(spec, **{name: inner})
