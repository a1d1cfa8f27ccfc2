"""The verb `radius`: an interval with a witness, for one network or many."""

import operator
from collections.abc import Iterator
from typing import Any

import jax
import numpy as np

from jaxbias._checks import InputError, one_of
from jaxbias.networks.activations import Activation
from jaxbias.networks.readouts import ProbabilitySum, Readout
from jaxbias.networks.weights import Weights
from jaxbias.robustness._branching import Budget
from jaxbias.robustness._case import Case, Options
from jaxbias.robustness._cast import check_dtype, held
from jaxbias.robustness._inputs import (
    check_box,
    check_centres,
    check_options,
    check_order,
    check_points,
    unpack,
)
from jaxbias.robustness._interval import close, open_case
from jaxbias.robustness._normal_form import NormalForm, normal_form
from jaxbias.robustness._problems import Tried, attacked, thinned, tries
from jaxbias.robustness._radius import Radius
from jaxbias.robustness._reading import reading
from jaxbias.robustness.minimum_norm import Search

# Sizes of attacked networks are multiples of this.
_SIZES = 8


def radius(
    network: Any,
    inputs: Any,
    labels: Any,
    *,
    order: float | int | str = 2,
    effort: str = "bounds",
    readout: Readout | None = None,
    tie: str = "<=",
    box: tuple[Any, Any] | None = None,
    centres: Any = None,
    activation: Activation | None = None,
    certify_dtype: Any = "float64",
    witness_dtype: Any = None,
    search: Search | None = None,
    budget: Budget | None = None,
) -> Radius:
    r"""Bounds on the distance from each input to the nearest point of another label.

    $r^*(x) = \min\{\|\delta\|_q : m(x+\delta) \le 0\}$ with m the margin of the
    read-out. The numbers given are taken as exact. The lower end is certified in
    float64, the upper end belongs to a witness that the real forward pass confirms in
    float64; an input that is already wrong, or tied, has radius 0.

    Args:
        network: a :class:`TwoLayerNetwork` (a flax nnx module), or
            :class:`Weights` together with ``activation``.
        inputs: points, (sample, feature).
        labels: (sample,): +1 and -1, or class numbers for several outputs.
        order: 2 or infinity (``"inf"`` and ``np.inf`` both do).
        effort: ``"attack"``: upper ends alone, by a minimum-norm attack.
            ``"bounds"``: closed forms below as well.
            ``"tight"``: convex relaxations solved to the optimum as well.
            ``"exact"``: branch and bound until the ends meet or the budget is spent;
            for ReLU networks in l_inf by HiGHS unless the budget names the tree, with
            a lower end that is as good as its tolerances.
        readout: how outputs decide; the sign or the largest one when left out. Those
            that sum over groups of classes take labels +1 and -1.
        tie: ``"<="``: a margin of 0 is broken; ``"<"``: only a negative one is. They
            differ where the network is 0 on a whole region.
        box: lowest and highest inputs, numbers or (feature,), that a witness must keep
            to. Lower ends do without it and stay valid; HiGHS's is of the box.
        centres: cluster centres (cluster, feature), as further starts of the attack.
        activation: needed with bare :class:`Weights` only.
        certify_dtype: only ``"float64"``.
        witness_dtype: the type of the points and the network that a witness must flip,
            beside float64; that of the weights when left out. Witnesses are numbers of
            that type, and a little further away: ``margin`` says by how much.
        search: how hard the attack tries.
        budget: when ``"exact"`` gives up.

    Example:
        >>> import jax, jaxbias as jb
        >>> spec = jb.networks.TwoLayer(8, init=jb.networks.balanced(1.0))
        >>> network = spec.build(jax.random.key(0), dim=4)
        >>> r = jb.robustness.radius(network, [[1.0, 0.0, 0.0, 0.0]], [1.0])
        >>> bool((r.lower <= r.upper).all())
        True

    Raises:
        InputError: for anything that is no two-layer network, non-finite weights or
            inputs, shapes or labels that do not fit, an unknown order or effort, a
            read-out for another number of outputs, a point outside the box, and a
            request to certify in float32.

    References:
        min-vidal-2024; min-vidal-2025; li-2025-feature-averaging.
    """
    options = _options(order, effort, tie, certify_dtype, search, budget)
    weights, activation, normalise = unpack(network, activation)
    dtype = check_dtype(witness_dtype, weights)
    # The sum of probabilities is the one read-out that scales change.
    divided = not isinstance(readout, ProbabilitySum)
    form = normal_form(weights, activation, normalise_inputs=normalise, divided=divided)
    case = _case(weights, form, inputs, labels, centres, box, readout, options)
    found = close(case, _tries(case, options), options)
    return _held(found, case, weights, box, normalise, dtype)


def radius_batch(
    weights: Weights,
    activation: Activation,
    inputs: Any,
    labels: Any,
    *,
    order: float | int | str = 2,
    effort: str = "bounds",
    readout: Readout | None = None,
    tie: str = "<=",
    box: tuple[Any, Any] | None = None,
    centres: Any = None,
    certify_dtype: Any = "float64",
    witness_dtype: Any = None,
    search: Search | None = None,
    budget: Budget | None = None,
) -> Radius:
    """:func:`radius` of many networks of one shape; every field leads with ``run``.

    The attacks of all runs are one compiled program. Padded neurons are inert.

    Args:
        weights: every array with a leading run axis.
        activation: shared by all runs.
        inputs: points of each run (run, sample, feature), or shared ones.
        labels: labels of each run (run, sample), or shared ones.
        order: 2 or infinity.
        effort: ``"attack"``, ``"bounds"``, ``"tight"`` or ``"exact"``.
        readout: how outputs decide.
        tie: ``"<="`` or ``"<"``.
        box: lowest and highest inputs that a witness must keep to.
        centres: centres of each run (run, cluster, feature), or shared ones.
        certify_dtype: only ``"float64"``.
        witness_dtype: the type that witnesses are for; that of the weights.
        search: how hard the attack tries.
        budget: when ``"exact"`` gives up on a run.

    Raises:
        InputError: as :func:`radius`.
    """
    options = _options(order, effort, tie, certify_dtype, search, budget)
    arrays = jax.tree.map(np.asarray, weights)
    dtype = check_dtype(witness_dtype, arrays)
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
    for one in single:
        unpack(one, activation)
    # The sum of probabilities is the one read-out that scales change.
    divided = not isinstance(readout, ProbabilitySum)
    forms = [
        normal_form(one, activation, compact=False, divided=divided) for one in single
    ]
    # All attacks have the size of the largest, and few sizes are compiled.
    largest = max(len(thinned(reading(form, readout).form).rows) for form in forms)
    size = min(-(-largest // _SIZES) * _SIZES, len(forms[0].rows))
    parts = []
    for one, form, x, y, mu in zip(single, forms, points, names, middles, strict=True):
        case = _case(one, form, x, y, mu, box, readout, options, size)
        found = close(case, _tries(case, options), options)
        parts.append(_held(found, case, one, box, False, dtype))
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
        first.witness_dtype,
        join("margin"),
    )


def _options(
    order: Any,
    effort: str,
    tie: str,
    certify_dtype: Any,
    search: Search | None,
    budget: Budget | None,
) -> Options:
    check_options(effort, certify_dtype)
    one_of("tie", tie, ("<=", "<"))
    search, budget = search or Search(), budget or Budget()
    return Options(check_order(order), effort, tie, search, budget)


def _case(
    weights: Weights,
    form: NormalForm,
    inputs: Any,
    labels: Any,
    centres: Any,
    box: Any,
    readout: Readout | None,
    options: Options,
    size: int | None = None,
) -> Case:
    read = reading(form, readout)
    points, names = check_points(inputs, labels, weights, read.groups is not None)
    if centres is not None:
        centres = check_centres(centres, points)
    box = check_box(box, points)
    network = attacked(read, options.order, box is not None, size)
    return open_case(weights, read, points, names, network, box, centres, options)


def _held(
    found: Radius, case: Case, weights: Weights, box: Any, normalise: bool, dtype: Any
) -> Radius:
    activation, readout = case.reading.form.activation, case.reading.readout
    points = case.points
    return held(
        found,
        weights,
        activation,
        normalise,
        readout,
        points,
        case.labels,
        check_box(box, points),
        dtype,
    )


def _tries(case: Case, options: Options) -> Iterator[Tried]:
    how = (case.reading.form.activation, options.order, options.search)
    return tries(case.attacked, case.sites, case.labels, case.centres, case.box, how)
