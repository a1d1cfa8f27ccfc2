"""Sweeps: many runs in few programs. Parsing is loaded at once, JAX on first use."""

import importlib
from typing import TYPE_CHECKING, Any

from jaxbias.sweeps.grid import parse_over as parse_over
from jaxbias.sweeps.grid import parse_shard as parse_shard

if TYPE_CHECKING:
    from jaxbias.sweeps.keys import run_key as run_key
    from jaxbias.sweeps.keys import stream_key as stream_key
    from jaxbias.sweeps.run import sweep as sweep

_LAZY = {
    "sweep": "jaxbias.sweeps.run",
    "run_key": "jaxbias.sweeps.keys",
    "stream_key": "jaxbias.sweeps.keys",
}

__all__ = ["parse_over", "parse_shard", "run_key", "stream_key", "sweep"]


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return getattr(importlib.import_module(_LAZY[name]), name)
    raise AttributeError(f"module 'jaxbias.sweeps' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
