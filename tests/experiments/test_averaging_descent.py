"""Descent of frozen groups on cluster mixtures, against descent without a sweep."""

import dataclasses

import numpy as np
import pytest

from jaxbias._checks import InputError
from jaxbias.dynamics.fixed_step import FixedStep
from jaxbias.dynamics.solve import solve
from jaxbias.experiments import check
from jaxbias.experiments.averaging import Averaging
from jaxbias.experiments.measurement import Network, weights_of
from jaxbias.results.specs import spec_from_json, spec_to_json
from jaxbias.sweeps import run_key, sweep

TINY = Averaging(48, 4, None, 8, 3, steps=(1, 20))
KINDS = [{}, {"output_weight": 1.0}, {"trained_on": "clusters", "positive": 3}]


@pytest.mark.parametrize("departs", KINDS)
def test_the_rate_is_that_of_margins(departs):
    tiny = dataclasses.replace(TINY, **departs)
    a = tiny.output_weight or 1 / 3
    assert tiny.learning_rate * 3 * a**2 * 48 / 4 == pytest.approx(0.1)
    assert tiny.at_learning_rate(0.02).learning_rate == pytest.approx(0.02)
    assert sum(tiny.split) == 4
    assert spec_from_json(spec_to_json(tiny)) == tiny


@pytest.mark.parametrize("departs", KINDS)
def test_runs_of_any_rate_and_start_are_descents_of_one_program(departs):
    tiny = dataclasses.replace(TINY, **departs)
    over = {"rate": [0.1, 0.4], "init_scale": [1e-5, 1e-3]}
    plan = sweep(tiny, over, 2, dry_run=True)
    assert plan.attrs["buckets"] == 1
    table = sweep(tiny, over, 2, root="r", measure=[Network()])
    chosen = (table.rate == 0.4) & (table.init_scale == 1e-3) & (table.seed == 1)
    row = table.isel(run=int(np.flatnonzero(chosen)[0]))
    alone = dataclasses.replace(tiny, rate=0.4, init_scale=1e-3)
    eta = alone.learning_rate
    problem = alone.flow.problem(run_key("r", 1), dtype="float32")
    euler = FixedStep("euler", eta)
    final = solve(problem, (eta, 20 * eta), {}, euler, form="raw").final
    kept = weights_of(row)
    scale = float(np.abs(final.hidden).max())
    np.testing.assert_allclose(kept.hidden, final.hidden, atol=1e-5 * scale)
    np.testing.assert_array_equal(kept.output, final.output)
    assert (kept.hidden_bias is None) == ("trained_on" in departs)


@pytest.mark.parametrize(
    ("departs", "told"),
    [
        ({"trained_on": "rows"}, "trained_on='rows'"),
        ({"rate": -1.0}, "rate=-1.0"),
        ({"positive": 4}, "positive=4"),
        ({"steps": (5, 5)}, "times"),
        ({"form": "dual"}, "form='dual'"),
    ],
)
def test_what_cannot_work_is_refused(departs, told):
    with pytest.raises(InputError, match=told):
        dataclasses.replace(TINY, **departs)


@pytest.mark.parametrize("departs", KINDS)
def test_the_contract_holds(departs):
    assert "company" in check(dataclasses.replace(TINY, **departs), seeds=2)
