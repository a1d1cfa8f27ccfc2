"""Fresh samples: radii by hand, what blind attacks leave, and published numbers."""

import math

import numpy as np
import pytest

from jaxbias.verification import evidence_readout_samples as samples
from jaxbias.verification.evidence_readouts import family
from jaxbias.verification.evidence_reported import CURVES, accuracies

DIM = 3072


def test_samples_are_centres_with_unit_noise():
    rng = np.random.default_rng(0)
    centres = math.sqrt(DIM) * np.eye(4, 6)
    points, cluster = samples.draw(centres, 20_000, rng)
    noise = points - centres[cluster]
    assert noise.mean() == pytest.approx(0.0, abs=0.01)
    assert noise.std() == pytest.approx(1.0, abs=0.01)
    shares = np.bincount(cluster, minlength=4) / 20_000
    np.testing.assert_allclose(shares, 0.25, atol=0.015)


def _asked(network, **changes):
    return {
        "network": network,
        "cases": ((2, 3, DIM), (3, 3, 400)),
        "samples": 60,
        **changes,
    }


def _projections(own, count, dim, draws, rng):
    """The same draw: own and opposite projections in front, positive points first."""
    centres = math.sqrt(dim) * np.eye(count)
    points, cluster = samples.draw(centres, draws, rng)
    positive = cluster < own
    first, second = points[positive], points[~positive]
    return (first[:, :own], first[:, own:]), (second[:, own:], second[:, :own])


def test_radii_of_the_averaged_network_by_its_two_terms():
    found = samples.sample_radii(_asked("averaged"), 3)
    rng = np.random.default_rng(3)
    for row, (own, opposite, dim) in enumerate(_asked("averaged")["cases"]):
        expected = []
        for ours, theirs in _projections(own, own + opposite, dim, 60, rng):
            p, q = ours.sum(axis=1), theirs.sum(axis=1)
            across = (p - q) / math.sqrt(own + opposite)
            expected.append(np.minimum(across, p / math.sqrt(ours.shape[1])))
        expected = np.concatenate(expected)
        np.testing.assert_allclose(found["lower"][row], expected, rtol=1e-8)
        np.testing.assert_allclose(found["upper"][row], expected, rtol=2e-7)
    assert found["conventions"] == {"readout": "sign"}
    assert found["seeds"] == 60


def test_radii_of_the_largest_output_by_the_strongest_rival():
    found = samples.sample_radii(_asked("group argmax"), 4)
    rng = np.random.default_rng(4)
    for row, (own, opposite, dim) in enumerate(_asked("group argmax")["cases"]):
        expected = np.concatenate(
            [
                (ours.max(axis=1) - theirs.max(axis=1)) / math.sqrt(2)
                for ours, theirs in _projections(own, own + opposite, dim, 60, rng)
            ]
        )
        np.testing.assert_allclose(found["lower"][row], expected, rtol=1e-8)
    assert found["conventions"] == {"readout": "group argmax"}


def test_every_member_of_the_family_has_its_row():
    names = ("averaged", "group argmax", "summed logits", "threshold", "mixture")
    asked = {"networks": names, "own": 1, "opposite": 2, "dim": DIM, "samples": 20}
    found = samples.family_radii(asked, 5)
    assert found["lower"].shape == found["upper"].shape == (5, 20)
    assert np.all(found["lower"] <= found["upper"])
    middle = np.median(found["upper"], axis=1) / math.sqrt(DIM)
    half = math.sqrt(0.5)
    # k = 3, of which one or two are opposite; a mixture of (1, 2) at c = 1.
    np.testing.assert_allclose(middle[0], 3**-0.5, atol=0.03)
    np.testing.assert_allclose(middle[[1, 3]], half, atol=0.03)
    assert 3**-0.5 - 0.03 < middle[2] < half + 0.03
    np.testing.assert_allclose(middle[4], 2 / 3, atol=0.03)


@pytest.mark.parametrize("name", ["threshold", "random", "mixture"])
def test_the_family_is_right_at_its_centres(name):
    centres = 50 * np.eye(6)
    network = family(name, centres, 2, np.random.default_rng(1))
    assert network.margins(centres[:2], 1).mean() > 0
    assert network.margins(centres[2:], -1).mean() > 0
    assert np.all(network.sizes > 0)


def test_a_blind_attack_sees_only_rivals_that_are_on():
    asked = {"own": 2, "opposite": 2, "dim": DIM, "radii": (35.0, 46.0), "samples": 900}
    found = samples.blind(asked, 6)
    shares = found["count"] / found["trials"]
    # Of two rivals none or one is on: 3/4; none: 1/4; all of them, told to go there: 0.
    np.testing.assert_allclose(shares, [0.75, 0.25, 0.0], atol=0.06)
    assert found["seeds"] == 900


def test_the_attack_from_the_sphere_overstates_the_decoupled_network():
    asked = {
        "own": 3,
        "opposite": 3,
        "dim": DIM,
        "logit": 5.43,
        "radii": (36.0, 46.0),
        "samples": 60,
    }
    found = samples.sphere(asked, 7)
    assert found["trials"] == 60
    # sqrt(d/2) = 39.2, beyond which no classifier keeps more than a half.
    assert found["count"][0] == 60
    assert found["count"][1] > 50


def test_published_numbers_are_counts_of_a_thousand():
    for curve in CURVES.values():
        assert all(abs(10 * v - round(10 * v)) < 1e-9 for v in curve.values())
        at, values = list(curve), list(curve.values())
        assert at == sorted(at)
        assert values == sorted(values, reverse=True)
        assert {b - a for a, b in zip(at, at[1:], strict=False)} == {2}


def test_published_numbers_in_the_order_asked():
    asked = {
        "curves": ("released, 10-class", "figure 3, 2-class"),
        "radii": ((50.0, 46.0), (14.0,)),
        "samples": 1000,
    }
    found = accuracies(asked, 0)
    assert found["count"].tolist() == [793, 998, 912]
    assert found["trials"].tolist() == [1000] * 3
    with pytest.raises(KeyError):
        accuracies({**asked, "radii": ((51.0,), (14.0,))}, 0)
