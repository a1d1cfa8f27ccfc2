"""Times, statuses, and the numerical error from three tolerances."""

import numpy as np
import pytest

from jaxbias._checks import InputError
from jaxbias.dynamics import Status
from jaxbias.dynamics.refinement import REFINEMENTS, refine
from jaxbias.dynamics.schedule import checked, linear, logarithmic


@pytest.mark.parametrize(("final", "count"), [(500.0, 40), (1e-3, 7), (16040.0, 2)])
def test_logarithmic_times(final, count):
    times = logarithmic(final, count=count)
    assert len(times) == count
    assert times[-1] == final
    assert np.isclose(times[0], final / 1000)
    ratios = times[1:] / times[:-1]
    assert np.allclose(ratios, ratios[0])


def test_logarithmic_from_a_first_time():
    assert np.allclose(logarithmic(100.0, count=3, first=1.0), [1.0, 10.0, 100.0])
    assert logarithmic(5.0, count=1).tolist() == [5.0]


def test_linear_times_leave_out_zero():
    assert np.allclose(linear(2.0, count=4), [0.5, 1.0, 1.5, 2.0])


@pytest.mark.parametrize(
    "call",
    [
        lambda: logarithmic(0.0),
        lambda: logarithmic(-1.0),
        lambda: logarithmic(float("inf")),
        lambda: logarithmic(10.0, count=0),
        lambda: logarithmic(10.0, first=10.0),
        lambda: logarithmic(10.0, first=0.0),
        lambda: linear(float("nan")),
        lambda: linear(1.0, count=0),
        lambda: checked([]),
        lambda: checked([0.0, 1.0]),
        lambda: checked([1.0, 1.0]),
        lambda: checked([[1.0, 2.0]]),
        lambda: checked([1.0, float("inf")]),
    ],
)
def test_bad_times(call):
    with pytest.raises(InputError):
        call()


@pytest.mark.parametrize("status", Status)
def test_every_status_is_a_sentence(status):
    assert status.sentence.endswith(".")
    assert Status(int(status)) is status


@pytest.mark.parametrize("order", [1, 2, 3])
def test_refinement_bounds_the_true_error(order):
    # An observable q + C tol^order: the error of the finest run is below 2 d2.
    exact, constant = 0.7071, 0.3
    values = [exact + constant * (0.03 * r) ** order for r in REFINEMENTS]
    found = refine(*map(np.asarray, values))
    assert found.converged
    assert abs(found.value - exact) <= found.error
    assert found.error < 10 * abs(values[1] - exact)


@pytest.mark.parametrize(
    ("values", "converged"),
    [
        ((1.0, 1.1, 1.2), False),
        ((1.0, 1.1, 1.0), False),
        ((1.0, 1.1, 1.16), True),
        ((1.0, 1.0, 1.0), True),
        ((1.0, 1.0 + 1e-14, 1.0 - 1e-14), True),
        ((1.0, 1.0, 1.0 + 1e-6), False),
        ((1.0, float("nan"), 1.0), False),
    ],
)
def test_refinement_says_when_runs_do_not_converge(values, converged):
    found = refine(*map(np.asarray, values))
    assert bool(found.converged) is converged
    assert bool(np.isfinite(found.error)) is converged


def test_refinement_is_elementwise():
    found = refine(np.array([1.0, 0.0]), np.array([1.5, 0.0]), np.array([1.6, 0.0]))
    assert found.error.tolist() == pytest.approx([0.2, 0.0])
