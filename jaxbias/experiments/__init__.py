"""Experiments: what a sweep can run many times. JAX is loaded on first use."""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jaxbias.experiments.contract import check as check
    from jaxbias.experiments.descent import Descend as Descend
    from jaxbias.experiments.experiment import Column as Column
    from jaxbias.experiments.experiment import Experiment as Experiment
    from jaxbias.experiments.experiment import Outcome as Outcome
    from jaxbias.experiments.experiment import Work as Work
    from jaxbias.experiments.named import Module as Module
    from jaxbias.experiments.named import Optimiser as Optimiser
    from jaxbias.experiments.named import Schedule as Schedule
    from jaxbias.experiments.training import Training as Training
    from jaxbias.experiments.walk import ContractError as ContractError

_LAZY = {
    "Column": "jaxbias.experiments.experiment",
    "Descend": "jaxbias.experiments.descent",
    "Experiment": "jaxbias.experiments.experiment",
    "Outcome": "jaxbias.experiments.experiment",
    "Work": "jaxbias.experiments.experiment",
    "ContractError": "jaxbias.experiments.walk",
    "check": "jaxbias.experiments.contract",
    "Module": "jaxbias.experiments.named",
    "Optimiser": "jaxbias.experiments.named",
    "Schedule": "jaxbias.experiments.named",
    "Training": "jaxbias.experiments.training",
}

__all__ = [
    "Column",
    "ContractError",
    "Descend",
    "Experiment",
    "Module",
    "Optimiser",
    "Outcome",
    "Schedule",
    "Training",
    "Work",
    "check",
]


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return getattr(importlib.import_module(_LAZY[name]), name)
    raise AttributeError(f"module 'jaxbias.experiments' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
