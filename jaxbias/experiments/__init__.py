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
    from jaxbias.experiments.flow import Flow as Flow
    from jaxbias.experiments.measurement import Centres as Centres
    from jaxbias.experiments.measurement import Measurement as Measurement
    from jaxbias.experiments.measurement import Network as Network
    from jaxbias.experiments.measurement import Radii as Radii
    from jaxbias.experiments.measurement import weights_of as weights_of
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
    "Flow": "jaxbias.experiments.flow",
    "Centres": "jaxbias.experiments.measurement",
    "Measurement": "jaxbias.experiments.measurement",
    "Network": "jaxbias.experiments.measurement",
    "Radii": "jaxbias.experiments.measurement",
    "weights_of": "jaxbias.experiments.measurement",
    "Module": "jaxbias.experiments.named",
    "Optimiser": "jaxbias.experiments.named",
    "Schedule": "jaxbias.experiments.named",
    "Training": "jaxbias.experiments.training",
}

__all__ = [
    "Centres",
    "Column",
    "ContractError",
    "Descend",
    "Experiment",
    "Flow",
    "Measurement",
    "Module",
    "Network",
    "Optimiser",
    "Outcome",
    "Radii",
    "Schedule",
    "Training",
    "Work",
    "check",
    "weights_of",
]


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return getattr(importlib.import_module(_LAZY[name]), name)
    raise AttributeError(f"module 'jaxbias.experiments' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
