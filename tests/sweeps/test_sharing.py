"""A sweep's folder: shared by processes, and untouched by calls that cannot work."""

import itertools
import json
import os
import subprocess
import sys

import numpy as np
import pytest
import xarray as xr

from jaxbias import results
from jaxbias._checks import InputError
from jaxbias.results import store
from jaxbias.results.provenance import GENERATOR
from jaxbias.sweeps import bucket, grid, sharing
from jaxbias.sweeps import run as verb
from jaxbias.sweeps.run import sweep

# What a batch costs is beside the point here, so a stand-in computes it.
STAND_IN = """
import numpy as np, xarray as xr
from jaxbias.sweeps import run as verb
def stand_in(batch, plan, *_):
    numbers = np.asarray([run.number for run in batch.runs])
    seeds = np.asarray([run.seed for run in batch.runs])
    table = xr.Dataset(
        {
            "loss": ("run", seeds / 7),
            "status": ("run", np.zeros(len(seeds), np.int32)),
            "error_estimate": ("run", np.zeros(len(seeds))),
            "largest_balance_error": ("run", np.zeros(len(seeds))),
        },
        plan.coordinates(batch.runs),
    )
    return table.assign_attrs(
        spec=plan.spec, spec_hash=plan.spec_hash, generator=verb_generator, axes="[]"
    )
"""
WORKER = f"""
import sys, time
from jaxbias.results.provenance import GENERATOR as verb_generator
{STAND_IN}
import jaxbias as jb
def slow(*given):
    time.sleep(0.02)
    return stand_in(*given)
verb.run_batch = slow
clusters = jb.data.OrthonormalClusters(dim=12, clusters=4, positive=2, noise=0.1)
flow = jb.dynamics.GradientFlow(jb.networks.TwoLayer(64), clusters, samples=8)
print("ready", flush=True)
sys.stdin.readline()
table = jb.sweep(flow, {{}}, 40, batch=2, out=sys.argv[1], shard=sys.argv[2] or None)
print(len(table.run), flush=True)
"""


@pytest.fixture
def quick(monkeypatch):
    """Batches that cost nothing; returns the names of those computed."""
    space = {"verb_generator": GENERATOR}
    exec(STAND_IN, space)
    computed = []

    def compute(batch, *rest):
        computed.append(batch.name)
        return space["stand_in"](batch, *rest)

    monkeypatch.setattr(verb, "run_batch", compute)
    return computed


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_two_writers_and_a_shard_at_once_leave_the_table_of_one(flow, quick, tmp_path):
    shards = ["", "", "2/3"]
    running = [
        subprocess.Popen(
            [sys.executable, "-c", WORKER, str(tmp_path / "many"), shard],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for shard in shards
    ]
    for process in running:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    said = []
    for process in running:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    said = [process.communicate(timeout=100)[0] for process in running]
    assert [process.returncode for process in running] == [0, 0, 0]
    # A whole sweep returns the whole table, whoever computed it.
    assert [int(text) for text in said[:2]] == [40, 40]
    network = verb.GradientFlow(type(flow.network)(64), flow.data, samples=8)
    alone = sweep(network, {}, 40, batch=2, out=tmp_path / "one")
    assert len(quick) == 20
    assert results.same_data(alone, results.open(tmp_path / "many"))
    assert names(tmp_path / "many") == names(tmp_path / "one")
    plans = [(tmp_path / name / "sweep.json").read_bytes() for name in ("one", "many")]
    assert plans[0] == plans[1]


def test_a_batch_that_another_process_has_is_left_to_it(flow, quick, tmp_path):
    holder = """
import sys
from pathlib import Path
from jaxbias.sweeps.sharing import Claims
claims = Claims(Path(sys.argv[1]))
claims.enter()
assert claims.take(2, wait=False)
print("held", flush=True)
sys.stdin.readline()
"""
    tmp_path.joinpath(sharing.LOCK).touch()
    process = subprocess.Popen(
        [sys.executable, "-c", holder, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"

    def progress(done, total, _):
        if done == 4:
            # Both others are done; its holder dies without having computed the first.
            process.kill()

    table = sweep(flow, {}, 6, batch=2, out=tmp_path, progress=progress)
    process.communicate()
    assert [name[6:11] for name in quick] == ["00001", "00002", "00000"]
    assert table.seed.values.tolist() == list(range(6))
    assert names(tmp_path) == [f"batch-0000{i}.nc" for i in range(3)] + ["sweep.json"]


REFUSED = {
    "width=1e30": {"over": {"width": [1e30]}},
    "width beyond memory": {"over": {"width": [2**31 - 1]}},
    "huge integer": {"over": {"noise": [10**400]}},
    "width=0": {"over": {"width": [0]}},
    "width=2.5": {"over": {"width": [2.5]}},
    "noise<0": {"over": {"noise": [-0.1]}},
    "noise nan": {"over": {"noise": [np.nan]}},
    "noise comma": {"over": {"noise": ["0,05"]}},
    "no such axis": {"over": {"widht": [4]}},
    "empty axis": {"over": {"width": []}},
    "one number": {"over": {"width": 8}},
    "array of none": {"over": {"width": np.array(8)}},
    "masked axis": {"over": {"noise": np.ma.masked_array([0.1, 0.2], [0, 1])}},
    "value twice": {"over": {"width": [4, 4]}},
    "samples": {"over": {"samples": [7]}},
    "scale=0": {"over": {"scale": [0.0]}},
    "scale underflows": {"over": {"scale": [1e-30]}, "dtype": "float32"},
    "loss": {"over": {"loss": ["logistik"]}},
    "clusters": {"over": {"clusters": [40]}},
    "seeds=3.0": {"seeds": 3.0},
    "seeds=0": {"seeds": 0},
    "seeds beyond 64 bits": {"seeds": 10**20},
    "a seed beyond 32 bits": {"seeds": [2**32]},
    "no end of seeds": {"seeds": itertools.count()},
    "runs": {"seeds": 40, "over": {"noise": [0.1, 0.2, 0.3]}},
    "points": {"over": {"noise": range(11), "scale": range(1, 11)}},
    "masked seeds": {"seeds": np.ma.masked_array([1, 2], [0, 1])},
    "seed twice": {"seeds": [1, 1]},
    "true": {"seeds": [True]},
    "times": {"times": [2.0, 1.0]},
    "masked times": {"times": np.ma.masked_array([1.0, 2.0], [0, 1])},
    "observe": {"observe": ["los"]},
    "shard": {"shard": "3/2"},
    "tolerances": {"tolerances": (1.0, 2.0, 3.0)},
    "dtype": {"dtype": "float16"},
    "form": {"form": "gram"},
    "batch": {"batch": 0},
    "radius_at": {"radius_at": "center"},
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_refused_call_leaves_no_trace(name, flow, quick, tmp_path, monkeypatch):
    monkeypatch.setattr(grid, "MOST_RUNS", 100)
    monkeypatch.setattr(bucket, "MOST_RUNS", 100)
    wrong = {"over": {}, "seeds": 2, "times": [1.0], **REFUSED[name]}
    with pytest.raises(InputError) as error:
        sweep(flow, out=tmp_path / "new" / "runs", **wrong)
    assert "\n" not in str(error.value)
    assert names(tmp_path) == []
    assert quick == []


def test_a_call_that_fails_in_its_first_batch_leaves_no_trace(
    flow, quick, tmp_path, monkeypatch
):
    def fail(*_):
        raise MemoryError

    with monkeypatch.context() as patch:
        patch.setattr(verb, "run_batch", fail)
        with pytest.raises(MemoryError):
            sweep(flow, {"width": [4, 8]}, 2, out=tmp_path / "runs")
        assert names(tmp_path) == []
        (tmp_path / "kept").mkdir()
        with pytest.raises(MemoryError):
            sweep(flow, {}, 2, out=tmp_path / "kept")
        assert names(tmp_path / "kept") == []
    sweep(flow, {"width": [4]}, 2, out=tmp_path / "runs")
    plan = (tmp_path / "runs" / "sweep.json").read_bytes()
    with monkeypatch.context() as patch:
        patch.setattr(verb, "run_batch", fail)
        with pytest.raises(MemoryError):
            sweep(flow, {"width": [8]}, 2, out=tmp_path / "runs", extend=True)
    assert (tmp_path / "runs" / "sweep.json").read_bytes() == plan
    assert names(tmp_path / "runs") == ["batch-00000.nc", "sweep.json"]


def test_what_was_finished_before_a_failure_stays(flow, quick, tmp_path, monkeypatch):
    compute = verb.run_batch

    def second_fails(batch, *rest):
        if batch.name == "batch-00001.nc":
            raise KeyboardInterrupt
        return compute(batch, *rest)

    monkeypatch.setattr(verb, "run_batch", second_fails)
    with pytest.raises(KeyboardInterrupt):
        sweep(flow, {}, 4, batch=2, out=tmp_path)
    assert names(tmp_path) == ["batch-00000.nc", "sweep.json"]
    with pytest.raises(InputError, match="holds a sweep with another"):
        sweep(flow, {"width": [4]}, 4, batch=2, out=tmp_path)


def test_the_plan_of_a_call_that_was_killed_at_once_is_replaced(flow, quick, tmp_path):
    # Its process is gone, and no batch of it is there.
    plan = {"spec_hash": "f", "spec": {"dict": []}, "files": ["batch-00000.nc"]}
    store.write_manifest(tmp_path, plan)
    (tmp_path / sharing.LOCK).touch()
    assert sweep(flow, {}, 2, out=tmp_path).sizes["run"] == 2
    assert names(tmp_path) == ["batch-00000.nc", "sweep.json"]


def test_a_plan_that_is_there_is_not_written_again(flow, quick, tmp_path):
    sweep(flow, {}, 4, batch=2, out=tmp_path)
    inode = os.stat(tmp_path / "sweep.json").st_ino
    (tmp_path / "batch-00001.nc").unlink()
    quick.clear()
    sweep(flow, {}, 4, batch=2, out=tmp_path)
    assert quick == ["batch-00001.nc"]
    assert os.stat(tmp_path / "sweep.json").st_ino == inode


def test_a_folder_of_other_things_is_refused_unless_told(flow, quick, tmp_path):
    (tmp_path / "thesis.tex").write_text("years of work")
    for dry_run in (True, False):
        with pytest.raises(InputError, match=r"thesis\.tex.*--into-existing"):
            sweep(flow, {}, 2, out=tmp_path, dry_run=dry_run)
    assert names(tmp_path) == ["thesis.tex"]
    sweep(flow, {}, 2, out=tmp_path, into_existing=True)
    # A sweep is there now, so nothing need be said.
    sweep(flow, {}, 2, out=tmp_path)
    assert names(tmp_path) == ["batch-00000.nc", "sweep.json", "thesis.tex"]
    hidden = tmp_path / "hidden"
    hidden.mkdir()
    (hidden / ".gitignore").touch()
    assert sweep(flow, {}, 2, out=hidden).sizes["run"] == 2
    with pytest.raises(InputError, match="it is a file"):
        sweep(flow, {}, 2, out=tmp_path / "thesis.tex")


@pytest.mark.parametrize("stream", ["rbg", None])
def test_a_folder_never_mixes_streams(stream, flow, quick, tmp_path):
    folder = tmp_path / "runs"
    sweep(flow, {}, 2, out=folder)
    path = folder / "sweep.json"
    plan = json.loads(path.read_text())
    assert plan["generator"] == GENERATOR
    other = {**plan, "generator": stream}
    path.write_text(json.dumps(other if stream else {**plan, "generator": None}))
    named = stream or "a generator that it does not name"
    for options in ({}, {"extend": True}, {"shard": "1/2"}):
        seeds = 3 if "extend" in options else 2
        with pytest.raises(InputError, match=f"drawn by {named}.*{GENERATOR}"):
            sweep(flow, {}, seeds, out=folder, **options)
    with pytest.raises(InputError, match="its folder by"):
        results.open(folder)


def test_every_file_says_its_generator(tmp_path):
    table = xr.Dataset({"x": ("run", [1.0])}).assign_attrs(results.provenance())
    read = results.open(results.write(table, tmp_path / "a.nc"))
    assert read.attrs["generator"] == GENERATOR


def test_where_nothing_can_be_locked_work_is_done_twice(flow, tmp_path, monkeypatch):
    monkeypatch.setattr(sharing, "fcntl", None)
    claims = sharing.Claims(tmp_path)
    claims.enter()
    assert claims.take(5, wait=False)
    assert claims.take(5, wait=True)
    assert not claims.alone()
    claims.release(5)
    claims.close()


@pytest.mark.parametrize("damage", ["truncated", "empty"])
def test_a_corrupt_batch_is_set_aside_and_computed_again(flow, quick, tmp_path, damage):
    whole = sweep(flow, {}, 6, batch=2, out=tmp_path)
    path = tmp_path / "batch-00001.nc"
    path.write_bytes(path.read_bytes()[: 300 if damage == "truncated" else 0])
    del quick[:]
    with pytest.warns(UserWarning, match=r"batch-00001\.nc.* set aside .*computed"):
        again = sweep(flow, {}, 6, batch=2, out=tmp_path)
    assert quick == ["batch-00001.nc"]
    assert results.same_data(again, whole)
    assert (tmp_path / "batch-00001.nc.corrupt-1").exists()
    assert results.same_data(results.open(tmp_path), whole)


def test_a_corrupt_manifest_is_refused(flow, quick, tmp_path):
    sweep(flow, {}, 2, out=tmp_path)
    (tmp_path / "sweep.json").write_text("{")
    with pytest.raises(InputError, match=r"sweep\.json.*corrupt"):
        sweep(flow, {}, 2, out=tmp_path)
    assert names(tmp_path) == ["batch-00000.nc", "sweep.json"]
