"""The verb `radius`: bounds with a witness, for one network or many."""

import functools
import math
import operator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Float, Shaped

from jaxbias._checks import InputError, finite_array, one_of
from jaxbias.networks.activations import Activation
from jaxbias.networks.weights import Weights, predict
from jaxbias.robustness._normal_form import NormalForm, normal_form
from jaxbias.robustness._radius import TIE, Radius
from jaxbias.robustness.certificates import has_certificate, root_certificate
from jaxbias.robustness.minimum_norm import Problem, Search, attack_many

EFFORTS = ("bounds",)
_NEURONS, _SAMPLES = 64, 64
# Last resorts when the real forward pass rounds a point back over the boundary.
_NUDGES = (0.0, 1e-14, 1e-12, 1e-10, 1e-8, 1e-6, 1e-4, 1e-2, 0.1, 0.3)
_FINE = 1e-8


def radius(
    network: Any,
    inputs: Shaped[Any, "sample feature"],
    labels: Shaped[Any, " sample"],
    *,
    order: float = 2,
    effort: str = "bounds",
    centres: Shaped[Any, "cluster feature"] | None = None,
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
        inputs: points.
        labels: +1 and -1, or class numbers for a network with several outputs.
        order: 2 or infinity (``"inf"`` and ``np.inf`` both do).
        effort: ``"bounds"``.
        centres: cluster centres, as further starts of the attack.
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
    order = _order(order)
    _options(effort, certify_dtype)
    weights, activation, normalise = _unpack(network, activation)
    points, names = _points(inputs, labels, weights)
    if centres is not None:
        centres = _centres(centres, points)
    form = normal_form(weights, activation, normalise_inputs=normalise)
    problems, slots = _problems(form, points, names, centres)
    return _assemble(
        weights, form, points, names, order, problems, slots, search or Search()
    )


def radius_batch(
    weights: Weights,
    activation: Activation,
    inputs: Shaped[Any, "run sample feature"] | Shaped[Any, "sample feature"],
    labels: Shaped[Any, "run sample"] | Shaped[Any, " sample"],
    *,
    order: float = 2,
    effort: str = "bounds",
    centres: Shaped[Any, "run cluster feature"]
    | Shaped[Any, "cluster feature"]
    | None = None,
    certify_dtype: Any = "float64",
    search: Search | None = None,
) -> Radius:
    """:func:`radius` of many networks of one shape; every field leads with ``run``.

    The attacks of all runs are one compiled program. Padded neurons are inert.

    Args:
        weights: every array with a leading run axis.
        activation: shared by all runs.
        inputs: points of each run, or shared points.
        labels: labels of each run, or shared ones.
        order: 2 or infinity.
        effort: ``"bounds"``.
        centres: centres of each run, or shared ones.
        certify_dtype: only ``"float64"``.
        search: how hard the attack tries.

    Raises:
        InputError: as :func:`radius`.
    """
    order = _order(order)
    _options(effort, certify_dtype)
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
    forms, checked, stacked = [], [], []
    for one, x, y, mu in zip(single, points, names, middles, strict=True):
        _unpack(one, activation)
        x, y = _points(x, y, one)
        mu = None if mu is None else _centres(mu, x)
        form = normal_form(one, activation, compact=False)
        forms.append(form)
        checked.append((x, y))
        stacked.append(_problems(form, x, y, mu))
    if forms[0].classes is not None:
        parts = [
            _assemble(one, form, *xy, order, *problem, search)
            for one, form, xy, problem in zip(
                single, forms, checked, stacked, strict=True
            )
        ]
    else:
        fields = zip(*(problem for problem, _ in stacked), strict=True)
        found = _solve(Problem(*map(np.concatenate, fields)), activation, order, search)
        parts = [
            _assemble(one, form, *xy, order, None, slots, search, found=part)
            for one, form, xy, (_, slots), part in zip(
                single, forms, checked, stacked, found, strict=True
            )
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


def _problems(
    form: NormalForm,
    points: np.ndarray,
    labels: np.ndarray,
    centres: np.ndarray | None,
) -> tuple[Problem, np.ndarray]:
    """Scalar problems on a leading axis, and which points each row stands for."""
    scores = form.scores(points)
    # A point at the typical distance in the direction of a neuron sees what fires with
    # it; the row of ones, which no point need have, switches every neuron on.
    scale = math.sqrt(float((points**2).sum(1).mean())) or 1.0
    gram = form.rows @ form.rows.T
    anchors = [np.full((1, len(form.rows)), scale)]
    if centres is not None:
        anchors.append(form.scores(centres))
    sizes = np.abs(form.amplitudes).reshape(len(form.rows), -1)
    signed = form.amplitudes if form.classes is None else sizes.max(1)
    for side in (signed, -signed):
        top = np.argsort(-side)[:_NEURONS]
        anchors.append(scale * gram[top] + form.offsets)
    every = max(1, math.ceil(len(points) / _SAMPLES))
    anchors.append(scores[::every])
    table = np.concatenate(anchors)
    rows = form.rows[None]
    if form.classes is None:
        constants = form.constants(points, float(form.constant))
        slots = np.arange(len(points))[None]
        single = (form.amplitudes, scores, constants, labels.astype(float), table)
        amplitudes, scores, constants, signs, table = (a[None] for a in single)
        return Problem(
            rows, gram[None], amplitudes, scores, constants, signs, table
        ), slots
    pairs, slots = [], []
    largest = int(np.bincount(labels).max())
    for label in np.unique(labels):
        members = np.flatnonzero(labels == label)
        for rival in range(form.classes):
            if rival != label:
                pairs.append((label, rival))
                slots.append(np.resize(members, largest))
    slots = np.stack(slots)
    ours, theirs = np.array(pairs).T
    amplitudes = (form.amplitudes[:, ours] - form.amplitudes[:, theirs]).T
    unit = form.constants(points, 1.0)[slots]
    constants = (form.constant[ours] - form.constant[theirs])[:, None] * unit
    tables = np.broadcast_to(table, (len(pairs), *table.shape))
    signs = np.ones(slots.shape)
    return Problem(
        rows, gram[None], amplitudes, scores[slots], constants, signs, tables
    ), slots


def _solve(problem: Problem, activation: Activation, order: float, search: Search):
    """The attack on every problem, as a list of float64 arrays per problem."""
    top = np.maximum(
        np.abs(problem.amplitudes).max(1), np.abs(problem.constants).max(1)
    )
    top = np.where(top > 0, top, 1.0)
    problem = problem._replace(
        amplitudes=problem.amplitudes / top[:, None],
        constants=problem.constants / top[:, None],
    )
    block = None if jax.default_backend() == "cpu" else 64
    with jax.enable_x64(True):
        arrays = Problem(*(jnp.asarray(a, jnp.float64) for a in problem))
        found = attack_many(arrays, activation, order, search, block)
        found = jax.tree.map(np.asarray, found)
    return list(zip(*found, strict=True))


def _assemble(
    weights: Weights,
    form: NormalForm,
    points: np.ndarray,
    labels: np.ndarray,
    order: float,
    problem: Problem | None,
    slots: np.ndarray,
    search: Search,
    found: Any = None,
) -> Radius:
    forward = functools.partial(
        _margins, weights, form.activation, form.scaled_constant, labels
    )
    if found is None:
        assert problem is not None
        found = _solve(problem, form.activation, order, search)
    else:
        found = [found]
    everyone = np.arange(len(points))
    clean = forward(points, everyone)
    upper = np.full(len(points), np.inf)
    witness, starts = points.copy(), np.full(len(points), -1)
    for (perturbation, flipped, start), rows in zip(found, slots, strict=True):
        _, first = np.unique(rows, return_index=True)
        rows, moved = rows[first], perturbation[first]
        length = _norms(moved, order)
        hope = flipped[first] & (length < upper[rows]) & (clean[rows] > 0)
        reached, length = _recheck(points, moved, length, rows, hope, forward, order)
        better = np.isfinite(length) & (length < upper[rows])
        chosen = rows[better]
        upper[chosen], witness[chosen] = length[better], reached[better]
        starts[chosen] = start[first][better]
    broken = clean <= 0
    upper[broken], witness[broken] = 0.0, points[broken]
    lower, why = _lower(form, points, labels, order)
    lower[broken] = 0.0
    status = np.where(np.isfinite(upper), "bounds", "no witness").astype(object)
    if why:
        status += f"; lower end 0: {why}"
    status[broken] = "broken when clean"
    names = ["clean", "all on"] + ["anchor"] * search.picks + ["none"]
    certificate = "none" if why else "root certificate"
    method = [f"{certificate} / minimum norm from {names[s]}" for s in starts]
    method = np.where(broken, "forward pass", method)
    return Radius(
        lower=lower,
        upper=upper,
        witness=witness,
        order=order,
        readout="score" if form.classes is None else "argmax",
        tie=TIE,
        method=method,
        status=status.astype(str),
        nodes=np.zeros(len(points), int),
    )


def _recheck(points, moved, length, rows, hope, forward, order):
    """Witnesses that the real forward pass confirms, and their lengths."""
    clean = points[rows]
    reached, sizes = clean.copy(), np.full(len(rows), np.inf)
    open_rows = np.flatnonzero(hope)
    for nudge in _NUDGES:
        if not len(open_rows):
            break
        trial = clean[open_rows] + (1 + nudge) * moved[open_rows]
        good = forward(trial, rows[open_rows]) <= 0
        done = open_rows[good]
        reached[done] = trial[good]
        if nudge > _FINE:
            share = np.ones(len(done))
            low = np.zeros(len(done))
            step = reached[done] - clean[done]
            for _ in range(40):
                middle = (low + share) / 2
                flips = forward(clean[done] + middle[:, None] * step, rows[done]) <= 0
                low, share = (
                    np.where(flips, low, middle),
                    np.where(flips, middle, share),
                )
            reached[done] = clean[done] + share[:, None] * step
        open_rows = open_rows[~good]
    done = np.setdiff1d(np.flatnonzero(hope), open_rows)
    # The witness is exact; its distance is rounded upwards.
    terms = points.shape[1] + 8
    sizes[done] = _norms(reached[done] - clean[done], order) * (1 + terms * 2.0**-52)
    return reached, sizes


def _lower(form, points, labels, order) -> tuple[np.ndarray, str]:
    lower = np.full(len(points), np.inf)
    if not has_certificate(form.activation):
        name = type(form.activation).__name__
        return np.zeros(len(points)), f"no certificate for {name}"
    unit = form.constants(points, 1.0)
    if form.classes is None:
        sides = [
            (np.flatnonzero(labels == y), y * form.amplitudes, y * float(form.constant))
            for y in (1, -1)
        ]
    else:
        sides = [
            (
                np.flatnonzero(labels == y),
                form.amplitudes[:, y] - form.amplitudes[:, k],
                float(form.constant[y] - form.constant[k]),
            )
            for y in np.unique(labels)
            for k in range(form.classes)
            if k != y
        ]
    for rows, amplitudes, constant in sides:
        if len(rows):
            certified = root_certificate(
                form.rows,
                form.offsets,
                amplitudes,
                constant * unit[rows],
                points[rows],
                form.activation,
                order,
                constant_grows=form.scaled_constant and constant != 0,
            )
            lower[rows] = np.minimum(lower[rows], certified)
    return lower, ""


def _norms(vectors: np.ndarray, order: float) -> np.ndarray:
    if math.isinf(order):
        return np.abs(vectors).max(1, initial=0.0)
    return np.sqrt((vectors**2).sum(1))


@functools.partial(jax.jit, static_argnames=("activation", "normalise"))
def _forward(weights, activation, normalise, points):
    return predict(weights, activation, points, normalise_inputs=normalise)


def _margins(
    weights: Weights,
    activation: Activation,
    normalise: bool,
    labels: np.ndarray,
    points: np.ndarray,
    rows: np.ndarray,
) -> Float[np.ndarray, " sample"]:
    """The real forward pass in float64: y f, or f_y minus its best rival."""
    with jax.enable_x64(True):
        exact = lambda a: (
            jnp.asarray(a, jnp.float64)
            if np.issubdtype(np.asarray(a).dtype, np.floating)
            else jnp.asarray(a)
        )
        arrays = jax.tree.map(exact, jax.tree.map(np.asarray, weights))
        # Full height, so that the nudges do not each compile a program of their own.
        padded = np.zeros((len(labels), points.shape[1]))
        padded[: len(points)] = points
        values = _forward(arrays, activation, normalise, jnp.asarray(padded))
        outputs = np.asarray(values)[: len(points)]
    if outputs.ndim == 1:
        return labels[rows] * outputs
    index = np.arange(len(rows))
    own = outputs[index, labels[rows]]
    outputs = outputs.copy()
    outputs[index, labels[rows]] = -np.inf
    return own - outputs.max(1)


def _options(effort: str, certify_dtype: Any) -> None:
    one_of("effort", effort, EFFORTS)
    if np.dtype(certify_dtype) != np.float64:
        raise InputError(
            f"certify_dtype={np.dtype(certify_dtype).name!r}",
            "rounding in it is larger than the gaps a certificate decides",
            "certify_dtype='float64' (inputs and weights may have any precision)",
        )


def _order(order: Any) -> float:
    if order in (2, np.inf, "inf"):
        return float(order)
    raise InputError(
        f"order={order!r}", "radii are measured in l_2 or l_inf", "order=2"
    )


def _unpack(network: Any, activation: Activation | None):
    normalise = False
    if isinstance(network, nnx.Module) and hasattr(network, "weights"):
        activation = getattr(network, "activation", activation)
        normalise = bool(getattr(network, "normalise_inputs", False))
        weights: Weights = network.weights()  # pyright: ignore
    elif isinstance(network, Weights):
        weights = network
        if activation is None:
            raise InputError(
                "Weights without an activation",
                "the same weights are another function under another activation",
                "radius(weights, inputs, labels, activation=PReLU(3))",
            )
    else:
        raise InputError(
            f"a network of type {type(network).__name__}",
            "radii are computed for two-layer networks",
            "TwoLayer(...).build(key, dim), or Weights with activation=",
        )
    assert activation is not None
    weights = jax.tree.map(np.asarray, weights)
    for name in ("hidden", "output", "hidden_bias", "output_bias"):
        array = getattr(weights, name)
        if array is not None:
            finite_array(f"{name} weights", array)
    return weights, activation, normalise


def _points(inputs: Any, labels: Any, weights: Weights):
    points, labels = np.asarray(inputs, np.float64), np.asarray(labels)
    dim = weights.hidden.shape[-1]
    if points.ndim != 2 or points.shape[1] != dim or not len(points):
        raise InputError(
            f"inputs of shape {points.shape}",
            f"the network reads rows of {dim} features",
            f"inputs of shape (samples, {dim})",
        )
    finite_array("inputs", points)
    if labels.shape != (len(points),):
        raise InputError(
            f"labels of shape {labels.shape}",
            f"there are {len(points)} points",
            f"labels of shape ({len(points)},)",
        )
    if weights.output.ndim == 1:
        if not np.isin(labels, (-1, 1)).all():
            raise InputError(
                f"labels {np.unique(labels)[:5].tolist()}",
                "a network with one output tells +1 from -1",
                "np.where(labels > 0, 1.0, -1.0)",
            )
        return points, labels.astype(int)
    classes = weights.output.shape[1]
    whole = labels.astype(int)
    if (whole != labels).any() or (whole < 0).any() or (whole >= classes).any():
        raise InputError(
            f"labels {np.unique(labels)[:5].tolist()}",
            f"the network has {classes} outputs",
            f"class numbers from 0 to {classes - 1}",
        )
    return points, whole


def _centres(centres: Any, points: np.ndarray) -> np.ndarray:
    centres = np.asarray(centres, np.float64)
    if centres.ndim != 2 or centres.shape[1] != points.shape[1]:
        raise InputError(
            f"centres of shape {centres.shape}",
            f"the inputs have {points.shape[1]} features",
            f"centres of shape (clusters, {points.shape[1]})",
        )
    finite_array("centres", centres)
    return centres
