"""Experiments with segments: pieces, states between them, and kills."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from walks import Turning, Walk

from jaxbias import results
from jaxbias.sweeps import checkpoint, run_key, segments, sweep

HERE = Path(__file__).parent


def own_steps(walk, seed):
    return np.asarray(
        walk.draw(run_key("jaxbias", seed), {"walkers": 99, "pace": 1.0}, (), 6)
    )


def test_a_walk_ends_where_it_should():
    table = sweep(Walk(), {"walkers": [2, 6], "pace": [1.0, 0.5]}, 3)
    assert table.place.dims == ("run", "time", "neuron")
    assert table.walkers.values.tolist() == [2] * 6 + [6] * 6
    assert table.taken.values.tolist() == [6] * 12
    for row in range(12):
        one = table.isel(run=row)
        width = int(one.walkers)
        steps = float(one.pace) * own_steps(Walk(), int(one.seed))[:width]
        expected = np.asarray([2, 5, 6])[:, None] * steps
        np.testing.assert_allclose(one.place.values[:, :width], expected, rtol=1e-12)
        np.testing.assert_allclose(one.furthest.values, np.abs(expected).max(1))
        assert np.isnan(one.place.values[:, width:]).all()


@pytest.mark.parametrize("seconds", [1e-6, 1.0, 40.0, 1e3])
def test_pieces_change_nothing(seconds):
    one = segments.pieces_of(Walk(seconds=seconds), 1, 4)
    assert one.shape[0] * one.shape[1] >= 3
    spans = one.reshape(-1, 2)
    assert spans[:3].tolist() == [[0, 2], [2, 5], [5, 6]]
    assert (spans[3:] == 6).all()
    table = sweep(Walk(seconds=seconds), {"walkers": [2, 6]}, 2)
    whole = sweep(Walk(), {"walkers": [2, 6]}, 2)
    for name in ("place", "furthest", "taken"):
        np.testing.assert_array_equal(table[name].values, whole[name].values)


def test_short_segments_come_together():
    assert segments.pieces_of(Walk(seconds=1e-6), 64, 4).shape == (1, 3, 2)
    assert segments.pieces_of(Walk(seconds=40.0), 1, 4).shape == (2, 2, 2)
    assert segments.pieces_of(Walk(seconds=1e3), 1, 4).shape == (3, 1, 2)
    assert segments.pieces_of(Turning(), 1, 4).shape == (3, 1, 2)


def test_the_host_comes_between():
    table = sweep(Turning(), {"walkers": [6]}, 1)
    steps = own_steps(Walk(), 0)
    # 2 steps, back, 3 steps from there, back, 1 more.
    expected = np.stack([2 * steps, -2 * steps + 3 * steps, -steps + steps])
    np.testing.assert_allclose(table.place.values[0], expected, atol=1e-12)


def test_one_trace_for_all_segments_batches_and_paces(monkeypatch):
    traces = []
    advance = Walk.advance

    def traced(self, *arguments):
        traces.append(self.seconds)
        return advance(self, *arguments)

    monkeypatch.setattr(Walk, "advance", traced)
    slow = Walk(seconds=1000.5)
    sweep(slow, {"walkers": [5, 6, 7, 8], "pace": [0.1, 0.2]}, 8, batch=4)
    first = len(traces)
    sweep(slow, {"walkers": [5, 6, 7, 8], "pace": [0.3, 0.4]}, 3)
    assert len(traces) == first
    # The shapes of idle blocks, of the scan, and the program itself.
    assert first <= 4


KILLED = """
import os, signal, sys
sys.path.insert(0, sys.argv[2])
from walks import Turning
from jaxbias.sweeps import checkpoint, sweep
checkpoint.EVERY_SECONDS = 0.0
saved = checkpoint.Checkpoint.save
def killed(self, make):
    saved(self, make)
    killed.count += 1
    if killed.count == int(sys.argv[3]):
        os.kill(os.getpid(), signal.SIGKILL)
killed.count = 0
checkpoint.Checkpoint.save = killed
sweep(Turning(), {"walkers": [3, 6]}, 40, out=sys.argv[1], batch=60)
"""


@pytest.mark.parametrize("at", [1, 2, 3])
def test_a_kill_between_segments_resumes_to_the_same_bits(tmp_path, monkeypatch, at):
    killed = tmp_path / "killed"
    script = [sys.executable, "-c", KILLED, str(killed), str(HERE), str(at)]
    process = subprocess.run(script, capture_output=True, text=True)
    assert process.returncode == -signal.SIGKILL, process.stderr
    states = [name for name in os.listdir(killed) if name.endswith(".state")]
    assert len(states) == 1
    turned = []
    between = Turning.between
    monkeypatch.setattr(
        Turning,
        "between",
        lambda self, state, outcome, segment: (
            turned.append(segment) or between(self, state, outcome, segment)
        ),
    )
    over = {"walkers": [3, 6]}
    resumed = sweep(Turning(), over, 40, out=killed, batch=60)
    again = len(turned)
    assert not [name for name in os.listdir(killed) if name.endswith(".state")]
    del turned[:]
    whole = sweep(Turning(), over, 40, out=tmp_path / "whole", batch=60)
    assert results.same_data(resumed, whole)
    assert again < len(turned)


def test_a_state_of_another_sweep_or_a_broken_one_is_not_taken_up(
    tmp_path, monkeypatch
):
    monkeypatch.setattr(checkpoint, "EVERY_SECONDS", 0.0)
    kept = checkpoint.Checkpoint(tmp_path, "batch-00000.nc.0", "abc")
    kept.save(lambda: {"call": np.asarray(0)})
    assert kept.load() == {"call": 0}
    assert checkpoint.Checkpoint(tmp_path, "batch-00000.nc.0", "other").load() is None
    path = next(tmp_path.iterdir())
    path.write_bytes(path.read_bytes()[:50])
    assert kept.load() is None
    monkeypatch.setattr(checkpoint, "MOST_BYTES", 4)
    checkpoint.remove_states(tmp_path, "batch-00000.nc")
    kept.save(lambda: {"call": np.zeros(100)})
    assert os.listdir(tmp_path) == []


def test_a_young_state_is_not_saved_again(tmp_path):
    kept = checkpoint.Checkpoint(tmp_path, "batch-00000.nc.0", "abc")
    kept.save(lambda: pytest.fail("nothing is due"))
    assert os.listdir(tmp_path) == []
