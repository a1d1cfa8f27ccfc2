"""Steps of descent (T0) against quadrature and a scalar descent."""

import math

import numpy as np
import pytest
from scipy import integrate
from synthetic import judged

from jaxbias.theory.descent_steps import CLAIMS, alignment_steps

[CLAIM] = CLAIMS
#: K, s0, eta of the setting: 25 steps a unit of time.
TOLD = (10, 2.0, 0.2)


@pytest.mark.parametrize("exponent", [1.0, 2.0, 3.0, 4.0])
@pytest.mark.parametrize("cosine", [0.03, 0.1, 0.4])
def test_steps_are_the_time_of_the_flow_in_another_clock(exponent, cosine):
    time, _ = integrate.quad(
        lambda c: 1 / (exponent * c ** (exponent - 1) * (1 - c * c)), cosine, 0.5
    )
    found = alignment_steps(np.array([cosine]), exponent, *TOLD)
    assert found[0] == pytest.approx(25 * time, rel=1e-9)


@pytest.mark.parametrize(
    ("changes", "factor"),
    [((20, 2.0, 0.2), 2.0), ((10, 1.0, 0.2), 2.0), ((10, 2.0, 0.1), 2.0)],
)
def test_each_of_clusters_slope_and_rate_is_a_factor(changes, factor):
    cosines = np.array([0.05, 0.2])
    first = alignment_steps(cosines, 3.0, *TOLD)
    other = alignment_steps(cosines, 3.0, *changes)
    np.testing.assert_allclose(other / first, factor, rtol=1e-12)


def test_the_published_median_is_met():
    # The paper's figure: median alignment 0.5 near iteration 225; c0 = 1.13/sqrt(1000).
    [found] = alignment_steps(np.array([1.13 / math.sqrt(1000)]), 3.0, *TOLD)
    assert found == pytest.approx(221, abs=1)


def test_inactive_neurons_never_align_and_aligned_ones_have():
    found = alignment_steps(np.array([-0.2, 0.0, 0.5, 0.9]), 3.0, *TOLD)
    np.testing.assert_array_equal(found, [np.inf, np.inf, 0.0, 0.0])


@pytest.mark.parametrize("cosine", [0.05, 0.1])
def test_a_scalar_descent_needs_that_many_steps(cosine):
    """One neuron, one centre, outputs still zero, weights moved by hand."""
    w = np.array([cosine, math.sqrt(1 - cosine**2)])
    v, steps = 1.0, 0
    # Mean loss over ten clusters, of which one is seen, slope 2, rate 0.2.
    rate = 2.0 * 0.2 / 10
    while w[0] / np.linalg.norm(w) < 0.5:
        norm = np.linalg.norm(w)
        c = w[0] / norm
        push = v * (3 * c**2 * np.array([1.0, 0.0]) - 2 * c**3 * w / norm)
        w, v = w + rate * push, v + rate * norm * c**3
        steps += 1
    [found] = alignment_steps(np.array([cosine]), 3.0, *TOLD)
    # Explicit steps lag by half of one, relative to the last time scale.
    assert steps == pytest.approx(found, rel=0.03, abs=1)


def arrays(factor=1.0, dims=1, spread=0.01, error=0.0):
    rng = np.random.default_rng(0)
    cosines = np.abs(rng.normal(size=(dims, 16, 101))) / math.sqrt(500) + 0.02
    # A few lag behind for ever: medians do not see them.
    cosines[:, :, :20] = -0.1
    exact = alignment_steps(cosines, 3.0, *TOLD)
    shake = np.exp(spread * rng.normal(size=(dims, 16, 1)))
    return {"cosines": cosines, "observed": factor * shake * exact, "error": error}


@pytest.mark.parametrize(
    ("factor", "conclusion"),
    [(1.0, "true"), (1.03, "true"), (0.97, "true"), (1.1, "false"), (0.9, "false")],
)
@pytest.mark.parametrize("dims", [1, 2])
def test_medians_within_five_per_cent_agree(factor, conclusion, dims):
    assert judged(CLAIM, arrays(factor, dims)).conclusion == conclusion


def test_one_dimension_that_fails_is_enough():
    both = arrays(dims=2)
    both["observed"][1] *= 1.1
    found = judged(CLAIM, both)
    assert found.conclusion == "false"
    assert 0.03 < found.deviation < 0.055


def test_scatter_and_coarse_records_decide_nothing():
    assert judged(CLAIM, arrays(spread=0.2)).conclusion == "unresolved"
    assert judged(CLAIM, arrays(error=10.0)).conclusion == "unresolved"
    lost = arrays()
    lost["observed"][0, 3] = np.inf
    assert judged(CLAIM, lost).conclusion == "unresolved"


@pytest.mark.parametrize("decoy", CLAIM.decoys, ids=lambda d: d.name)
def test_decoys_are_refused_on_exact_steps(decoy):
    assert judged(CLAIM, arrays(), decoy).conclusion == "false"


def test_the_larger_dimension_comes_with_size_paper():
    requests = [CLAIM.evidence(CLAIM.setting, s).parameters for s in ("quick", "paper")]
    assert [r["dims"] for r in requests] == [(500,), (500, 1000)]
    assert all(r["seeds"] >= 16 for r in requests)
    statuses = [h.status for h in CLAIM.hypotheses(CLAIM.setting)]
    assert statuses == ["met", "met"]
    assert CLAIM.hypotheses({**CLAIM.setting, "scale": 1e-3})[1].status == "unmet"
