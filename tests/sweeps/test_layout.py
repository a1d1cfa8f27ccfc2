"""How sweeps are cut into batches and shards, and what a folder remembers of it."""

import json

import numpy as np
import pytest

from jaxbias import results
from jaxbias._checks import InputError
from jaxbias.experiments.flow import Flow
from jaxbias.sweeps import bucket, costs, grid, layout, sweep


def buckets_of(flow, over, seeds):
    experiment = Flow(flow, (1.0,))
    axes = grid.resolve_axes(experiment, over)
    runs = bucket.make_runs(experiment, axes, range(seeds))
    return bucket.make_buckets(runs, (1.0,), 1, lambda *_: 1.0)


def rounds_of(buckets, seconds, size=8, largest=None, shards=1):
    return layout.count_rounds(
        buckets, lambda *_: seconds, lambda _: size, largest, shards
    )


def test_rounds_are_what_a_kill_may_lose(flow):
    one = buckets_of(flow, {"noise": [0.1, 0.2]}, 500)
    assert rounds_of(one, 0.01) == 1
    assert rounds_of(one, 0.3) == 10
    # One run of half an hour cannot be cut.
    assert rounds_of(one, 1800.0) == 1000
    assert rounds_of(one, 0.01, size=2**20) == 16
    assert rounds_of(one, 0.01, largest=300) == 4
    # Where buckets are many a round over all of them stays within two minutes.
    many = buckets_of(flow, {"samples": range(4, 52, 4)}, 100)
    assert len(many) == 12
    assert rounds_of(many, 0.2) == 2


def test_shards_split_runs_and_are_alike(flow):
    one = buckets_of(flow, {}, 80)
    assert rounds_of(one, 0.01, shards=2) == 2
    assert rounds_of(one, 1.0, shards=2) == 4
    assert rounds_of(one, 10.0, shards=3) == 27
    assert rounds_of(buckets_of(flow, {}, 3), 0.01, shards=8) == 3
    batches = layout.make_batches(one, 2)
    halves = [layout.shard_of(batches, part, 2) for part in range(2)]
    assert [[len(b.runs) for b in half] for half in halves] == [[40], [40]]


def test_a_round_is_all_points_with_fewer_seeds(flow):
    made = buckets_of(flow, {"samples": [8, 12], "noise": [0.1, 0.2, 0.3]}, 10)
    batches = layout.make_batches(made, 5, first=3, first_round=7)
    assert [b.name for b in batches[:2]] == ["batch-00003.nc", "batch-00004.nc"]
    assert [b.round for b in batches] == [n for n in range(7, 12) for _ in range(2)]
    for k, batch in enumerate(batches):
        assert {run.seed for run in batch.runs} == {k // 2 * 2, k // 2 * 2 + 1}
        assert len(batch.runs) == 6
        assert len({run.values for run in batch.runs}) == 3
    assert [b.round for b in layout.shard_of(batches, 1, 3)] == [7, 7, 10, 10]
    # A folder begun without shards: its batches are dealt out one by one.
    whole = layout.make_batches(made, 1)
    assert [len(layout.shard_of(whole, part, 3)) for part in range(3)] == [1, 1, 0]


def test_pieces_hold_every_run_once(flow):
    made = buckets_of(flow, {"samples": [8, 12]}, 10)
    batches = layout.make_batches(made, 3)
    assert [len(batch.runs) for batch in batches] == [3, 3, 3, 3, 4, 4]
    assert sorted(r.number for b in batches for r in b.runs) == list(range(20))
    assert {batch.most_lanes for batch in batches} == {4}


def test_shards_of_one_call_halve_its_runs(flow, tmp_path):
    whole = sweep(flow, {}, 8, times=[1.0])
    for part in (1, 2):
        table = sweep(flow, {}, 8, times=[1.0], shard=f"{part}/2")
        assert table.seed.values.tolist() == list(range(part * 4 - 4, part * 4))
    half = sweep(flow, {}, 8, times=[1.0], shard="1/2", out=tmp_path)
    assert half.seed.values.tolist() == [0, 1, 2, 3]
    both = sweep(flow, {}, 8, times=[1.0], shard="2/2", out=tmp_path)
    np.testing.assert_array_equal(both.loss.values, whole.loss.values)
    assert both.attrs["batches"] == 2


def test_an_empty_shard_says_so(flow, tmp_path):
    with pytest.warns(UserWarning, match="shard 3/3 has no runs: .* 2 batches"):
        table = sweep(flow, {}, 2, times=[1.0], shard="3/3", out=tmp_path)
    assert table.sizes["run"] == 0


def test_a_folder_keeps_its_cut_whatever_is_thought_of_costs(
    flow, tmp_path, monkeypatch
):
    over = {"width": [20, 60]}
    given = {"times": [1.0], "out": tmp_path}
    # Eight numbers of eight bytes a run.
    monkeypatch.setattr(layout, "BATCH_BYTES", 128)
    first = sweep(flow, over, 4, **given)
    manifest = json.loads((tmp_path / "sweep.json").read_text())
    assert manifest["schema_version"] == 3
    assert manifest["layouts"] == [{"padded": [[64]], "rounds": 4}]
    (tmp_path / "batch-00002.nc").unlink()
    monkeypatch.setattr(layout, "BATCH_BYTES", 2**20)
    monkeypatch.setattr(costs, "COMPILE_SECONDS", 0.0)
    assert results.same_data(sweep(flow, over, 4, **given), first)
    longer = sweep(flow, over, 5, extend=True, **given)
    manifest = json.loads((tmp_path / "sweep.json").read_text())
    assert manifest["layouts"][1] == {"padded": [[20, 64]], "rounds": 1}
    assert longer.sizes["run"] == 10
    assert longer.attrs["batches_missing"] == 0


@pytest.mark.parametrize("schema", [None, 2, 4])
def test_a_folder_of_another_cut_is_read_and_not_added_to(flow, tmp_path, schema):
    first = sweep(flow, {}, 2, times=[1.0], out=tmp_path)
    path = tmp_path / "sweep.json"
    manifest = {**json.loads(path.read_text()), "schema_version": schema}
    if schema is None:
        del manifest["schema_version"], manifest["layouts"]
    path.write_text(json.dumps(manifest))
    with pytest.raises(InputError, match=f"cut by schema {schema or 1} .* schema 3"):
        sweep(flow, {}, 2, times=[1.0], out=tmp_path)
    assert results.same_data(results.open(tmp_path), first)
