"""NumPy's explicit networks against the package's, and their radii by hand."""

import math

import jax.numpy as jnp
import numpy as np
import pytest

from jaxbias.networks import decoupled_network, mixture_network
from jaxbias.networks.constructions import averaged_classifier
from jaxbias.networks.readouts import GroupArgmax, ProbabilitySum, SummedLogits
from jaxbias.networks.weights import predict
from jaxbias.robustness import closed_form, radius
from jaxbias.verification import _readout_networks as nets
from jaxbias.verification import evidence_readout_searches as searches
from jaxbias.verification import evidence_readouts as evidence

OWN, COUNT = 6, 10
CENTRES = nets.axes(COUNT, 400)
SIGNS = np.where(np.arange(COUNT) < OWN, 1.0, -1.0)
GROUPS = tuple(int(sign) for sign in SIGNS)
POINTS = CENTRES[[0, 7, 3]] + np.random.default_rng(0).normal(0, 5, (3, COUNT))
READOUTS = {
    "group argmax": GroupArgmax(GROUPS),
    "summed logits": SummedLogits(GROUPS),
    "probability sum": ProbabilitySum(GROUPS),
}


def _margins(package, readout, label):
    weights, activation = package
    outputs = predict(weights, activation, jnp.asarray(POINTS))
    return readout.margin(outputs, jnp.full(len(POINTS), label))


@pytest.mark.parametrize("readout", READOUTS)
@pytest.mark.parametrize(
    "options",
    [{}, {"threshold": 0.1}, {"logit": 5.43}, {"exponent": 2.0}],
    ids=str,
)
def test_decoupled_networks_are_those_of_the_package(readout, options):
    package = decoupled_network(jnp.asarray(CENTRES), **options)
    ours = nets.decoupled(CENTRES, OWN, readout, **options)
    for label in (1, -1):
        expected = _margins(package, READOUTS[readout], label)
        found = ours.margins(POINTS, label)
        np.testing.assert_allclose(found, expected, atol=1e-12)


@pytest.mark.parametrize("mixing", [0.0, 1.0, 7.5])
def test_mixtures_are_those_of_the_package(mixing):
    package = mixture_network(jnp.asarray(CENTRES), jnp.asarray(SIGNS), mixing)
    ours = nets.mixture(CENTRES, OWN, mixing)
    expected = _margins(package, READOUTS["group argmax"], -1)
    np.testing.assert_allclose(ours.margins(POINTS, -1), expected, atol=1e-12)


@pytest.mark.parametrize("pair", [(1.0, 1.0), (2.0, 0.5)])
def test_averaged_networks_are_those_of_the_package(pair):
    package = averaged_classifier(
        jnp.asarray(CENTRES), jnp.asarray(SIGNS), jnp.asarray(pair)
    )
    expected = np.asarray(predict(*package, jnp.asarray(POINTS)))
    ours = nets.averaged(CENTRES, OWN, pair)
    for label in (1, -1):
        found = ours.margins(POINTS, label)
        np.testing.assert_allclose(found, label * expected, atol=1e-12)


def test_enumeration_agrees_with_branch_and_bound():
    centres = np.eye(COUNT)
    point = centres[:1] + np.random.default_rng(1).normal(0, 0.1, (1, COUNT))
    ours = nets.decoupled(centres, OWN, "summed logits")
    lower, upper = nets.radii(ours, point, 1)
    weights, activation = decoupled_network(jnp.asarray(centres))
    options = {"activation": activation, "readout": READOUTS["summed logits"]}
    found = radius(weights, point, [1], effort="exact", **options)
    np.testing.assert_allclose(found.lower, lower, rtol=3e-6)
    np.testing.assert_allclose(found.upper, upper, rtol=3e-6)


@pytest.mark.parametrize("tie", ["<=", "<"])
def test_radii_by_hand_on_both_sides_of_a_tie(tie):
    # One rival, threshold 0.4: halfway at 0.7071, or off at 0.6.
    centres = nets.axes(2, 25)
    network = nets.decoupled(centres, 1, "summed logits", threshold=0.4)
    for label, point in ((1, centres[:1]), (-1, centres[1:])):
        lower, upper = nets.radii(network, point, label, tie=tie)
        expected = 5 * (0.6 if tie == "<=" else math.sqrt(0.5))
        assert lower[0] <= expected * (1 + 1e-12)
        assert lower[0] == pytest.approx(expected, rel=1e-8)
        assert expected * (1 - 1e-12) <= upper[0] <= expected * (1 + 2e-7)


def test_points_that_are_wrong_have_radius_0():
    network = nets.averaged(CENTRES, OWN)
    lower, upper = nets.radii(network, CENTRES[:2], -1)
    assert np.all(lower == 0)
    assert np.all(upper == 0)


def test_a_witness_that_the_forward_pass_refuses_is_none(monkeypatch):
    network = nets.averaged(CENTRES, OWN)
    short = lambda pieces, point, order: (1.0, 0.1 * np.ones_like(point))
    monkeypatch.setattr(nets, "nearest", short)
    lower, upper = nets.radii(network, CENTRES[:1], 1)
    assert lower[0] == pytest.approx(1.0)
    assert math.isinf(upper[0])


@pytest.mark.parametrize("root", [0.013, 1.0, 7.77])
def test_the_breaking_length_is_the_first_root(root):
    network = nets.averaged(nets.axes(2, 1), 1)
    direction = np.array([-1.0, 0.0])
    point = np.array([root, 0.0])
    low, high = nets.breaking_length(network, point, direction, 1, 10.0)
    assert low < root <= high + 1e-12
    assert high - low < 1e-7
    _, never = nets.breaking_length(network, point, -direction, 1, 10.0)
    assert math.isinf(never)


def _request(**changes):
    return {
        "network": "averaged",
        "readout": "sign",
        "dim": 100,
        "cases": ((2, 3), (1, 1)),
        **changes,
    }


def test_centres_of_the_averaged_network():
    found = evidence.centre_radii(_request(), 0)
    np.testing.assert_allclose(found["lower"], [10 / 5**0.5, 10 / 2**0.5], rtol=1e-8)
    np.testing.assert_allclose(found["upper"], found["lower"], rtol=2e-7)
    assert found["conventions"]["readout"] == "sign"
    low, high = evidence.slope(_request(cases=((1, 1), (2, 2), (4, 4))), 0)["slope"]
    assert low < -0.5 < high
    assert high - low < 1e-6


def test_the_midpoint_is_held_against_the_network():
    asked = _request(network="decoupled", readout="group argmax", witness="midpoint")
    found = evidence.centre_radii(asked, 0)
    np.testing.assert_allclose(found["upper"], 10 * 0.5**0.5, rtol=2e-7)
    # By sums the midpoint is a tie as well, but not a nearest error.
    sums = evidence.centre_radii({**asked, "readout": "summed logits"}, 0)
    assert sums["lower"][0] == pytest.approx(10 / 4**0.5, rel=1e-8)
    assert sums["upper"][0] == pytest.approx(10 * 0.5**0.5)


@pytest.mark.parametrize(
    ("direction", "network", "readout", "expected"),
    [
        ("universal", "averaged", "sign", (5**-0.5, 2**-0.5)),
        ("own", "averaged", "sign", (2**-0.5, 1.0)),
        ("rivals", "decoupled", "summed logits", (4**-0.5, 2**-0.5)),
    ],
)
def test_directions_by_hand(direction, network, readout, expected):
    asked = _request(network=network, readout=readout, direction=direction)
    found = evidence.directions(asked, 0)
    np.testing.assert_allclose(found["lower"], 10 * np.array(expected), atol=1e-6)
    np.testing.assert_allclose(found["upper"], 10 * np.array(expected), atol=1e-6)


def test_ratios_at_four_clusters():
    found = evidence.ratios({"clusters": (4,), "dim": 64}, 0)
    expected = [[2**0.5, (4 / 3) ** 0.5]]
    np.testing.assert_allclose(found["lower"], expected, rtol=3e-7)
    np.testing.assert_allclose(found["upper"], expected, rtol=3e-7)


@pytest.mark.parametrize(
    ("opposites", "inside", "expected"),
    [
        # One rival is enough up to 1 - 1/sqrt(2); two need sqrt(3/2) - 1.
        ((1,), 0.25, (0.0, 1 - 0.5**0.5)),
        ((1, 2), 0.25, (1.5**0.5 - 1, 1 - 0.5**0.5)),
        ((3,), 0.25, (1.5**0.5 - 1, 1 - 0.5**0.5)),
    ],
)
def test_the_interval_of_thresholds(opposites, inside, expected):
    asked = {"opposites": opposites, "inside": inside, "dim": 9, "tie": "<="}
    found = evidence.interval({**asked, "readout": "summed logits"}, 0)
    np.testing.assert_allclose(found["lower"] + 1e-6, expected, atol=4e-6)
    assert np.all(found["upper"] > found["lower"])


def test_no_interval_is_made_up_around_a_threshold_outside():
    asked = {"opposites": (2,), "inside": 0.1, "dim": 9, "tie": "<="}
    found = evidence.interval({**asked, "readout": "summed logits"}, 0)
    assert np.all(np.isnan(found["lower"]))
    strict = {**asked, "inside": 0.3, "tie": "<", "readout": "summed logits"}
    assert evidence.interval(strict, 0)["upper"][1] == pytest.approx(0.5, abs=4e-6)


def test_class_margins_of_a_mixture():
    asked = _request(network="mixture", readout="argmax", cases=((2, 3, 4.0),))
    found = evidence.class_margins(asked, 0)
    np.testing.assert_allclose(found["measured"], [[1.0, 5.0]], atol=1e-12)
    assert np.all(found["error"] <= 1e-11)


@pytest.mark.parametrize(
    ("network", "readout"), [("averaged", "sign"), ("decoupled", "group argmax")]
)
def test_random_centres_in_the_largest_entry(network, readout):
    asked = _request(network=network, readout=readout, own=2, opposite=3, draws=3)
    found = evidence.linf(asked, 5)
    rng = np.random.default_rng(5)
    for value in found["values"]:
        gauss = rng.standard_normal((100, 5))
        centres = 10 * np.linalg.qr(gauss)[0].T
        if network == "averaged":
            pulls = [centres[:2].sum(0) - centres[2:].sum(0)]
        else:
            pulls = [centres[0] - rival for rival in centres[2:]]
        expected = min(100 / np.abs(pull).sum() for pull in pulls)
        assert value == pytest.approx(expected, rel=1e-5)
    assert found["seeds"] == 3


def test_axis_aligned_centres_in_the_largest_entry():
    found = evidence.linf_axes({"own": 2, "opposite": 2, "dim": 64}, 0)
    np.testing.assert_allclose(found["lower"], [2.0, 4.0], rtol=2e-6)
    np.testing.assert_allclose(found["upper"], [2.0, 4.0], rtol=2e-7)
    assert np.all(found["lower"] < found["upper"])


def test_pairs_of_opposite_centres():
    names = ("averaged", "group argmax", "threshold", "random", "random")
    asked = {"own": 1, "opposite": 2, "dim": 36, "noises": 2, "networks": names}
    found = evidence.pairs(asked, 2)
    half = math.sqrt(36 / 2)
    assert found["lower"][1] == pytest.approx(half, rel=1e-8)
    assert np.all(found["upper"] <= half * (1 + 2e-7))
    assert np.all(found["lower"] <= found["upper"])
    assert found["upper"][3] != found["upper"][4]
    assert found["seeds"] == 3


@pytest.mark.parametrize("exponent", [1.0, 1.5, 3.0])
def test_powers_are_enclosed(exponent):
    asked = {"cases": ((2, 3, exponent),), "dim": 25}
    found = searches.powers(asked, 0)
    share = min(1.0, 3 ** (1 - 2 / exponent))
    expected = 5 * math.sqrt(share / (1 + share))
    assert found["lower"][0] <= expected * (1 + 1e-12)
    assert found["upper"][0] >= expected * (1 - 1e-12)
    assert found["upper"][0] - found["lower"][0] < 1e-5


@pytest.mark.parametrize("logit", [1.0, 4.0])
def test_two_probabilities_are_a_half_space(logit):
    found = searches.probability_sum({"cases": ((1, 1, logit),), "dim": 25}, 0)
    assert found["upper"][0] == pytest.approx(5 * 0.5**0.5, rel=1e-7)


def test_a_centre_that_sums_of_probabilities_get_wrong():
    found = searches.probability_sum({"cases": ((1, 4, 0.3),), "dim": 25}, 0)
    assert found["upper"][0] == 0.0


@pytest.mark.parametrize(
    "excess", [searches._powers(2, 1.5), searches._probabilities(2, 3.0)]
)
def test_slopes_of_the_searches(excess):
    scores = np.array([0.7, 0.2, 0.4, 0.1])
    value, slopes = excess(scores)
    steps = 1e-6 * np.eye(4)
    numbers = [(excess(scores + h)[0] - excess(scores - h)[0]) / 2e-6 for h in steps]
    np.testing.assert_allclose(slopes, numbers, atol=1e-6)
    # Units that are off do not move it.
    _, off = excess(np.array([0.7, -0.2, 0.4, -0.1]))
    assert off[1] == off[3] == 0.0


def _rotated(network, rotation):
    return network._replace(hidden=network.hidden @ rotation)


@pytest.mark.parametrize("readout", ["group argmax", "summed logits"])
def test_radii_turn_with_the_network_and_grow_with_the_centres(readout):
    rng = np.random.default_rng(2)
    centres = nets.axes(5, 49)
    network = nets.decoupled(centres, 2, readout, threshold=0.0)
    points = centres[:2] + rng.standard_normal((2, 5))
    expected, _ = nets.radii(network, points, 1)
    rotation = np.linalg.qr(rng.standard_normal((5, 5)))[0]
    turned, _ = nets.radii(_rotated(network, rotation), points @ rotation, 1)
    np.testing.assert_allclose(turned, expected, rtol=1e-9)
    larger = nets.decoupled(3 * centres, 2, readout)
    found, _ = nets.radii(larger, 3 * points, 1)
    np.testing.assert_allclose(found, 3 * expected, rtol=1e-9)


@pytest.mark.parametrize("tie", ["<=", "<"])
@pytest.mark.parametrize("opposite", [-9.0, -1.0, 0.5, 3.0])
def test_the_averaged_network_away_from_centres(opposite, tie):
    own, count, size = 3, 5, 4.0
    network = nets.averaged(nets.axes(count, 16), own)
    point = np.zeros(count)
    point[0], point[-1] = size, opposite
    expected = closed_form.averaged_radius(size, opposite, own, count - own, tie)
    lower, upper = nets.radii(network, point[None], 1, tie=tie)
    assert lower[0] <= expected * (1 + 1e-9)
    assert lower[0] == pytest.approx(float(expected), rel=1e-7)
    assert upper[0] == pytest.approx(float(expected), rel=1e-6)


@pytest.mark.parametrize("label", [1, -1])
def test_both_labels_of_a_decoupled_network_at_noisy_points(label):
    rng = np.random.default_rng(9)
    network = nets.decoupled(nets.axes(4, 900), 1, "group argmax")
    rows = np.flatnonzero(network.groups == label)
    points = nets.axes(4, 900)[rows] + rng.standard_normal((len(rows), 4))
    lower, upper = nets.radii(network, points, label)
    own = points[:, network.groups == label].max(axis=1)
    rival = points[:, network.groups != label].max(axis=1)
    np.testing.assert_allclose(lower, (own - rival) / math.sqrt(2), rtol=1e-8)
    assert np.all(upper >= lower)


@pytest.mark.parametrize("seed", range(4))
def test_no_perturbation_below_the_lower_end_breaks_a_random_member(seed):
    rng = np.random.default_rng(seed)
    centres = nets.axes(4, 64)
    network = evidence.family("random", centres, 2, rng)
    lower, upper = nets.radii(network, centres[:2], 1)
    for point, low, high in zip(centres[:2], lower, upper, strict=True):
        steps = rng.standard_normal((4000, 4))
        steps *= 0.999 * low / np.linalg.norm(steps, axis=1)[:, None]
        assert np.all(network.margins(point + steps, 1) > 0) or low == 0
        assert high <= (1 + 3e-7) * low


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("exponent", [1.25, 2.0, 4.0])
def test_searches_do_not_hang_on_their_starts(exponent, seed):
    centres = nets.axes(7, 49)
    network = nets.decoupled(centres, 2, "summed logits", exponent=exponent)
    excess = searches._powers(2, exponent)
    rng = np.random.default_rng(seed)
    share = min(1.0, 5 ** (1 - 2 / exponent))
    found = searches.shortest(network, centres, 2, excess, rng)
    assert found == pytest.approx(7 * math.sqrt(share / (1 + share)), rel=1e-7)


@pytest.mark.parametrize("own", [1, 3])
def test_more_own_centres_help_sums_of_probabilities(own):
    found = searches.probability_sum({"cases": ((own, 3, 4.0),), "dim": 1}, 0)
    # Each own centre that is left at 0 adds e^0 to its side.
    direct = [
        (1 - math.log(3 * math.exp(4 * b) - own + 1) / 4) ** 2 + 3 * b**2
        for b in np.linspace(0, 0.6, 4001)
    ]
    # Equal moves towards all rivals are one way among others.
    assert found["upper"][0] <= math.sqrt(min(direct)) + 1e-9
    assert found["upper"][0] > 0.4
