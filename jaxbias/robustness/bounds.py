"""The verb `radius`: bounds with a witness, for one network or many."""

import operator
from typing import Any

import jax
import numpy as np

from jaxbias._checks import InputError
from jaxbias.networks.activations import Activation
from jaxbias.networks.weights import Weights
from jaxbias.robustness._assemble import assemble
from jaxbias.robustness._geometry import Found, Problem
from jaxbias.robustness._inputs import (
    check_centres,
    check_options,
    check_order,
    check_points,
    unpack,
)
from jaxbias.robustness._normal_form import normal_form
from jaxbias.robustness._problems import prepare, solve
from jaxbias.robustness._radius import Radius
from jaxbias.robustness.minimum_norm import Search


def radius(
    network: Any,
    inputs: Any,
    labels: Any,
    *,
    order: float | int | str = 2,
    effort: str = "bounds",
    centres: Any = None,
    activation: Activation | None = None,
    certify_dtype: Any = "float64",
    search: Search | None = None,
) -> Radius:
    r"""Bounds on the distance from each input to the nearest point of another label.

    $r^*(x) = \min\{\|\delta\|_q : y f(x+\delta) \le 0\}$; with several classes the
    least over rivals k of the same for $f_y - f_k$. The numbers given are taken as
    exact. The lower end is the root certificate, the upper end a minimum-norm attack
    whose witness the real forward pass confirms in float64; an input that is already
    wrong, or tied, has radius 0.

    Args:
        network: a :class:`TwoLayerNetwork` (a flax nnx module), or
            :class:`Weights` together with ``activation``.
        inputs: points, (sample, feature).
        labels: (sample,): +1 and -1, or class numbers for several outputs.
        order: 2 or infinity (``"inf"`` and ``np.inf`` both do).
        effort: ``"bounds"``.
        centres: cluster centres (cluster, feature), as further starts of the attack.
        activation: needed with bare :class:`Weights` only.
        certify_dtype: only ``"float64"``.
        search: how hard the attack tries.

    Example:
        >>> import jax, jaxbias as jb
        >>> spec = jb.networks.TwoLayer(8, init=jb.networks.balanced(1.0))
        >>> network = spec.build(jax.random.key(0), dim=4)
        >>> r = jb.robustness.radius(network, [[1.0, 0.0, 0.0, 0.0]], [1.0])
        >>> bool((r.lower <= r.upper).all())
        True

    Raises:
        InputError: for anything that is no two-layer network, non-finite weights or
            inputs, shapes or labels that do not fit, an unknown order or effort, and a
            request to certify in float32.

    References:
        min-vidal-2024; min-vidal-2025.
    """
    order = check_order(order)
    check_options(effort, certify_dtype)
    weights, activation, normalise = unpack(network, activation)
    points, names = check_points(inputs, labels, weights)
    if centres is not None:
        centres = check_centres(centres, points)
    form = normal_form(weights, activation, normalise_inputs=normalise)
    prepared = prepare(form, points, names, centres, order)
    search = search or Search()
    found = solve(prepared.problem, activation, order, search)
    return assemble(weights, form, points, names, order, prepared, found, search.picks)


def radius_batch(
    weights: Weights,
    activation: Activation,
    inputs: Any,
    labels: Any,
    *,
    order: float | int | str = 2,
    effort: str = "bounds",
    centres: Any = None,
    certify_dtype: Any = "float64",
    search: Search | None = None,
) -> Radius:
    """:func:`radius` of many networks of one shape; every field leads with ``run``.

    The attacks of all runs are one compiled program. Padded neurons are inert.

    Args:
        weights: every array with a leading run axis.
        activation: shared by all runs.
        inputs: points of each run (run, sample, feature), or shared ones.
        labels: labels of each run (run, sample), or shared ones.
        order: 2 or infinity.
        effort: ``"bounds"``.
        centres: centres of each run (run, cluster, feature), or shared ones.
        certify_dtype: only ``"float64"``.
        search: how hard the attack tries.

    Raises:
        InputError: as :func:`radius`.
    """
    order = check_order(order)
    check_options(effort, certify_dtype)
    search = search or Search()
    arrays = jax.tree.map(np.asarray, weights)
    if arrays.hidden.ndim != 3:
        raise InputError(
            f"hidden weights of shape {arrays.hidden.shape}",
            "a batch of networks has a leading run axis",
            "radius(network, inputs, labels) for one network",
        )
    runs = len(arrays.hidden)
    single = [jax.tree.map(operator.itemgetter(run), arrays) for run in range(runs)]
    each = lambda array, ndim: (
        [array] * runs if np.ndim(array) < ndim else list(np.asarray(array))
    )
    points, names = each(inputs, 3), each(labels, 2)
    middles = [None] * runs if centres is None else each(centres, 3)
    cases = []
    for one, x, y, mu in zip(single, points, names, middles, strict=True):
        unpack(one, activation)
        x, y = check_points(x, y, one)
        mu = None if mu is None else check_centres(mu, x)
        form = normal_form(one, activation, compact=False)
        cases.append((one, form, x, y, prepare(form, x, y, mu, order)))
    problems = [case[-1].problem for case in cases]
    if cases[0][1].classes is None:
        fields = zip(*problems, strict=True)
        together = Problem._make(np.concatenate(field) for field in fields)
        lanes = solve(together, activation, order, search)
        found = [Found._make(field[i : i + 1] for field in lanes) for i in range(runs)]
    else:
        found = [solve(problem, activation, order, search) for problem in problems]
    parts = [
        assemble(one, form, x, y, order, prepared, answer, search.picks)
        for (one, form, x, y, prepared), answer in zip(cases, found, strict=True)
    ]
    join = lambda name: np.stack([getattr(part, name) for part in parts])
    first = parts[0]
    return Radius(
        join("lower"),
        join("upper"),
        join("witness"),
        first.order,
        first.readout,
        first.tie,
        join("method"),
        join("status"),
        join("nodes"),
    )
