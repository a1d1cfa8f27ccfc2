"""Workers: the same numbers from several processes, and when there are none."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from walks import Walk

import jaxbias
from jaxbias import results
from jaxbias._checks import InputError
from jaxbias.dynamics.adaptive import Adaptive
from jaxbias.experiments.flow import Flow
from jaxbias.observables import Observable
from jaxbias.sweeps import run, sweep, worker, workers

HERE = Path(__file__).parent
FEW_STEPS = Adaptive(accuracy="final outputs")


def small(seeds=6, **options):
    return sweep(Walk(), {"walkers": [3, 6]}, seeds, batch=2, **options)


def test_workers_give_the_table_of_one(tmp_path):
    told = []
    many = small(workers=2, out=tmp_path / "many", progress=lambda *t: told.append(t))
    assert many.attrs["workers"] == "2: as asked for"
    one = small(workers=1, out=tmp_path / "one")
    assert one.attrs["workers"] == "1: one was asked for"
    assert results.same_data(many, one)
    assert told[-1] == (12, 12, "runs")
    assert sorted(os.listdir(tmp_path / "many")) == sorted(os.listdir(tmp_path / "one"))


def test_a_flow_and_no_folder_do_as_well(flow):
    given = {"times": [5.0], "integrator": FEW_STEPS, "batch": 2}
    many = sweep(flow, {"width": [20, 64]}, 2, workers=2, **given)
    assert many.attrs["workers"] == "2: as asked for"
    assert results.same_data(many, sweep(flow, {"width": [20, 64]}, 2, **given))


def test_little_work_and_what_cannot_travel_stay_here(flow, monkeypatch):
    monkeypatch.setattr(run, "run_workers", lambda *_: pytest.fail("no workers"))
    assert "s of work are done sooner" in small().attrs["workers"]
    own = Observable("own", lambda snapshot: snapshot.norms[0], (), "mine")
    table = sweep(flow, {}, 4, times=[0.1], observe=[own], batch=2, workers=2)
    assert "cannot build the experiment" in table.attrs["workers"]
    once = sweep(Walk(), {}, 1, workers=2)
    assert once.attrs["workers"] == "1: one batch is all that is missing"


def test_large_work_takes_every_core(monkeypatch):
    seen = []
    monkeypatch.setattr(workers, "cores", lambda: [0, 1, 2])
    monkeypatch.setattr(workers, "LEAST_SECONDS", 0.0)
    monkeypatch.setattr(run, "run_workers", lambda folder, n, *_: seen.append(n))
    assert small().attrs["workers"] == "3: one a core"
    assert seen == [3]
    monkeypatch.setattr(workers, "cores", lambda: [0])
    assert small().attrs["workers"] == "1: there is one core"
    with pytest.raises(InputError, match="workers=0"):
        small(workers=0)


SCRIPT = """
import sys
from jaxbias.sweeps import sweep
import jax
jax.numpy.zeros(3).sum()
from walks import Walk
table = sweep(Walk(), {"walkers": [3, 6]}, 8, workers=2, batch=4)
print(table.attrs["workers"], float(table.furthest.sum()))
"""


@pytest.mark.parametrize("stdin", [True, False])
def test_a_script_without_a_guard_and_from_standard_input(tmp_path, stdin):
    path = tmp_path / "script.py"
    path.write_text(SCRIPT)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([*sys.path, str(HERE)])}
    process = subprocess.run(
        [sys.executable, "-" if stdin else str(path)],
        input=SCRIPT if stdin else None,
        capture_output=True,
        text=True,
        env=environment,
        timeout=120,
    )
    assert process.returncode == 0, process.stderr
    first, said = process.stdout.split(": as asked for ")
    assert first == "2"
    table = sweep(Walk(), {"walkers": [3, 6]}, 8, workers=1)
    np.testing.assert_allclose(float(said), float(table.furthest.sum()))


def test_what_a_notebook_defines_stays_there(tmp_path):
    own = """
class Mine(Walk):
    pass
table = sweep(Mine(), {"walkers": [3, 6]}, 8, workers=2, batch=4)
print(table.attrs["workers"])
"""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([*sys.path, str(HERE)])}
    script = SCRIPT.partition("table =")[0] + own
    said = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, env=environment
    )
    assert "script or notebook defines" in said.stdout, said.stderr


def test_a_worker_by_hand_does_what_is_left(tmp_path, capsys):
    whole = small(out=tmp_path, workers=1)
    lost = tmp_path / "batch-00002.nc"
    lost.unlink()
    assert worker.main([str(tmp_path), "--module", "walks"]) == 0
    assert lost.exists()
    assert results.same_data(results.open(tmp_path), whole)
    assert worker.main([str(tmp_path / "none")]) == 2
    assert "no sweep has begun" in capsys.readouterr().err
    assert not (tmp_path / "none").exists()


def test_a_worker_that_cannot_go_on_says_so(tmp_path):
    small(out=tmp_path, workers=1)
    (tmp_path / "batch-00002.nc").unlink()
    path = tmp_path / "sweep.json"
    manifest = json.loads(path.read_text())
    path.write_text(json.dumps({**manifest, "generator": "another"}))
    with pytest.raises(InputError, match="another"):
        workers.run_workers(tmp_path, 1, None, ["walks"], lambda: None)
    path.write_text(json.dumps({**manifest, "parts": 3}))
    with pytest.raises(RuntimeError, match="status 1"):
        workers.run_workers(tmp_path, 1, None, ["walks"], lambda: None)


def test_a_worker_does_not_outlive_its_caller(tmp_path):
    small_sweep = Walk(seconds=1.0)
    sweep(small_sweep, {}, 2, out=tmp_path, batch=1, workers=1)
    command = [sys.executable, "-m", "jaxbias.sweeps.worker", str(tmp_path), "--tied"]
    # It waits for a claim that this process has until its input ends.
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([*sys.path, str(HERE)])}
    (tmp_path / "batch-00001.nc").unlink()
    from jaxbias.sweeps.sharing import Claims

    claims = Claims(tmp_path)
    assert claims.take(0, wait=False)
    process = subprocess.Popen(
        [*command, "--module", "walks"], stdin=subprocess.PIPE, env=environment
    )
    time.sleep(2.0)
    assert process.poll() is None
    assert process.stdin is not None
    process.stdin.close()
    assert process.wait(30) == worker.ORPHANED
    claims.close()


def test_modules_outside_are_named(flow):
    spec = json.loads(results.spec_to_json({"a": Walk(), "b": Flow(flow, (1.0,))}))
    assert workers.outside_modules(spec) == ["walks"]
    assert jaxbias.__name__ == "jaxbias"
