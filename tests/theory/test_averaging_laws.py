"""Laws of averaging against their limits, and the judges against made-up evidence."""

import math

import numpy as np
import pytest
from scipy.integrate import solve_ivp

from jaxbias import InputError
from jaxbias.theory import averaging_growth, averaging_structure, trained_readouts
from jaxbias.theory.averaging import (
    margin_limit,
    margin_recursion,
    own_cosine,
    shrinkage,
    started_cosines,
)

BY_NAME = {
    claim.id.removeprefix("jaxbias/"): claim
    for module in (averaging_growth, averaging_structure, trained_readouts)
    for claim in module.CLAIMS
}


@pytest.mark.parametrize("rivals", [1, 9])
def test_the_limit_solves_its_differential_equation(rivals):
    slope = lambda t, f: 0.3 * rivals / (rivals + np.exp(f))
    path = solve_ivp(
        slope, (0, 200), [0.0], t_eval=[5, 50, 200], rtol=1e-10, atol=1e-12
    )
    found = margin_limit(0.3, [5, 50, 200], rivals)
    np.testing.assert_allclose(found, path.y[0], rtol=1e-7)


def test_small_steps_of_the_recursion_tend_to_the_limit():
    errors = []
    for many in (100, 200):
        fine = margin_recursion(20 / many, [many], math.inf, first=1.0)
        errors.append(abs(float(fine[0] - margin_limit(20 / many, [many])[0])))
    assert errors[1] < 0.02
    # Euler's method is of order 1.
    assert errors[0] / errors[1] == pytest.approx(2.0, rel=0.1)


def test_the_first_steps_by_hand():
    found = margin_recursion(0.2, [1, 2], 40, first=0.25, rivals=3)
    first = 0.2 * 0.25 * 3 / 4
    second = first + 0.2 * 3 / (3 + math.exp(first * 41 / 40))
    np.testing.assert_allclose(found, [first, second], rtol=1e-14)


@pytest.mark.parametrize("times", [[], [0, 1], [5, 5], [5, 4]])
def test_times_that_are_none_are_explained(times):
    with pytest.raises(InputError, match="steps are counted from 1"):
        margin_recursion(0.1, times, 40)


def test_no_rival_is_no_problem_of_classes():
    with pytest.raises(InputError, match="rivals"):
        margin_recursion(0.1, [1], 40, rivals=0)
    with pytest.raises(InputError, match="rivals"):
        margin_limit(0.1, [1], 0)


def test_cosines_of_a_network_by_hand():
    # w = sum of k_s orthogonal vectors of length 1, and noise of length 1/sqrt(n_j).
    assert own_cosine(4, 4, 100, math.inf) == pytest.approx(1 / 2)
    assert own_cosine(4, 4, 100, 3) == pytest.approx(shrinkage(3) / 2)
    rng = np.random.default_rng(0)
    coefficients = rng.normal(size=(3, 5))
    weights = np.concatenate([coefficients, np.full((1, 5), 0.2 * 7)])
    by_hand = coefficients / np.linalg.norm(weights, axis=0)
    found = started_cosines(coefficients, 0.2, 7, math.inf)
    np.testing.assert_allclose(found, by_hand, rtol=1e-12)


def _judged(name, arrays, alter=None):
    claim = BY_NAME[name]
    prediction = claim.predict(claim.setting)
    if alter is not None:
        prediction = alter(prediction)
    remainder = claim.remainder(claim.setting)
    return claim.judge(arrays, prediction, remainder, 1e-4).conclusion


def _ideal_growth(cells, times, seeds=16, spread=1e-4):
    rng = np.random.default_rng(1)
    first = rng.uniform(0.3, 0.7, (len(cells), seeds, 2))
    alive = np.ones_like(first)
    margin = np.empty((*first.shape, len(times)))
    for place in np.ndindex(first.shape):
        per = cells[place[0]].get("samples_per_cluster", 40)
        rate = cells[place[0]].get("rate", 0.1)
        margin[place] = margin_recursion(rate, times, per, first[place])
    margin *= 1 + spread * rng.normal(size=margin.shape)
    return {"margin": margin, "first": first, "alive": alive}


@pytest.mark.parametrize("name", ["margin-recursion", "margin-scalings"])
def test_the_recursion_itself_is_accepted_and_others_are_not(name):
    setting = BY_NAME[name].setting
    arrays = _ideal_growth(setting["cells"], setting["times"])
    assert _judged(name, arrays) == "true"
    low = {**arrays, "margin": 0.9 * arrays["margin"]}
    assert _judged(name, low) == "false"
    lost = {**arrays, "margin": np.full_like(arrays["margin"], np.nan)}
    assert _judged(name, lost) == "unresolved"


def test_half_a_class_of_neurons_has_half_the_rate():
    setting = BY_NAME["margin-recursion"].setting
    arrays = _ideal_growth(setting["cells"], setting["times"])
    half = {**arrays, "alive": arrays["alive"] / 2}
    assert _judged("margin-recursion", half) == "false"
    for place in np.ndindex(half["alive"].shape):
        half["margin"][place] = margin_recursion(
            0.05, setting["times"], 40, half["first"][place]
        )
    assert _judged("margin-recursion", half) == "true"


def test_the_law_of_the_first_step_is_told_from_others():
    rng = np.random.default_rng(2)
    uniform = rng.integers(0, 101, 25_600) / 100
    assert _judged("first-step-uniform", {"shares": uniform}) == "true"
    bent = {"shares": rng.beta(2, 2, 25_600)}
    assert _judged("first-step-uniform", bent) == "false"


def test_the_wrong_support_is_told():
    rng = np.random.default_rng(3)
    on = rng.uniform(size=(4, 30)) > 0.5
    assert _judged("no-averaging-without-noise", {"on": on, "learned": on}) == "true"
    one = on.copy()
    one[0, 0] = ~one[0, 0]
    assert _judged("no-averaging-without-noise", {"on": on, "learned": one}) == "false"


def test_a_summed_radius_below_the_ideal_one_is_told():
    ideal = 6**-0.5
    # Six cells, the last three summed; 8 seeds, 2 classes.
    radius = np.full((6, 8, 2), 1.1 * ideal)
    arrays = {"lower": radius, "upper": radius}
    assert _judged("trained-summed-outputs-radius", arrays) == "true"
    low = radius.copy()
    low[-1, -1] = 0.99 * ideal
    arrays = {"lower": low, "upper": low}
    assert _judged("trained-summed-outputs-radius", arrays) == "false"
    # Ends that are apart are no radius.
    arrays = {"lower": 0.9 * radius, "upper": radius}
    assert _judged("trained-summed-outputs-radius", arrays) == "unresolved"
