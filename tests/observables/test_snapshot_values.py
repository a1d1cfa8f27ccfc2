"""Observables of small networks against numbers computed by hand and in NumPy."""

import equinox as eqx
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jaxbias import losses
from jaxbias._checks import InputError
from jaxbias.data.dataset import Dataset
from jaxbias.dynamics.snapshot import snapshot_of
from jaxbias.networks.activations import PReLU, ReLU
from jaxbias.networks.weights import Weights
from jaxbias.observables import REGISTRY as EVERY
from jaxbias.observables import Observable, averaging, resolve
from jaxbias.observables.rank import stable_rank

#: Those of averaging need a run, and have tests of their own.
REGISTRY = {
    name: observable
    for name, observable in EVERY.items()
    if observable.function.__module__ != averaging.__name__
}
NEURONS, DIM, CLUSTERS, SAMPLES = 6, 5, 3, 9
SIZES = {"neuron": NEURONS, "cluster": CLUSTERS, "sample": SAMPLES, "side": 2}
ACTIVATIONS = {1.0: ReLU(), 3.0: PReLU(3.0)}
LABELS = np.array([1.0, 1.0, -1.0])


def network(seed):
    rng = np.random.default_rng(seed)
    return rng.standard_normal((NEURONS, DIM)), rng.standard_normal(NEURONS)


def problem(seed=100):
    rng = np.random.default_rng(seed)
    clusters = np.arange(SAMPLES) % CLUSTERS
    centres = rng.standard_normal((CLUSTERS, DIM))
    inputs = centres[clusters] + 0.3 * rng.standard_normal((SAMPLES, DIM))
    return inputs, LABELS[clusters], clusters, centres


def look(
    hidden,
    output,
    exponent=3.0,
    mask=None,
    loss=losses.squared,
    inputs=None,
    bare=False,
):
    """The snapshot of a network on the problem, bias-free; bare: without centres."""
    rows, labels, clusters, centres = problem()
    inputs = rows if inputs is None else inputs
    mask = np.ones(len(output), bool) if mask is None else mask
    weights = Weights(
        jnp.asarray(hidden), jnp.asarray(output), None, None, jnp.asarray(mask)
    )
    data = Dataset(
        jnp.asarray(inputs),
        jnp.asarray(labels),
        jnp.asarray(clusters, jnp.int32),
        None if bare else jnp.asarray(centres),
        None if bare else jnp.asarray(LABELS),
    )
    return snapshot_of(weights, ACTIVATIONS[exponent], data, loss)


@eqx.filter_jit
def _everything(snapshot):
    return {name: observable(snapshot) for name, observable in REGISTRY.items()}


def measure(*network, **options):
    """All observables by name, compiled together."""
    found = _everything(look(*network, **options))
    return {name: np.asarray(value) for name, value in found.items()}


def outputs_by_hand(hidden, output, exponent):
    """Sums over neurons and samples, one term after the other."""
    found = []
    for x in problem()[0]:
        total = 0.0
        for w, v in zip(hidden, output, strict=True):
            norm = np.sqrt(w @ w)
            total += v * norm * max(x @ w / norm, 0.0) ** exponent
        found.append(total)
    return np.array(found)


def by_hand(name, hidden, output, exponent):
    """Every observable once more, in NumPy."""
    inputs, labels, _, centres = problem()
    norms = np.linalg.norm(hidden, axis=1)
    sizes = np.abs(output) * norms
    unit = lambda rows: rows / np.linalg.norm(rows, axis=1)[:, None]
    cosines = unit(centres) @ unit(hidden).T
    sides = np.stack([centres[LABELS > 0].sum(0), centres[LABELS < 0].sum(0)])
    scores = inputs @ hidden.T
    features = norms * np.maximum(scores / norms, 0) ** exponent
    margin = labels * outputs_by_hand(hidden, output, exponent)
    rank = lambda m: np.sum(m**2) / np.linalg.norm(m, 2) ** 2
    best = np.argmax(cosines, axis=0)
    own = [(best == k) & (np.sign(output) == LABELS[k]) for k in range(CLUSTERS)]
    reach = np.linalg.norm(inputs, axis=1)[:, None] * norms
    return {
        "centre_cosines": cosines,
        "class_cosines": unit(sides) @ unit(hidden).T,
        "contributions": sizes,
        "amplitudes": np.array([sizes[output > 0].sum(), sizes[output < 0].sum()]),
        "cluster_amplitudes": np.array([sizes[rows].sum() for rows in own]),
        "balance_error": np.max(np.abs(norms**2 / output**2 - 1)),
        "loss": np.mean((labels - labels * margin) ** 2 / 2),
        "margins": margin,
        "minimum_margin": margin.min(),
        "dead_fraction": np.mean(scores.max(axis=0) <= 0),
        "near_kink": np.mean(np.abs(scores) <= 1e-3 * reach),
        "weight_stable_rank": rank(hidden),
        "feature_stable_rank": rank(features),
    }[name]


@pytest.mark.parametrize("exponent", ACTIVATIONS)
@pytest.mark.parametrize("seed", [0, 1])
def test_every_observable_is_what_numpy_makes_of_it(seed, exponent):
    net = network(seed)
    for name, found in measure(*net, exponent=exponent).items():
        expected = by_hand(name, *net, exponent)
        np.testing.assert_allclose(
            found, expected, rtol=1e-10, atol=1e-12, err_msg=name
        )


def test_axes_are_those_of_the_result():
    for name, found in measure(*network(0)).items():
        observable = REGISTRY[name]
        assert found.shape == tuple(SIZES[axis] for axis in observable.axes), name
        assert observable.name == name
        assert observable.description


@pytest.mark.parametrize(
    ("loss", "by_numpy"),
    [
        (losses.exponential, lambda margin: np.exp(-margin)),
        (losses.logistic, lambda margin: np.log1p(np.exp(-margin))),
        (losses.squared, lambda margin: (1 - margin) ** 2 / 2),
    ],
    ids=lambda value: getattr(value, "name", ""),
)
def test_the_loss_is_a_mean_over_margins(loss, by_numpy):
    hidden, output = network(2)
    margin = problem()[1] * outputs_by_hand(hidden, output, 3.0)
    found = float(REGISTRY["loss"](look(hidden, output, loss=loss)))
    assert found == pytest.approx(by_numpy(margin).mean(), rel=1e-10)


# --- symmetries ----------------------------------------------------------------------

BY_NEURON = [name for name, o in REGISTRY.items() if "neuron" in o.axes]
#: Unchanged by ``w -> c w, v -> v / c`` in each neuron on its own.
RESCALED = (
    "centre_cosines class_cosines contributions amplitudes cluster_amplitudes loss "
    "margins minimum_margin dead_fraction near_kink"
).split()
#: Unchanged by a common factor of the hidden weights.
SCALELESS = (
    "centre_cosines class_cosines weight_stable_rank feature_stable_rank"
).split()
few = settings(max_examples=4, deadline=None)


@few
@given(seed=st.integers(0, 99), exponent=st.sampled_from(sorted(ACTIVATIONS)))
def test_the_order_of_the_neurons_does_not_matter(seed, exponent):
    hidden, output = network(seed)
    order = np.random.default_rng(seed).permutation(NEURONS)
    before = measure(hidden, output, exponent=exponent)
    after = measure(hidden[order], output[order], exponent=exponent)
    for name in REGISTRY:
        same = before[name][..., order] if name in BY_NEURON else before[name]
        np.testing.assert_allclose(
            after[name], same, rtol=1e-9, atol=1e-12, err_msg=name
        )


@few
@given(seed=st.integers(0, 99))
def test_padding_changes_nothing_and_reads_zero(seed):
    hidden, output = network(seed)
    mask = np.arange(NEURONS + 2) < NEURONS
    alone = measure(hidden, output)
    padded = np.pad(hidden, ((0, 2), (0, 0))), np.pad(output, (0, 2))
    for name, found in measure(*padded, mask=mask).items():
        if name in BY_NEURON:
            assert np.all(found[..., NEURONS:] == 0), name
            found = found[..., :NEURONS]
        np.testing.assert_allclose(
            found, alone[name], rtol=1e-10, atol=1e-12, err_msg=name
        )


@few
@given(
    seed=st.integers(0, 99),
    logs=st.lists(st.floats(-3, 3), min_size=NEURONS, max_size=NEURONS),
)
def test_moving_scale_between_the_layers_is_not_seen(seed, logs):
    hidden, output = network(seed)
    factor = 10.0 ** np.array(logs)
    before = measure(hidden, output)
    found = measure(hidden * factor[:, None], output / factor)
    for name in RESCALED:
        np.testing.assert_allclose(
            found[name], before[name], rtol=1e-8, atol=1e-10, err_msg=name
        )


@pytest.mark.parametrize("factor", [1e-150, 1e-3, 1e100])
def test_directions_and_ranks_have_no_scale(factor):
    hidden, output = network(3)
    before, found = measure(hidden, output), measure(factor * hidden, output)
    for name in SCALELESS:
        np.testing.assert_allclose(found[name], before[name], rtol=1e-9, err_msg=name)


@pytest.mark.parametrize(
    ("name", "power"),
    [("contributions", 2), ("amplitudes", 2), ("margins", 2), ("balance_error", 0)],
)
def test_sizes_are_homogeneous_in_all_weights(name, power):
    hidden, output = network(4)
    found = measure(3 * hidden, 3 * output)[name]
    expected = 3.0**power * measure(hidden, output)[name]
    np.testing.assert_allclose(found, expected, rtol=1e-12)


# --- corners -------------------------------------------------------------------------


def test_a_neuron_of_norm_zero_reads_zero_everywhere():
    hidden, output = network(5)
    hidden[2], output[2] = 0.0, 0.0
    for name, found in measure(hidden, output).items():
        assert np.all(np.isfinite(found)), name
        if name in BY_NEURON:
            assert np.all(found[..., 2] == 0), name


def test_balanced_networks_have_no_balance_error():
    hidden, output = network(6)
    balanced = np.sign(output) * np.linalg.norm(hidden, axis=1)
    found = [measure(c * hidden, balanced)["balance_error"] for c in (1.0, 1.1)]
    assert found[0] < 1e-14
    assert found[1] == pytest.approx(0.21)


@pytest.mark.parametrize(
    ("turned", "share"), [(0, 0.0), (1, 1 / 6), (3, 0.5), (6, 1.0)]
)
def test_dead_neurons_are_those_no_row_reaches(turned, share):
    inputs = np.abs(problem()[0])
    away = np.arange(NEURONS)[:, None] < turned
    hidden = np.where(away, -np.ones(DIM), inputs[:NEURONS])
    found = measure(hidden, np.ones(NEURONS), inputs=inputs)
    assert found["dead_fraction"] == pytest.approx(share)


@pytest.mark.parametrize("tilt", [0.0, 5e-4, 5e-3])
def test_a_row_near_a_kink_is_counted_by_its_cosine(tilt):
    inputs = problem()[0]
    row = inputs[4] / np.linalg.norm(inputs[4])
    across = np.linalg.svd(row[None])[2][-1]
    hidden = np.tile(inputs[0], (NEURONS, 1))
    hidden[1] = 7.0 * (np.sqrt(1 - tilt**2) * across + tilt * row)
    scores = inputs @ hidden.T / np.linalg.norm(hidden, axis=1)
    near = np.abs(scores / np.linalg.norm(inputs, axis=1)[:, None]) <= 1e-3
    assert near[4, 1] == (tilt < 1e-3)
    found = measure(hidden, np.ones(NEURONS))["near_kink"]
    assert found == pytest.approx(near.sum() / (NEURONS * SAMPLES))


@pytest.mark.parametrize(
    "name", ["centre_cosines", "class_cosines", "cluster_amplitudes"]
)
def test_alignment_needs_centres(name):
    with pytest.raises(InputError, match="without cluster centres"):
        REGISTRY[name](look(*network(0), bare=True))


@pytest.mark.parametrize(
    ("matrix", "rank"),
    [
        (np.eye(4), 4.0),
        (np.eye(2, 5), 2.0),
        (np.outer([1.0, 2, 3], [1.0, -1]), 1.0),
        (np.diag([2.0, 1.0]), 1.25),
        (np.diag([1e-200, 1e-200, 0]), 2.0),
        (np.zeros((3, 2)), 0.0),
    ],
)
def test_stable_ranks_known_by_hand(matrix, rank):
    assert float(stable_rank(jnp.asarray(matrix))) == pytest.approx(rank)
    assert float(stable_rank(jnp.asarray(matrix.T))) == pytest.approx(rank)


# --- names ---------------------------------------------------------------------------


def test_observables_are_resolved_in_the_order_asked():
    mine = Observable("mine", lambda snapshot: snapshot.norms, ("neuron",), "norms")
    found = resolve(["margins", mine, "loss"])
    assert list(found) == ["margins", "mine", "loss"]
    assert found["mine"] is mine
    assert found["loss"] is REGISTRY["loss"]


@pytest.mark.parametrize(
    ("names", "fix"),
    [
        (["los"], "'loss'"),
        (["margin"], "'margins'"),
        (["centre_cosine"], "'centre_cosines'"),
        ("loss", "observe=['loss']"),
        (["loss", "loss"], "observe=['loss']"),
    ],
)
def test_names_that_cannot_be_resolved_offer_what_was_meant(names, fix):
    with pytest.raises(InputError) as caught:
        resolve(names)
    assert fix in caught.value.fix
