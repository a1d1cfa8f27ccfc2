"""An activation of a user's own, held against what the class promises.

A wrong degree or slope shows in no run: the reduced form follows ``slope``, the raw one
differentiates ``value``, and radii scale by ``degree``. So both are tested once, when
the activation is built into a network.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from jaxbias._checks import InputError
from jaxbias.networks.activations import Activation, LeakyReLU, Power, PReLU, ReLU

_PACKAGE = (ReLU, LeakyReLU, PReLU, Power)
#: Within this range a power of 20 stays a float32 number; no two in the ratio 2.
_SIZES = np.geomspace(0.03, 30.0, 25)
POINTS = np.concatenate([-_SIZES[::-1], _SIZES])
_ROUNDING = 64


def check_activation(activation: Activation) -> None:
    r"""Refuse an activation whose ``degree`` or ``slope`` is not that of its ``value``.

    $\psi(2c) = 2^p\,\psi(c)$ and $\psi'(c)$ = ``slope`` are tested at 50 points, 25 of
    either sign, to the root of the precision of the default float; at 0 both the slope
    and JAX's derivative of the value must be finite, whichever side they are taken
    from. The package's own classes are not tested here.

    Raises:
        InputError: naming the property that fails and the point where it does.
    """
    if type(activation) in _PACKAGE:
        return
    try:
        hash(activation)
    except TypeError:
        return _check(activation)
    return _check_once(activation)


# An activation says by == which others are the same function; errors are not kept.
@functools.lru_cache(maxsize=256)
def _check_once(activation: Activation) -> None:
    _check(activation)


def _check(activation: Activation) -> None:
    c = np.append(POINTS, 0.0).astype(jnp.result_type(float))

    def measured(c: Array) -> dict[str, tuple[Array, ...]]:
        # Backwards, as flows and attacks do: 0/0 in a branch not taken is NaN then.
        derivative = jax.grad(lambda x: jnp.sum(activation.value(x)))(c)
        return {
            "value": (activation.value(c), activation.value(2 * c)),
            "slope": (activation.slope(c), derivative),
        }

    # A program of its own: inside a traced function nothing else would be known.
    program = jax.jit(measured).lower(c)
    for name, (array, _) in program.out_info.items():
        if array.shape != c.shape or array.dtype != c.dtype:
            raise InputError(
                f"activation={activation!r} whose {name} of {c.dtype}{list(c.shape)}"
                f" is {array.dtype}{list(array.shape)}",
                "it is one number for each number, of the same type",
                f"a {name} that works entry by entry in the type of c",
            )
    found = jax.tree.map(lambda a: np.asarray(a, np.float64), program.compile()(c))
    precision = float(np.finfo(c.dtype).eps)
    value, twice = found["value"]
    slope, derivative = found["slope"]
    _same_degree(activation, value, twice, precision)
    _same_slope(activation, slope, derivative, precision)


def _same_degree(activation: Activation, value, twice, precision: float) -> None:
    degree = float(activation.degree)
    at = np.append(POINTS, 0.0)
    wanted = 2.0**degree * value
    bad = _differ(twice, wanted, np.abs(at) ** degree, precision)
    if bad is None:
        return
    with np.errstate(divide="ignore", invalid="ignore"):
        powers = np.log2(twice / value)[:-1]
    powers = powers[np.isfinite(powers)]
    fix = "a value that is positively homogeneous, such as jax.nn.relu(c) ** degree"
    if powers.size and np.ptp(powers) < 1e-2:
        fix = f"degree={powers.mean():.3g}"
    raise InputError(
        f"activation={activation!r} with value({2 * at[bad]:.3g})={twice[bad]:.5g} and "
        f"value({at[bad]:.3g})={value[bad]:.5g}",
        f"its degree {degree:g} says value(2c) = 2**{degree:g} value(c), which fails",
        fix,
    )


def _same_slope(activation: Activation, slope, derivative, precision: float) -> None:
    at = np.append(POINTS, 0.0)
    sizes = np.abs(at) ** (float(activation.degree) - 1.0)
    # At the kink any finite slope will do: there is no derivative to hold it against.
    finite = np.isfinite(slope[-1]) and np.isfinite(derivative[-1])
    bad = _differ(slope[:-1], derivative[:-1], sizes[:-1], precision)
    if bad is None and not finite:
        bad = len(at) - 1
    if bad is None:
        return
    fix = "slope = the derivative of value"
    if not np.isfinite(derivative[bad]):
        fix = (
            "a value without 0/0 in the branch not taken, such as "
            "jnp.where(c > 0, jnp.where(c > 0, c, 1.0) ** degree, 0.0)"
        )
    raise InputError(
        f"activation={activation!r} with slope({at[bad]:.3g})={slope[bad]:.5g}",
        f"the derivative of its value there is {derivative[bad]:.5g}, as JAX finds it",
        fix,
    )


def _differ(one, other, sizes, precision: float) -> int | None:
    """Where two differ the most, if by more than rounding; NaN differs from all.

    ``sizes`` are how the terms grow that may have cancelled.
    """
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        unit = np.nan_to_num(np.abs(other) / sizes, posinf=0.0).max()
        allowed = precision**0.5 * np.abs(other) + _ROUNDING * precision * unit * sizes
        excess = np.abs(one - other) - allowed
    bad = ~(excess <= 0)
    if not bad.any():
        return None
    relative = np.where(np.isfinite(excess), excess, np.inf) / np.maximum(sizes, 1e-300)
    return int(np.argmax(np.where(bad, relative, -np.inf)))
