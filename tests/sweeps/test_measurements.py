"""What sweeps measure on the networks that runs leave."""

import dataclasses

import jax
import numpy as np
import pytest

from jaxbias import losses
from jaxbias._checks import InputError
from jaxbias.data.mixtures import ClusterMixture
from jaxbias.dynamics.fixed_step import FixedStep
from jaxbias.dynamics.flow import GradientFlow
from jaxbias.dynamics.solve import solve
from jaxbias.experiments.flow import Flow
from jaxbias.experiments.measurement import Centres, Network, Radii, weights_of
from jaxbias.networks import ReLU, TwoLayer, unbalanced
from jaxbias.results.specs import spec_from_json, spec_to_json
from jaxbias.sweeps import run_key, sweep

EULER = FixedStep("euler", 0.5)


def grouped(classes):
    mixture = ClusterMixture(24, 4, 2, rotated=True)
    network = TwoLayer(
        8,
        ReLU(),
        unbalanced(1e-3),
        "grouped",
        classes=4 if classes else None,
        hidden_bias=not classes,
    )
    loss = losses.cross_entropy if classes else losses.logistic
    return GradientFlow(network, mixture, 12, loss)


@pytest.mark.parametrize("classes", [False, True])
def test_networks_are_kept_as_they_are(classes):
    flow = grouped(classes)
    table = sweep(
        Flow(flow, (5.0,), ("loss",), EULER),
        {"width": [4, 8]},
        2,
        measure=[Network(), Centres()],
    )
    assert table.hidden.dims == ("run", "neuron", "feature")
    row = table.isel(run=1)
    narrow = dataclasses.replace(
        flow, network=dataclasses.replace(flow.network, width=4)
    )
    with jax.enable_x64(True):
        problem = narrow.problem(run_key("jaxbias", 1), dtype="float64")
        final = solve(problem, (5.0,), {}, EULER).final
        kept = weights_of(row)
        found = dataclasses.asdict(kept)
        for name, array in dataclasses.asdict(final).items():
            if array is None:
                assert found[name] is None
            else:
                np.testing.assert_allclose(found[name], array, rtol=1e-12, atol=1e-15)
        np.testing.assert_array_equal(row.centres, problem.dataset.centres)
        np.testing.assert_array_equal(row.centre_labels, problem.dataset.centre_labels)


def test_measurements_are_part_of_the_sweep(flow, tmp_path):
    measure = [Radii(order=np.inf)]
    experiment = Flow(flow, (5.0,), ("loss",), EULER)
    first = sweep(experiment, {}, 2, out=tmp_path, measure=measure)
    assert first.radius_lower.dims == ("run", "cluster")
    spec = spec_from_json(first.attrs["spec"])
    assert spec["measure"] == tuple(measure)
    assert spec_from_json(spec_to_json(spec)) == spec
    with pytest.raises(InputError, match="another measure"):
        sweep(experiment, {}, 2, out=tmp_path, measure=[Radii()])
    with pytest.raises(InputError, match="at='centre'"):
        Radii(at="centre")


def test_an_experiment_holds_its_own_options(flow):
    experiment = Flow(flow, (5.0,), ("loss",), EULER)
    with pytest.raises(InputError, match="times= beside a Flow"):
        sweep(experiment, {}, 1, times=[1.0])
