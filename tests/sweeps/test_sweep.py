import dataclasses
import os
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxbias import results
from jaxbias._checks import InputError
from jaxbias.data.dataset import Dataset
from jaxbias.dynamics.adaptive import Adaptive
from jaxbias.dynamics.fixed_step import FixedStep
from jaxbias.dynamics.flow import GradientFlow
from jaxbias.dynamics.refinement import REFINEMENTS
from jaxbias.dynamics.solve import solve
from jaxbias.experiments import flow as experiment_flow
from jaxbias.networks import TwoLayer
from jaxbias.observables import resolve
from jaxbias.robustness.bounds import radius
from jaxbias.sweeps import batches, costs, lanes, run_key, sweep

TIMES = (5.0, 20.0)
OBSERVE = ("loss", "contributions")
# Along kinks more steps make rounding grow: with these few, lanes are equal to 1e-10.
FEW_STEPS = Adaptive(accuracy="final outputs")


def small(flow, over, seeds, **options):
    options = {"integrator": FEW_STEPS, "observe": OBSERVE, **options}
    return sweep(flow, over, seeds, times=TIMES, **options)


@pytest.fixture
def solved(monkeypatch):
    """Counts the lanes that are pushed through programs."""
    counts = []

    def counted(program, key, chosen, shared, finish):
        counts.append(len(chosen.seed))
        return lanes.run_lanes(program, key, chosen, shared, finish)

    monkeypatch.setattr(batches, "run_lanes", counted)
    return counts


def check_against_a_run_alone(flow, row):
    width = int(row.width)
    problem = dataclasses.replace(
        flow,
        network=dataclasses.replace(flow.network, width=width),
        data=dataclasses.replace(flow.data, noise=float(row.noise)),
    ).problem(run_key("jaxbias", int(row.seed)), dtype="float64")
    assert problem.initial.hidden.shape[0] == width
    functions = {n: o.function for n, o in resolve(OBSERVE).items()}
    alone = jax.jit(lambda p: solve(p, TIMES, functions, FEW_STEPS))(problem)
    np.testing.assert_allclose(row.loss.values, alone.observables["loss"], rtol=1e-10)
    np.testing.assert_allclose(
        row.contributions.values[:, :width],
        alone.observables["contributions"],
        rtol=1e-10,
        atol=1e-18,
    )
    assert np.isnan(row.contributions.values[:, width:]).all()
    assert int(row.neuron_mask.sum()) == width
    assert int(row.evaluations) == int(alone.statistics["evaluations"])


def test_widths_in_one_program_equal_separate_runs(flow, cubic, monkeypatch):
    traces = []

    def traced(problem, *arguments, **options):
        traces.append(problem.initial.mask.shape[-1])
        return solve(problem, *arguments, **options)

    monkeypatch.setattr(experiment_flow, "solve", traced)
    lanes.compiled.cache_clear()
    for number, each in enumerate((flow, cubic), 1):
        table = small(each, {"width": [20, 37, 64], "noise": [0.05, 0.2]}, 3)
        over = {"width": [30, 64], "scale": [1e-3, 1e-2], "noise": [0.1, 0.3]}
        small(each, over, [5])
        # Once for the shapes and once for the program, whatever rides in the lanes.
        assert traces == [64] * 2 * number
        for place in (0, 17):
            check_against_a_run_alone(each, table.isel(run=place))


def test_each_bucket_is_traced_once_and_changes_no_number(flow, monkeypatch):
    over = {"width": [20, 40, 64], "noise": [0.05, 0.2]}
    together = small(flow, over, 3)
    traces = []

    def traced(problem, *arguments, **options):
        traces.append(problem.initial.mask.shape[-1])
        return solve(problem, *arguments, **options)

    monkeypatch.setattr(experiment_flow, "solve", traced)
    monkeypatch.setattr(costs, "COMPILE_SECONDS", 0.0)
    apart = small(flow, over, 3, batch=2)
    assert traces == [20, 20, 40, 40, 64, 64]
    assert apart.sizes["neuron"] == together.sizes["neuron"] == 64
    for name in OBSERVE:
        np.testing.assert_allclose(
            apart[name].values, together[name].values, rtol=1e-10, atol=1e-18
        )


def test_arrays_are_saved_as_wide_as_the_widest_network(flow):
    assert small(flow, {"width": [5, 9]}, 1).sizes["neuron"] == 9


def test_a_seed_has_the_same_numbers_alone_in_a_batch_and_in_a_shard(flow):
    together = small(flow, {}, 64, batch=8)
    alone = small(flow, {}, [17])
    shard = small(flow, {}, 64, batch=8, shard="3/4")
    assert together.sizes["run"] == 64
    assert shard.seed.values.tolist() == [*range(16, 24), *range(48, 56)]
    for other in (alone, shard):
        for name in (*OBSERVE, "evaluations", "sliding"):
            np.testing.assert_array_equal(
                other[name].values[other.seed == 17],
                together[name].values[together.seed == 17],
            )


def test_common_random_numbers_and_roots(flow):
    table = small(flow, {"noise": [0.1, 0.1 + 1e-9]}, 2)
    first, second = (table.where(table.noise == n, drop=True) for n in table.noise[::2])
    np.testing.assert_allclose(first.loss.values, second.loss.values, rtol=1e-4)
    assert abs(first.loss.values[0, -1] / first.loss.values[1, -1] - 1) > 1e-3
    other = small(flow, {"noise": [0.1]}, 2, root="elsewhere")
    last = other.loss.values[:, -1] / first.loss.values[:, -1]
    assert (np.abs(last - 1) > 1e-3).all()


def test_blocks_and_segments_change_nothing(flow, monkeypatch):
    expected = small(flow, {"width": [20, 64]}, 5)
    monkeypatch.setattr(costs, "CPU_LANES", 4)
    monkeypatch.setattr(costs, "BLOCK_SCORES", 2 * 8 * 64)
    seen = []
    table = small(
        flow, {"width": [20, 64]}, 5, progress=lambda *state: seen.append(state)
    )
    # Blocks of 2 lanes, two to a segment: 4, 8 and 10 runs are done.
    assert seen == [(n, 10, "runs") for n in (4, 8, 10, 10)]
    np.testing.assert_allclose(table.loss.values, expected.loss.values, rtol=1e-10)


def test_buckets_are_joined_in_the_order_of_runs(flow):
    table = small(flow, {"samples": [8, 4], "width": [8, 64]}, 2)
    assert table.samples.values.tolist() == [8] * 4 + [4] * 4
    assert table.width.values.tolist() == [8, 8, 64, 64] * 2
    assert table.run.values.tolist() == list(range(8))
    assert set(table.status.values) == {0}
    assert results.median(table, "loss").dims == ("samples", "width", "time")


KILLED = """
import os, signal, sys
import jax
jax.config.update("jax_enable_x64", True)
from jaxbias.data.clusters import OrthonormalClusters
from jaxbias.dynamics.adaptive import Adaptive
from jaxbias.dynamics.flow import GradientFlow
from jaxbias.networks import TwoLayer, balanced
from jaxbias.sweeps import sweep

clusters = OrthonormalClusters(dim=12, clusters=4, positive=2, noise=0.1)
flow = GradientFlow(TwoLayer(64, init=balanced(1e-3)), clusters, samples=8)

def progress(done, total, what):
    if len([f for f in os.listdir(sys.argv[1]) if f.endswith(".nc")]) == 1:
        os.kill(os.getpid(), signal.SIGKILL)

sweep(flow, {"width": [20, 64]}, 6, times=(5.0, 20.0), batch=4,
      observe=("loss", "contributions"), out=sys.argv[1], progress=progress,
      integrator=Adaptive(accuracy="final outputs"))
"""


def test_a_killed_sweep_resumes_to_the_same_bits(flow, tmp_path, solved):
    over, killed = {"width": [20, 64]}, tmp_path / "killed"
    script = [sys.executable, "-c", KILLED, str(killed)]
    process = subprocess.run(script, capture_output=True, text=True)
    assert process.returncode == -9, process.stderr
    files = sorted(file.name for file in killed.glob("*.nc"))
    assert files == ["batch-00000.nc"]
    before = (killed / files[0]).read_bytes()
    assert results.open(killed).attrs["batches_missing"] == 2
    resumed = small(flow, over, 6, batch=4, out=killed)
    assert solved == [4, 4]
    assert (killed / files[0]).read_bytes() == before
    whole = small(flow, over, 6, batch=4, out=tmp_path / "whole")
    assert results.same_data(resumed, whole)
    assert results.same_data(whole, small(flow, over, 6, batch=4))
    assert resumed.attrs["batches_missing"] == 0
    # All is there: the same call again only reads.
    del solved[:]
    assert results.same_data(small(flow, over, 6, batch=4, out=killed), whole)
    assert solved == []


def test_a_folder_keeps_to_its_sweep(flow, tmp_path):
    out = tmp_path / "runs"
    first = small(flow, {"width": [20]}, 2, out=out)
    with pytest.raises(InputError, match="another root"):
        small(flow, {"width": [20]}, 2, out=out, root="other")
    with pytest.raises(InputError, match="another axes and names"):
        small(flow, {"noise": [0.1]}, 2, out=out)
    with pytest.raises(InputError, match="extend=True"):
        small(flow, {"width": [20, 64]}, 3, out=out)
    assert sorted(os.listdir(out)) == ["batch-00000.nc", "sweep.json"]
    longer = small(flow, {"width": [20, 64]}, 3, out=out, extend=True)
    assert list(zip(longer.width.values, longer.seed.values, strict=True)) == [
        (20, 0),
        (20, 1),
        (20, 2),
        (64, 0),
        (64, 1),
        (64, 2),
    ]
    np.testing.assert_array_equal(longer.loss.values[:2], first.loss.values)
    again = small(flow, {"width": [20, 64]}, 3, out=out, extend=True)
    assert results.same_data(longer, again)
    assert results.same_data(longer, small(flow, {"width": [20]}, 2, out=out))


def test_files_say_where_they_come_from(flow, tmp_path):
    small(flow, {"width": [20]}, [4, 9], out=tmp_path, batch=1)
    table = results.open(tmp_path / "batch-00001.nc")
    spec = results.spec_from_json(table.attrs["spec"])
    assert spec["experiment"] == experiment_flow.Flow(flow, TIMES, OBSERVE, FEW_STEPS)
    assert spec["axes"] == ["flow.network.width"]
    assert table.attrs["seed_first"] == table.attrs["seed_last"] == 9
    assert table.attrs["precision"] == "float64"
    assert table.attrs["device"].startswith(jax.devices()[0].platform)
    assert table.attrs["wall_seconds"] > 0
    assert results.open(tmp_path).attrs["seed_first"] == 4


def test_a_dry_run_plans_and_computes_nothing(flow, tmp_path, solved):
    over = {"samples": [8, 4], "width": [20, 64]}
    table = small(flow, over, 3, batch=4, out=tmp_path / "no", dry_run=True)
    assert not (tmp_path / "no").exists()
    assert solved == []
    assert table.attrs["buckets"] == 2
    # Seeds 0 and half of seed 1 at every point, then the rest.
    assert table.batch.values.tolist() == [0, 0, 2, 0, 2, 2, 1, 1, 3, 1, 3, 3]
    assert set(table.padded.values) == {64}


def test_numerical_errors_from_three_tolerances(cubic):
    table = small(cubic, {"width": [20, 64]}, 3, tolerances=REFINEMENTS, check_every=2)
    checked = np.arange(6) % 2 == 0
    error = table.loss_numerical_error.values
    assert np.isnan(error[~checked]).all()
    assert not table.loss_converged.values[~checked].any()
    assert table.loss_converged.values[checked].mean() > 0.8
    plain = small(cubic, {"width": [20, 64]}, 3)
    np.testing.assert_array_equal(plain.loss.values[~checked], table.loss[~checked])
    assert (plain.evaluations.values[checked] < table.evaluations[checked]).all()
    tight = small(cubic, {"width": [20, 64]}, 3, tolerances=(1e-3,))
    sound = table.loss_converged.values
    off = np.abs(table.loss.values - tight.loss.values)
    # Twice the last difference is an estimate; a ratio of 0.7 would call for 2.3.
    assert (off[sound] <= 1.5 * error[sound] + 1e-9).all()
    assert (error[sound] < 2e-3).all()
    assert table.contributions_numerical_error.dims == ("run", "time", "neuron")


def test_fixed_steps_are_refined_by_shorter_steps(cubic):
    euler = FixedStep("euler", 0.5)
    table = small(cubic, {}, 2, integrator=euler, tolerances=(1.0, 0.5, 0.25))
    assert table.evaluations.values.tolist() == [160, 160]
    assert table.loss_converged.values.all()
    assert (table.loss_numerical_error.values < 1e-2).all()


def test_radii_at_the_centres_of_the_final_networks(flow):
    table = small(flow, {"width": [20, 64]}, 2, radius_at="centres")
    assert table.radius_lower.dims == ("run", "cluster")
    assert (table.radius_lower.values <= table.radius_upper.values).all()
    row = table.isel(run=1)
    narrow = dataclasses.replace(
        flow, network=dataclasses.replace(flow.network, width=20)
    )
    problem = narrow.problem(run_key("jaxbias", 1), dtype="float64")
    final = jax.jit(lambda p: solve(p, TIMES, {}, FEW_STEPS))(problem).final
    data = problem.dataset
    alone = radius(
        final, data.centres, data.centre_labels, activation=flow.network.activation
    )
    # Bisected to 2^-12 of the upper ends, which the search finds to 1e-4.
    np.testing.assert_allclose(row.radius_lower.values, alone.lower, rtol=2**-12)
    np.testing.assert_allclose(row.radius_upper.values, alone.upper, rtol=1e-4)


def test_unfinished_runs_say_so(flow):
    table = small(flow, {}, 2, integrator=Adaptive(max_steps=3))
    assert table.status.values.tolist() == [1, 1]
    assert np.isnan(table.loss.values[:, -1]).all()
    median = results.median(table, "loss")
    assert median.attrs["unfinished"] == 2
    assert np.isnan(median.values).all()


def test_networks_that_are_not_finite_have_no_radius(flow):
    euler = FixedStep("euler", 2.5)
    table = small(
        flow, {"scale": [1e3, 1e-3]}, 1, integrator=euler, radius_at="samples"
    )
    assert table.status.values.tolist() == [2, 0]
    assert table.radius_upper.dims == ("run", "sample")
    assert np.isnan(table.radius_lower.values[0]).all()
    assert np.isfinite(table.radius_upper.values[1]).all()


def test_float32_and_a_data_set_of_ones_own():
    generator = np.random.default_rng(0)
    inputs = jnp.asarray(generator.normal(size=(6, 9)))
    labels = jnp.asarray(np.where(np.arange(6) % 2, 1.0, -1.0))
    data = Dataset(inputs=inputs, labels=labels, clusters=jnp.zeros(6, jnp.int32))
    own = GradientFlow(TwoLayer(8), data)
    half = small(own, {"width": [4, 8]}, 2, dtype="float32")
    full = small(own, {"width": [4, 8]}, 2)
    assert "noise" not in full.coords
    assert half.loss.dtype == np.float32
    assert full.loss.dtype == np.float64
    np.testing.assert_allclose(half.loss.values, full.loss.values, rtol=2e-3)
    assert jax.config.jax_enable_x64


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"tolerances": (1.0, 0.5)}, "three falling ones"),
        ({"tolerances": (0.1, 0.5, 1.0)}, "three falling ones"),
        ({"tolerances": (1.0, 0.5, 0.0)}, "three falling ones"),
        ({"radius_at": "center"}, "radius_at='center'.*'centres'"),
        ({"dtype": "float16"}, "dtype="),
        ({"form": "gram"}, "form="),
        ({"batch": 0}, "batch=0"),
        ({"check_every": 0}, "check_every=0"),
        ({"observe": ["los"]}, "loss"),
        ({"times": [3.0, 1.0]}, "increasing"),
        ({"shard": "3/2"}, "shard="),
    ],
)
def test_bad_arguments(flow, options, message):
    with pytest.raises(InputError, match=message):
        sweep(flow, {}, 1, **{"times": [1.0], **options})


def test_a_folder_that_cannot_be_written_is_refused_before_any_run(flow, tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(InputError, match="cannot be written there"):
        small(flow, {}, 1, out=tmp_path / "file" / "runs")


def test_radii_at_centres_need_centres():
    data = Dataset(
        inputs=jnp.ones((4, 3)), labels=jnp.ones(4), clusters=jnp.zeros(4, jnp.int32)
    )
    with pytest.raises(InputError, match="without centres"):
        small(GradientFlow(TwoLayer(4), data), {}, 1, radius_at="centres")
