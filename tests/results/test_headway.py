import json
import os
import time

import numpy as np
import pytest
import xarray as xr

from jaxbias._checks import InputError
from jaxbias.results import headway, store
from jaxbias.results.glance import glance
from jaxbias.results.headway import rate
from jaxbias.results.planned import points_of_seeds

FLAGS = {"flag_values": [0, 1, 2], "flag_meanings": "finished max_steps non_finite"}


def part(widths, seeds, noises=(0.1,)):
    """A part of a manifest: a grid of two axes and its seeds."""
    over = [["data.noise", {"tuple": [*noises]}], ["width", {"tuple": [*widths]}]]
    if isinstance(seeds, int):
        form = {"dict": [["first", 0], ["count", seeds]]}
    else:
        form = {"tuple": [*seeds]}
    return {"dict": [["over", {"dict": over}], ["seeds", form]]}


def batch(statuses, seeds=None, inaccurate=None, **attrs):
    columns = {"status": ("run", np.array(statuses, np.int32), FLAGS)}
    if inaccurate is not None:
        columns["inaccurate"] = ("run", np.array(inaccurate))
    coords = {} if seeds is None else {"seed": ("run", np.array(seeds))}
    return xr.Dataset(columns, coords, {"wall_seconds": 1.5, **attrs})


def stamped(seconds):
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))


def test_batches_and_runs_are_counted(tmp_path):
    store.write_manifest(tmp_path, {"files": ["a.nc", "b.nc", "c.nc"]})
    store.write(batch([0, 0, 1], inaccurate=[True, False, True]), tmp_path / "a.nc")
    store.write(batch([0, 2], inaccurate=[False, False]), tmp_path / "c.nc")
    found = headway(tmp_path)
    assert found["folder"] == str(tmp_path)
    assert (found["batches"], found["batches_written"]) == (3, 2)
    assert found["batches_missing"] == 1
    assert (found["runs_written"], found["runs_unfinished"]) == (5, 2)
    assert found["statuses"] == {"finished": 3, "max_steps": 1, "non_finite": 1}
    # The unfinished run is not counted twice.
    assert found["inaccurate"] == 1
    assert found["wall_seconds"] == 3.0
    assert found["bytes"] == sum(path.stat().st_size for path in tmp_path.iterdir())
    assert (found["at_work"], found["batches_at_work"]) == (False, 0)


def test_a_glance_sees_what_the_table_holds(tmp_path):
    saved = batch([0, 1, 0], seeds=[4, 5, 6], inaccurate=[True, False, False])
    saved = saved.assign_attrs(spec_hash="f", generator="g", created="c")
    path = store.write(saved.assign(loss=("run", [1.0, 2.0, 3.0])), tmp_path / "a.nc")
    plan = {"spec_hash": "f", "generator": "g"}
    seen = glance(path, ("status", "inaccurate", "seed", "lost"), plan)
    assert seen.attrs == saved.attrs
    assert set(seen.variables) == {"status", "inaccurate", "seed"}
    for name in seen.variables:
        np.testing.assert_array_equal(seen[name], saved[name], strict=True)
    assert seen.status.attrs["flag_meanings"] == FLAGS["flag_meanings"]
    odd = store.write(batch([0]).expand_dims(time=2), tmp_path / "b.nc")
    with pytest.raises(InputError, match=r"b\.nc.*corrupt"):
        glance(odd, ("status",), {})


def test_what_a_folder_does_not_say_is_not_guessed(tmp_path):
    store.write_manifest(tmp_path, {"files": ["a.nc"], "parts": [{"of": "tomorrow"}]})
    store.write(batch([0]), tmp_path / "a.nc")
    found = headway(tmp_path)
    assert found["runs_planned"] is found["seeds_planned"] is None
    assert found["seconds_left"] is found["runs_per_second"] is None


def test_seeds_are_complete_when_every_point_has_them(tmp_path):
    plan = {"files": ["a.nc", "b.nc"], "parts": [part([8, 16], 3)]}
    store.write_manifest(tmp_path, plan)
    # Seed 0 at both points, seed 1 at one of them.
    store.write(batch([0, 0, 1], seeds=[0, 1, 0]), tmp_path / "a.nc")
    found = headway(tmp_path)
    assert (found["runs_planned"], found["seeds_planned"]) == (6, 3)
    assert found["seeds_complete"] == 1
    store.write(batch([0, 0, 0], seeds=[1, 2, 2]), tmp_path / "b.nc")
    assert headway(tmp_path)["seeds_complete"] == 3


def test_a_point_and_a_seed_are_planned_once():
    one = {"parts": [part([8, 16], 4, noises=(0.1, 0.2))]}
    assert points_of_seeds(one) == dict.fromkeys(range(4), 4)
    grown = {"parts": [part([8, 16], 2), part([16, 32], [1, 7])]}
    assert points_of_seeds(grown) == {0: 2, 1: 3, 7: 2}
    assert points_of_seeds({"parts": [part([8], 2), part([8], 3)]}) == {
        0: 1,
        1: 1,
        2: 1,
    }


def test_the_plan_is_that_of_a_real_sweep(tmp_path):
    import jaxbias as jb

    clusters = jb.data.OrthonormalClusters(dim=12, clusters=4, positive=2, noise=0.1)
    flow = jb.dynamics.GradientFlow(jb.networks.TwoLayer(4), clusters, samples=8)
    losses = {"loss": ["squared", "logistic"], "width": [3, 4]}
    for seeds, more in ((2, {}), ([1, 5], {"extend": True})):
        jb.sweep(flow, losses, seeds, times=[0.1], out=tmp_path, batch=3, **more)
    manifest = store.read_manifest(tmp_path)
    assert points_of_seeds(manifest) == {0: 4, 1: 4, 5: 4}
    found = headway(tmp_path)
    assert found["runs_planned"] == found["runs_written"] == 12
    assert found["seeds_complete"] == found["seeds_planned"] == 3


@pytest.mark.parametrize(
    ("stamps", "expected"),
    [
        ([0, 10, 20, 30], 0.4),
        # In any order, and of files in one folder at once.
        ([30, 10, 0, 20], 0.4),
        # A pause of a night: only the work after it tells the rate.
        ([0, 10, 20, 50_000, 50_020, 50_040], 0.2),
        ([0, 10], None),
        ([0, 1, 2, 3], None),
        ([0, 10, 20, 30, 40, 50_000], None),
        ([], None),
    ],
)
def test_the_rate_is_that_of_the_last_stretch(stamps, expected):
    found = rate([float(stamp) for stamp in stamps], [4] * len(stamps))
    assert found == (None if expected is None else pytest.approx(expected))


def test_time_left_is_told_from_what_files_say_of_themselves(tmp_path):
    names = [f"{i}.nc" for i in range(6)]
    store.write_manifest(tmp_path, {"files": names, "parts": [part([8], 12)]})
    for place, name in enumerate(names[:4]):
        seeds = [2 * place, 2 * place + 1]
        created = stamped(1_000_000 + 20 * place)
        store.write(batch([0, 0], seeds=seeds, created=created), tmp_path / name)
    # As a copy of the folder has it: all files of one moment.
    for name in names[:4]:
        os.utime(tmp_path / name, (2e9, 2e9))
    found = headway(tmp_path)
    assert found["last_written"] == stamped(1_000_060)
    assert found["runs_per_second"] == pytest.approx(0.1)
    assert found["seconds_left"] == pytest.approx(40)


def test_a_sweep_may_not_have_begun(tmp_path):
    with pytest.raises(InputError, match="no sweep has begun"):
        headway(tmp_path)
    store.write_manifest(tmp_path, {"files": ["a.nc"]})
    found = headway(tmp_path)
    assert found["batches_written"] == found["runs_written"] == 0
    assert found["last_written"] is None


def test_a_corrupt_file_is_named(tmp_path):
    store.write_manifest(tmp_path, {"files": ["a.nc"]})
    (tmp_path / "a.nc").write_bytes(b"half a file")
    with pytest.raises(InputError, match=r"a\.nc.*corrupt"):
        headway(tmp_path)


def test_a_file_of_another_sweep_is_named(tmp_path):
    store.write_manifest(tmp_path, {"files": ["a.nc"], "spec_hash": "f"})
    store.write(batch([0], spec_hash="g"), tmp_path / "a.nc")
    with pytest.raises(InputError, match=r"a\.nc.*another sweep"):
        headway(tmp_path)


def test_a_file_without_statuses_is_refused(tmp_path):
    store.write_manifest(tmp_path, {"files": ["a.nc"]})
    store.write(xr.Dataset({"x": ("run", [1.0])}), tmp_path / "a.nc")
    with pytest.raises(InputError, match="without 'status'"):
        headway(tmp_path)


def test_all_of_it_is_json(tmp_path):
    store.write_manifest(tmp_path, {"files": ["a.nc"], "parts": [part([8], 1)]})
    store.write(batch([1], seeds=[0], inaccurate=[False]), tmp_path / "a.nc")
    found = headway(tmp_path)
    assert json.loads(json.dumps(found)) == found
