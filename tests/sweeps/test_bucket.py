import dataclasses

import jax.numpy as jnp
import numpy as np
import pytest

from jaxbias._checks import InputError
from jaxbias.data.dataset import Dataset
from jaxbias.dynamics.adaptive import Adaptive
from jaxbias.dynamics.fixed_step import FixedStep
from jaxbias.dynamics.flow import GradientFlow
from jaxbias.experiments.experiment import Work
from jaxbias.experiments.flow import Flow
from jaxbias.experiments.flow_costs import evaluations, flow_work
from jaxbias.networks import PReLU, TwoLayer
from jaxbias.sweeps import bucket, costs, grid


def buckets_of(flow, over, seeds=(0, 1), tolerances=(1.0,), every=1, dtype="float64"):
    experiment = Flow(flow, (1.0,), dtype=dtype)
    axes = grid.resolve_axes(experiment, over)
    runs = bucket.make_runs(experiment, axes, seeds)
    return bucket.make_buckets(
        runs, tolerances, every, lambda flow, padded: 1e-5 * padded
    )


def test_width_noise_scale_and_seed_share_a_bucket(flow):
    over = {"width": [20, 40, 64], "noise": [0.1, 0.2], "scale": [1e-3, 1e-5]}
    (one,) = buckets_of(flow, over)
    assert one.padded == 64
    assert len(one.runs) == 24
    assert [run.seed for run in one.runs] == [0] * 12 + [1] * 12
    assert [run.number for run in one.runs] == [*range(0, 24, 2), *range(1, 24, 2)]
    assert one.runs[13] == bucket.Run(
        3, 1, (20, 0.1, 1e-5), (20, 0.1, 1e-5), 20, (1.0,)
    )


@pytest.mark.parametrize(
    "over",
    [
        {"activation": [PReLU(3), PReLU(2)]},
        {"loss": ["exponential", "logistic"]},
        {"samples": [8, 12]},
        {"dim": [12, 13]},
        {"clock": ["mean", "sum"]},
        {"nudge": [0.0, 0.1]},
    ],
)
def test_what_changes_the_program_makes_a_bucket(flow, over):
    assert len(buckets_of(flow, over)) == 2


def test_an_init_axis_carries_its_scale_in_the_lanes(flow):
    init = flow.network.init
    over = {"init": [init, dataclasses.replace(init, scale=0.5)]}
    (one,) = buckets_of(flow, over, seeds=(0,))
    assert [run.point[2] for run in one.runs] == [1e-3, 0.5]


def test_padded_widths_are_four_a_factor_of_two():
    sizes = [16, 20, 24, 28, 32, 40, 48, 56, 64, 80, 96, 112, 128]
    assert sorted({costs.padded_width(w) for w in range(13, 129)}) == sizes
    assert [costs.padded_width(w) for w in (1, 4, 5, 200, 500, 1000)] == [
        *(4, 4, 8),
        *(224, 512, 1024),
    ]
    for width in range(17, 3000):
        assert 0 <= costs.padded_width(width) - width < width / 4


def test_widths_merge_where_padding_is_cheaper_than_compiling():
    def padded(counts, a_neuron):
        return costs.padded_widths(counts, lambda width: a_neuron * width)

    few = dict.fromkeys(range(20, 65), 1)
    assert set(padded(few, 1e-4).values()) == {64}
    many = {20: 10_000, 30: 10_000, 64: 10_000, 500: 10_000}
    assert padded(many, 1e-4) == {20: 20, 30: 32, 64: 64, 500: 512}
    # 5 seconds are a compilation: 100 runs of 12 neurons more are not, of 480 are.
    some = {20: 100, 30: 100, 500: 100}
    assert padded(some, 1e-3) == {20: 32, 30: 32, 500: 512}


def test_what_a_run_costs_grows_with_what_it_does(flow, cubic):
    def cost(flow, width, dtype="float32"):
        return flow_work(flow, width, dtype, evaluations=800.0).seconds

    wide, narrow = cost(flow, 256), cost(flow, 32)
    assert 4 < wide / narrow <= 8
    assert cost(flow, 32, dtype="float64") > narrow
    times = (10.0, 200.0)
    usual = evaluations(Adaptive(), times, flow)
    assert evaluations(Adaptive(accuracy="final outputs"), times, flow) < usual
    assert evaluations(Adaptive(rtol=1e-6), times, flow) > usual
    assert evaluations(Adaptive(max_steps=10), times, flow) == 30
    assert evaluations(FixedStep("euler", 0.5), times, flow) == 800
    assert evaluations(Adaptive(), times, cubic) < usual
    work = Flow(flow, times).work(32)
    assert work.at_factor(0.25) == pytest.approx(2 * work.seconds)
    assert Flow(cubic, times).work(32).at_factor(0.125) == pytest.approx(
        2 * Flow(cubic, times).work(32).seconds
    )


def test_one_run_in_so_many_is_checked(flow):
    thirds = (1.0, 1 / 3, 1 / 9)
    (one,) = buckets_of(flow, {}, range(7), tolerances=thirds, every=3)
    assert [len(run.factors) for run in one.runs] == [3, 1, 1, 3, 1, 1, 3]


def test_array_widths_that_are_settled_are_kept_to(flow):
    experiment = Flow(flow, (1.0,))
    axes = grid.resolve_axes(experiment, {"samples": [8, 12], "width": [20, 60]})
    runs = bucket.make_runs(experiment, axes, (0, 1))
    made = bucket.make_buckets(runs, (1.0,), 1, lambda *_: 0.0, [[20, 60], [100]])
    assert [
        (b.experiment.flow.shapes.samples, b.padded, len(b.runs)) for b in made
    ] == [
        (8, 20, 2),
        (8, 60, 2),
        (12, 100, 4),
    ]


def test_runs_of_an_earlier_part_are_left_out_and_numbers_go_on(flow):
    experiment = Flow(flow, (1.0,))
    axes = grid.resolve_axes(experiment, {"width": [4, 8]})
    before = {(bucket.point_name((4,)), 0), (bucket.point_name((4,)), 1)}
    runs = bucket.make_runs(experiment, axes, (0, 1, 2), first=2, without=before)
    assert [(r.number, r.seed, r.size) for _, r in runs] == [
        (2, 2, 4),
        (3, 0, 8),
        (4, 1, 8),
        (5, 2, 8),
    ]


def test_a_scale_that_underflows_is_refused_before_any_run(flow):
    assert len(buckets_of(flow, {"scale": [1e-15]}, dtype="float32")) == 1
    with pytest.raises(InputError, match="underflows"):
        buckets_of(flow, {"scale": [1e-3, 1e-25]}, dtype="float32")


def test_a_data_set_of_ones_own(flow):
    inputs = jnp.asarray(np.random.default_rng(0).normal(size=(6, 3)))
    data = Dataset(inputs=inputs, labels=jnp.ones(6), clusters=jnp.zeros(6, jnp.int32))
    own = GradientFlow(TwoLayer(4), data)
    (one,) = buckets_of(own, {"width": [4, 8]})
    assert one.experiment.flow.shapes.inputs.shape == (6, 3)
    with pytest.raises(InputError, match="no field has that name"):
        buckets_of(own, {"noise": [0.1]})


def test_blocks_depend_on_sizes_only():
    lanes = lambda scores, backend="cpu": costs.block_lanes(
        Work(1.0, scores=scores, solve_bytes=80 * scores), backend
    )
    assert lanes(60 * 32) == 8
    assert lanes(200 * 200) == lanes(0) == 1
    assert lanes(8 * 16) == 64
    assert lanes(200 * 200, "gpu") > 1000
