"""Sweeps that are killed at random moments, and what the same call makes of the rest.

A sweep of descents, whose states are written down between segments, and one of flows
are killed by SIGKILL until each trial is finished: at random moments, inside the write
of a file, and just after a state was written. What is there in the end must be the
table of a sweep that nobody disturbed, bit for bit, and no finished batch may be
computed again.

    python scripts/kills.py --out figures/stores/kills.md
"""

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from jaxbias import results
from jaxbias._files import write_text

KINDS = ("random moment", "inside a write", "after a state")
CHILD = """
import dataclasses, json, os, signal, sys
import jaxbias as jb
from jaxbias.dynamics import Adaptive, Descent
from jaxbias.experiments import Descend
from jaxbias.sweeps import checkpoint, run, sweep
out, kind, number, which = sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4]
checkpoint.EVERY_SECONDS = 0.0
calls = 0
def kill_at(function):
    def called(*given):
        global calls
        calls += 1
        if kind == "inside a write" and calls == number:
            os.kill(os.getpid(), signal.SIGKILL)
        done = function(*given)
        if kind == "after a state" and calls == number:
            os.kill(os.getpid(), signal.SIGKILL)
        return done
    return called
if kind == "inside a write":
    # Written, and not yet synced: the file has its hidden name.
    os.fsync = kill_at(os.fsync)
if kind == "after a state":
    checkpoint.Checkpoint.save = kill_at(checkpoint.Checkpoint.save)
written = []
write = run.write
run.write = lambda table, path: written.append(path.name) or write(table, path)
clusters = jb.data.OrthonormalClusters(dim=20, clusters=4, positive=2, noise=0.1)
flow = jb.dynamics.GradientFlow(jb.networks.TwoLayer(width=8), clusters, samples=8)
print("ready", flush=True)
if which == "descents":
    experiment = Descend(flow, Descent(0.1, batch=2), (500, 1000, 1500, 2000, 2500))
    # A segment a piece: they are thought to be long.
    work = Descend.work
    long = lambda self, padded: dataclasses.replace(work(self, padded), seconds=200.0)
    Descend.work = long
    over = {"width": [4, 8], "rate": [0.1, 0.2]}
    sweep(experiment, over, 6, out=out, batch=8, workers=1)
else:
    over = {"width": [4, 8], "noise": [0.1, 0.2]}
    method = Adaptive(rtol=1e-3)
    sweep(flow, over, 24, times=[1.0, 50.0], out=out, batch=8, workers=1,
        integrator=method)
print(json.dumps(written), flush=True)
"""


def child(folder: Path, kind: str, number: int, which: str, cache: Path):
    """A process that sweeps; ready once everything is loaded."""
    known = {"JAX_PLATFORMS": "cpu", "JAX_COMPILATION_CACHE_DIR": str(cache)}
    known |= {"JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0"}
    process = subprocess.Popen(
        [sys.executable, "-c", CHILD, str(folder), kind, str(number), which],
        stdout=subprocess.PIPE,
        env=os.environ | known,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def files(folder: Path) -> dict[str, int]:
    """Finished batches and when each was written."""
    return {path.name: path.stat().st_mtime_ns for path in folder.glob("*.nc")}


def states(folder: Path) -> int:
    """States of unfinished batches."""
    return len(list(folder.glob(".*.state")))


def trial(
    root: Path, kind: str, which: str, span: float, rng: random.Random, cache: Path
) -> tuple[str, bool]:
    """Kill one sweep, let the same call finish it, and say what was found."""
    folder = root / f"{which}-{kind}-{rng.random()}".replace(" ", "-")
    number = rng.randint(1, 6)
    process = child(folder, kind, number, which, cache)
    if kind == "random moment":
        moment = span * rng.random()
        time.sleep(moment)
        process.send_signal(signal.SIGKILL)
    process.wait(300)
    killed = process.returncode == -signal.SIGKILL
    before, kept = files(folder), states(folder)
    process = child(folder, "none", 0, which, cache)
    said, _ = process.communicate(timeout=300)
    assert process.returncode == 0
    again = json.loads(said)
    after = files(folder)
    untouched = all(after.get(name) == stamp for name, stamp in before.items())
    whole = results.same_data(results.open(folder), results.open(root / which))
    clean = states(folder) == 0 and not set(again) & set(before)
    good = untouched and whole and clean
    row = (
        f"| {which} | {kind} | {'yes' if killed else 'ended before'} | {len(before)} "
        f"| {kept} | {len(again)} | {'yes' if whole else 'NO'} "
        f"| {'none' if untouched and clean else 'YES'} |"
    )
    return row, good


def main() -> int:
    """Run the trials and write the log."""
    asked = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    asked.add_argument("--trials", type=int, default=30)
    asked.add_argument("--seed", type=int, default=0)
    asked.add_argument("--out", type=Path)
    given = asked.parse_args()
    rng, rows, good = random.Random(given.seed), [], 0
    with tempfile.TemporaryDirectory() as place:
        root, cache = Path(place), Path(place) / "cache"
        spans = {}
        for which in ("descents", "flows"):
            for _ in range(2):
                # The second time with compiled programs: as long as a trial takes.
                for path in (root / which).glob("*.nc"):
                    path.unlink()
                process = child(root / which, "none", 0, which, cache)
                start = time.monotonic()
                process.communicate(timeout=600)
                spans[which] = time.monotonic() - start
        for number in range(given.trials):
            which = "descents" if number % 2 else "flows"
            kind = KINDS[number % 3] if which == "descents" else KINDS[number // 2 % 2]
            row, fine = trial(root, kind, which, spans[which], rng, cache)
            rows.append(row)
            good += fine
            print(row, flush=True)
    head = (
        "| sweep | killed | by SIGKILL | batches there | states there "
        "| batches computed after | same bits | finished ones computed again or lost |"
    )
    lines = [
        "# Killed sweeps",
        "",
        f"Written by `scripts/kills.py`, seed {given.seed}: {good} of {given.trials} "
        "trials end with the table of an undisturbed sweep, bit for bit, and leave "
        "finished batches alone.",
        "",
        head,
        "|---" * 8 + "|",
        *rows,
    ]
    if given.out is not None:
        given.out.parent.mkdir(parents=True, exist_ok=True)
        write_text(given.out, "\n".join(lines) + "\n")
    return 0 if good == given.trials else 1


if __name__ == "__main__":
    sys.exit(main())
