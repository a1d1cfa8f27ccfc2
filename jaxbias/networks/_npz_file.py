"""Networks in NumPy's ``.npz``."""

from pathlib import Path
from typing import Any

import numpy as np

from jaxbias._checks import InputError, one_of, told
from jaxbias._files import load_arrays
from jaxbias.networks._checked_weights import AS_ARRAYS
from jaxbias.networks._layers import Contents
from jaxbias.networks.activations import Activation, LeakyReLU, Power, PReLU, ReLU

_ACTIVATIONS: dict[str, Any] = {
    kind.__name__: kind for kind in (ReLU, LeakyReLU, PReLU, Power)
}
_SETTINGS = ("activation", "exponent", "leak", "frozen", "normalise_inputs")


def read_npz(path: Path, source: str, given: Activation | None) -> Contents:
    """The network in an ``.npz``; ``given`` decides what its exponent leaves open."""
    arrays = {
        name.replace("/", "."): array
        for name, array in load_arrays(path, source).items()
    }
    settings = {name: arrays.pop(name) for name in _SETTINGS if name in arrays}
    for name, value in settings.items():
        if value.shape:
            raise InputError(
                f"{source} with {name} of shape {value.shape}",
                "it is one value for the whole network",
                AS_ARRAYS,
            )
    return Contents(
        source,
        arrays,
        ordered=True,
        activation=_activation(settings, source, given),
        frozen=_truth(settings, "frozen", source),
        normalise_inputs=_truth(settings, "normalise_inputs", source),
    )


def _truth(settings: dict[str, np.ndarray], name: str, source: str) -> bool:
    """A setting that is true or false; the word 'no' would count as true."""
    value = settings.get(name, np.False_)
    if value.dtype.kind not in "biuf" or value not in (0, 1):
        raise InputError(
            f"{source} with {name}={told(value.item())}",
            "it is true or false",
            f"{name}=True or {name}=False in numpy.savez",
        )
    return bool(value)


def settings_of(activation: Activation) -> dict[str, Any]:
    """An activation as the arrays that stand for it in an ``.npz``.

    Raises:
        InputError: for an activation that is none of the package's own.
    """
    name = type(activation).__name__
    if _ACTIVATIONS.get(name) is not type(activation):
        raise InputError(
            f"activation={activation!r}",
            f"a file can name {', '.join(_ACTIVATIONS)}",
            "one of these",
        )
    if isinstance(activation, LeakyReLU):
        return {"activation": name, "leak": float(activation.leak)}
    return {"activation": name, "exponent": float(activation.degree)}


def _activation(
    settings: dict[str, np.ndarray], source: str, given: Activation | None
) -> Activation | None:
    exponent = settings.get("exponent")
    leak = settings.get("leak")
    if "activation" not in settings:
        if leak is not None and not (
            isinstance(given, LeakyReLU)
            and leak.dtype.kind in "iuf"
            and given.leak == leak
        ):
            raise InputError(
                f"{source} with leak {told(leak.item())} and "
                f"{given or 'no activation'}",
                "a slope below 0 belongs to LeakyReLU, and no other has one",
                "activation='LeakyReLU' beside leak in numpy.savez",
            )
        if exponent is None:
            return None
        if given is not None and given.degree == exponent:
            return given
        if given is None and exponent == 1:
            return ReLU()
        raise InputError(
            f"{source} with exponent {exponent} and {given or 'no activation'}",
            "the exponent has to be the activation's, and several have the same one",
            f"activation=PReLU({exponent}) or activation=Power({exponent})",
        )
    name = str(settings["activation"])
    name = next(
        (known for known in _ACTIVATIONS if known.lower() == name.lower()), name
    )
    one_of("activation", name, _ACTIVATIONS)
    leaky = name == "LeakyReLU"
    number = leak if leaky else exponent
    other = exponent if leaky else leak
    if other is not None and not (leaky and other == 1):
        raise InputError(
            f"{source} with activation {name!r} and "
            f"{'exponent' if leaky else 'leak'} {told(other.item())}",
            "they do not make one function",
            "leak= for LeakyReLU alone, exponent= for PReLU and Power",
        )
    if name == "ReLU" and number in (None, 1):
        return ReLU()
    if name == "ReLU" or number is None or number.dtype.kind not in "iuf":
        raise InputError(
            f"{source} with activation {name!r} and the number {number}",
            "they do not make one function",
            "exponent= for PReLU and Power, leak= for LeakyReLU, none for ReLU",
        )
    return _ACTIVATIONS[name](float(number))
