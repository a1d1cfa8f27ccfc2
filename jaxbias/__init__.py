"""The numerical laboratory for the theory of implicit bias and adversarial robustness.

Everything is loaded on first use (PEP 562), so that results and figures can be
read and drawn without importing JAX.
"""

import importlib
from typing import Any

__version__ = "0.1.0"

_SUBPACKAGES = (
    "data",
    "networks",
    "losses",
    "dynamics",
    "observables",
    "robustness",
    "theory",
    "results",
    "plots",
    "experiments",
    "sweeps",
    "studies",
    "verification",
)
_VERBS = {
    "times": ("jaxbias.dynamics.schedule", None),
    "gradient_flow": ("jaxbias.verbs", "gradient_flow"),
    "gradient_descent": ("jaxbias.verbs", "gradient_descent"),
    "radius": ("jaxbias.robustness", "radius"),
    "verify": ("jaxbias.verification", "verify"),
    "sweep": ("jaxbias.sweeps", "sweep"),
    "open": ("jaxbias.results", "open"),
    "cite": ("jaxbias.citations", "cite"),
    "InputError": ("jaxbias._checks", "InputError"),
    "AccuracyWarning": ("jaxbias._checks", "AccuracyWarning"),
}

# pyright cannot see names that are loaded on first use.
__all__ = ["__version__", *_SUBPACKAGES, *_VERBS]  # pyright: ignore[reportUnsupportedDunderAll]


def __getattr__(name: str) -> Any:
    if name in _SUBPACKAGES:
        return importlib.import_module(f"jaxbias.{name}")
    if name in _VERBS:
        module, attribute = _VERBS[name]
        loaded = importlib.import_module(module)
        return loaded if attribute is None else getattr(loaded, attribute)
    raise AttributeError(f"module 'jaxbias' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
