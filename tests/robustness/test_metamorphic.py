"""Radii of networks that are the same but for how they are written are the same.

Whatever the unit of the inputs, the scale of the layers, the frame, the order and the
number of the neurons: intervals overlap, ends are equal, and powers of two change no
bit. `scripts/contradictions.py` asks 20,000 points and writes `figures/radii`.
"""

import zlib

import numpy as np
import pytest
from hypothesis import Phase, assume, given, settings
from hypothesis import strategies as st
from random_nets import ACTIVATIONS, EFFORTS, KINDS, ORDERS, draw
from relations import RELATIONS, allowed, companies, differences

# What searches may differ by at all, and at all but one point in a hundred.
MOST, USUAL, NEARLY_ALL = 0.02, 1e-6, 0.99
# HiGHS ends are closed to 1.2e-6, the tree's to 1e-6.
CLOSED = 1.3e-6
# A seed says nothing more when it is smaller.
unshrunk = settings(phases=(Phase.explicit, Phase.generate))


@st.composite
def networks(draws):
    """The odd, the biased, the boxed and those of several outputs in turn."""
    exponent = draws(st.sampled_from(sorted(ACTIVATIONS)))
    # Several classes are programs of their own: two exponents stand for all.
    classes = exponent in (1.0, 3.0) and draws(st.sampled_from((False, False, True)))
    return {
        "kind": draws(st.sampled_from(KINDS)),
        "exponent": exponent,
        "order": draws(st.sampled_from(ORDERS)),
        "biased": draws(st.booleans()),
        "classes": classes,
        "boxed": draws(st.booleans()),
    }


def _stream(*words):
    """A generator of its own for every test, so that they see different networks."""
    return np.random.default_rng([zlib.crc32(str(word).encode()) for word in words])


@pytest.mark.parametrize("name", RELATIONS)
def test_radii_do_not_depend_on_how_a_network_is_written(name):
    relation, lower, upper = RELATIONS[name], [], []

    @unshrunk
    @given(
        network=networks(),
        effort=st.sampled_from(EFFORTS),
        seed=st.integers(0, 2**32 - 1),
    )
    def holds(network, effort, seed):
        rng = _stream(name, effort, seed)
        case = draw(rng, **network)
        assume(relation.asks(case))
        twin, factor = relation.apply(rng, case)
        first, second = case.radius(effort), twin.radius(effort)
        found = differences(case, first, second, factor)
        assert not found.disjoint.any(), "one's lower end is above the other's upper"
        if relation.demands == "bits":
            assert not found.bits.any()
        if relation.demands == "close":
            most = allowed(first, second, MOST, CLOSED)
            assert np.all(found.upper <= most)
            assert np.all(found.lower <= most)
            # How far a search has come when its budget stops it is no length: twins
            # that round otherwise grow other trees. MOST is asked of those, too.
            stopped = (first.status == "gap") | (second.status == "gap")
            lower.extend(found.lower[~stopped])
            upper.extend(found.upper)

    holds()
    if relation.demands == "close":
        assert len(upper) >= 40
        assert np.mean(np.array(upper) <= USUAL) >= NEARLY_ALL
        assert np.mean(np.array(lower) <= USUAL) >= NEARLY_ALL


@unshrunk
@given(
    network=networks(),
    effort=st.sampled_from(EFFORTS),
    seed=st.integers(0, 2**32 - 1),
)
def test_an_interval_does_not_depend_on_the_other_points(network, effort, seed):
    rng = _stream("company", effort, seed)
    case = draw(rng, **network)
    whole = case.radius(effort)
    for name, (part, rows) in companies(rng, case).items():
        found = part.radius(effort)
        for field in ("lower", "upper", "witness", "status", "method"):
            ours, theirs = getattr(found, field), getattr(whole, field)[rows]
            assert np.array_equal(ours, theirs), (name, field)


def test_a_raised_end_would_be_noticed():
    case = draw(
        np.random.default_rng(0), "generic", 1.0, 2.0,
        biased=True, classes=False, boxed=False,
    )  # fmt: skip
    found = case.radius("bounds")
    raised = found.upper * np.where(np.arange(len(found.upper)) == 2, 1.021, 1.0)
    again = type(found)(**{**vars(found), "upper": raised})
    assert differences(case, found, again).upper.max() > MOST
    assert differences(case, found, again).bits.sum() == 1
