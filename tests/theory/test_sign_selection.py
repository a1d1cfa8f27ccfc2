"""The share of sign changes and the path of a, against scalar equations."""

import math

import numpy as np
import pytest
from scipy.integrate import solve_ivp
from synthetic import judged

from jaxbias.theory import sign_selection
from jaxbias.theory.sign_selection import CLAIMS

LAW, SHARE = CLAIMS


def test_the_share_is_one_sixth():
    assert sign_selection.sign_change_share() == pytest.approx(1 / 6, abs=1e-12)
    one = sign_selection.sign_change_share(both=False)
    two = sign_selection.sign_change_share(own=False)
    assert one == pytest.approx(1 / 8)
    # (4/pi)(pi/4 - arcsin(1/2)) = 1/3, opposed 1/2, both active 1/4.
    assert two == pytest.approx(1 / 24, abs=1e-12)


def changes(y, a, b):
    """Whether y changes sign, by following y' = a - b, a' = y, b' = -y piecewise."""

    def field(_, z):
        first, second = (z[1:] > 0) * 1.0
        return [z[1] * first - z[2] * second, z[0] * first, -z[0] * second]

    run = solve_ivp(field, (0, 8), [y, a, b], max_step=0.02, rtol=1e-6)
    return math.copysign(1, run.y[0, -1]) != math.copysign(1, y)


@pytest.mark.parametrize("seed", range(12))
def test_the_conserved_quantities_decide_single_neurons(seed):
    y, a, b = np.random.default_rng(seed).standard_normal(3)
    pull = max(a, 0) - max(b, 0)
    if a > 0 and b > 0:
        expected = y * pull < 0 and abs(y) < abs(pull) / math.sqrt(2)
    else:
        expected = y * pull < 0 and abs(y) < abs(pull)
    assert changes(y, a, b) == expected


def test_a_million_draws_of_the_criterion_give_the_share():
    y, a, b = np.random.default_rng(1).standard_normal((3, 10**6))
    pull = np.maximum(a, 0) - np.maximum(b, 0)
    reach = np.where((a > 0) & (b > 0), abs(pull) / math.sqrt(2), abs(pull))
    share = np.mean((y * pull < 0) & (abs(y) < reach))
    assert sign_selection.sign_change_share() == pytest.approx(share, abs=0.002)


def counted(share, open_=0, trials=40000):
    return {"changed": round(share * trials), "open": open_, "trials": trials}


@pytest.mark.parametrize(
    ("share", "conclusion"),
    [(1 / 6, "true"), (0.160, "true"), (0.125, "false"), (0.25, "false")],
)
def test_counts_decide_the_share(share, conclusion):
    assert judged(SHARE, counted(share)).conclusion == conclusion


def test_open_neurons_widen_the_interval():
    assert judged(SHARE, counted(1 / 6, open_=3000)).conclusion == "unresolved"


@pytest.mark.parametrize("decoy", SHARE.decoys, ids=lambda d: d.name)
def test_other_shares_are_refused(decoy):
    assert judged(SHARE, counted(1 / 6), decoy).conclusion == "false"


def test_every_opposed_neuron_is_three_eighths():
    # Active somewhere (3/4), and y opposed to its pull (1/2).
    [decoy] = [d for d in SHARE.decoys if "opposed" in d.name]
    assert decoy.alter(SHARE.setting, {})["value"] == pytest.approx(3 / 4 * 1 / 2)


def path(mismatched=0.0):
    rng = np.random.default_rng(0)
    start, pulled = 0.2 * rng.normal(size=9), 3 * rng.normal(size=9)
    return {
        "start": start,
        "pulled": pulled,
        "measured": start + pulled,
        "error": np.full(9, 1e-7),
        "settled": np.ones(9, bool),
        "mismatched": mismatched,
        "changed": 3,
    }


def test_the_path_is_where_it_began_and_what_pulled():
    assert judged(LAW, path()).conclusion == "true"
    for decoy in LAW.decoys:
        assert judged(LAW, path(), decoy).conclusion == "false", decoy.name
    moved = path()
    moved["measured"][4] += 1e-4
    assert judged(LAW, moved).conclusion == "false"


def test_a_sign_apart_from_its_own_is_a_failure():
    assert judged(LAW, path(mismatched=1.0)).conclusion == "false"


def test_runs_that_do_not_settle_decide_nothing():
    arrays = path()
    arrays["settled"][2] = False
    assert judged(LAW, arrays).conclusion == "unresolved"
    assert judged(LAW, path() | {"changed": 0}).conclusion == "unresolved"


@pytest.mark.parametrize("claim", CLAIMS, ids=lambda c: c.id)
def test_claims_are_derived_and_state_the_unbalanced_start(claim):
    assert claim.provenance == "derived"
    assert "N(0, eps^2)" in claim.conventions["output_layer"]
    assert claim.expected == "holds"
    sizes = [
        claim.evidence(claim.setting, s).parameters.get("neurons", 0)
        for s in ("quick", "paper", "full")
    ]
    assert sizes == sorted(sizes)
