"""No attack contradicts an interval: nothing shorter than `upper`, nothing in `lower`.

The attacks of the package and two written for the test, in the box and without one;
every witness flips in another forward pass. `scripts/contradictions.py` is the same at
length.
"""

import zlib

import numpy as np
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from random_nets import ACTIVATIONS, EFFORTS, KINDS, ORDERS, ROUNDING, draw
from rival_attacks import (
    ATTACKS,
    RAISED,
    nearer_than_lower,
    nearer_than_upper,
    witness_fails,
)

# A seed says nothing more when it is smaller.
unshrunk = settings(phases=(Phase.explicit, Phase.generate))


@pytest.mark.parametrize("effort", EFFORTS)
@unshrunk
@given(
    kind=st.sampled_from(KINDS),
    exponent=st.sampled_from(sorted(ACTIVATIONS)),
    order=st.sampled_from(ORDERS),
    biased=st.booleans(),
    boxed=st.booleans(),
    classes=st.sampled_from((False, False, True)),
    seed=st.integers(0, 2**32 - 1),
)
def test_no_attack_contradicts_an_interval(
    effort, kind, exponent, order, biased, boxed, classes, seed
):
    rng = np.random.default_rng([seed, zlib.crc32(effort.encode())])
    # Several classes are programs of their own: two exponents stand for all.
    classes = classes and exponent in (1.0, 3.0)
    case = draw(rng, kind, exponent, order, biased=biased, classes=classes, boxed=boxed)
    found = case.radius(effort)
    assert not witness_fails(case, found, ROUNDING).any()
    for name, attack in ATTACKS.items():
        lengths = attack(rng, case, found)
        assert not nearer_than_upper(found, lengths).any(), name
        assert not nearer_than_lower(case, found, lengths).any(), name


def test_the_attacks_would_notice_ends_that_are_too_high():
    noticed = dict.fromkeys(ATTACKS, 0)
    for order in ORDERS:
        rng = np.random.default_rng(1)
        case = draw(rng, "generic", 1.0, order, biased=True, classes=False, boxed=False)
        found = case.radius("exact")
        for name, attack in ATTACKS.items():
            lengths = attack(rng, case, found)
            noticed[name] += nearer_than_upper(found, lengths, RAISED).sum()
    assert min(noticed.values()) >= 1, noticed
    assert noticed["DeepFool"] >= 8
