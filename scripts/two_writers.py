"""Processes that share the folder of a sweep, and processes that are killed in it.

Two whole sweeps and eight shards are started at once on a folder that is not there yet;
then single sweeps are killed at random moments, until what is left over is finished.
Both folders must end with the table that one process writes alone, bit for bit.

    python scripts/two_writers.py --out figures/stores/two_writers.md
"""

import argparse
import collections
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

SHARDS, WHOLE = 8, 2
WORKER = """
import json, sys
import jaxbias as jb
from jaxbias.sweeps import run
written = []
write = run.write
run.write = lambda table, path: written.append(path.name) or write(table, path)
clusters = jb.data.OrthonormalClusters(dim=20, clusters=4, positive=2, noise=0.1)
flow = jb.dynamics.GradientFlow(jb.networks.TwoLayer(width=8), clusters, samples=8)
print("ready", flush=True)
sys.stdin.readline()
table = jb.sweep(flow, {"width": [4, 8], "noise": [0.1, 0.2]}, seeds=int(sys.argv[3]),
    times=[1.0, 50.0], batch=8, out=sys.argv[1], shard=sys.argv[2] or None)
print(json.dumps([written, int(table.sizes["run"])]), flush=True)
"""


def start(folder: Path, shard: str, seeds: int, cache: Path) -> subprocess.Popen:
    """A process that is ready to sweep and waits for a line."""
    known = {"JAX_PLATFORMS": "cpu", "JAX_COMPILATION_CACHE_DIR": str(cache)}
    known |= {"JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0"}
    return subprocess.Popen(
        [sys.executable, "-c", WORKER, str(folder), shard, str(seeds)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=os.environ | known,
        text=True,
    )


def await_ready(process: subprocess.Popen) -> None:
    """Read the line that says so."""
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"


def go(process: subprocess.Popen) -> None:
    """Let it begin."""
    assert process.stdin is not None
    process.stdin.write("go\n")
    process.stdin.flush()


def together(folder: Path, seeds: int, cache: Path) -> list[tuple[str, list[str], int]]:
    """Whole sweeps and shards begun at once: name, batches written and runs seen."""
    shards = [""] * WHOLE + [f"{i}/{SHARDS}" for i in range(1, SHARDS + 1)]
    running = [start(folder, shard, seeds, cache) for shard in shards]
    for process in running:
        await_ready(process)
    for process in running:
        go(process)
    rows = []
    for shard, process in zip(shards, running, strict=True):
        said, _ = process.communicate(timeout=600)
        assert process.returncode == 0, f"{shard or 'whole'} failed"
        rows.append((shard or "whole", *json.loads(said)))
    return rows


def run_alone(folder: Path, seeds: int, cache: Path) -> tuple[int, float]:
    """One whole sweep from beginning to end: batches it computed, and seconds."""
    process = start(folder, "", seeds, cache)
    await_ready(process)
    began = time.perf_counter()
    go(process)
    said, _ = process.communicate(timeout=600)
    assert process.returncode == 0
    return len(json.loads(said)[0]), time.perf_counter() - began


def killed(folder: Path, after: float, seeds: int, cache: Path) -> tuple[int, int]:
    """A sweep killed after some seconds: batches it left, whole, and other files."""
    process = start(folder, "", seeds, cache)
    await_ready(process)
    go(process)
    time.sleep(after)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    if not folder.exists():
        return 0, 0
    tables = [results.open(path) for path in folder.glob("*.nc")]
    plan = folder / "sweep.json"
    assert json.loads(plan.read_text())["files"] if plan.exists() else not tables
    return len(tables), sum(path.name[0] == "." for path in folder.iterdir())


def page(folder: Path, seeds: int, count: int) -> list[str]:
    """Run everything in a folder; the lines of the log."""
    cache = folder / "cache"
    # The first of all compiles, the second says how long a sweep takes.
    batches, _ = run_alone(folder / "alone", seeds, cache)
    _, seconds = run_alone(folder / "again", seeds, cache)
    truth = results.open(folder / "alone")

    rows = together(folder / "shared", seeds, cache)
    shared = results.open(folder / "shared")
    assert results.same_data(truth, shared)
    plans = [
        (folder / name / "sweep.json").read_bytes() for name in ("alone", "shared")
    ]
    assert plans[0] == plans[1]
    times = collections.Counter(name for _, written, _ in rows for name in written)
    assert len(times) == batches
    twice = sum(count > 1 for count in times.values())
    expected = sorted(path.name for path in (folder / "alone").iterdir())
    left = sorted(path.name for path in (folder / "shared").iterdir())
    assert left == expected

    rng, kills = random.Random(0), []
    for number in range(count):
        place, after = folder / f"killed-{number}", rng.uniform(0.0, seconds)
        there, hidden = killed(place, after, seeds, cache)
        rest, _ = run_alone(place, seeds, cache)
        assert there + rest == batches
        assert results.same_data(truth, results.open(place))
        assert sorted(path.name for path in place.iterdir()) == expected
        kills.append((f"{after:.2f}", there, hidden, rest))
    return [
        "# Processes on one folder",
        "",
        "Written by `scripts/two_writers.py`, which stops at the first difference.",
        "",
        f"## {WHOLE} whole sweeps and {SHARDS} shards at once, on a fresh folder",
        "",
        f"{truth.sizes['run']} runs in {batches} batches. The table, the plan and the "
        "names of the files are those of one process alone, bit for bit. "
        f"Batches that were computed by more than one process: {twice}.",
        "",
        "| process | batches it computed | runs in the table it returned |",
        "|---|---|---|",
        *(f"| {name} | {len(written)} | {seen} |" for name, written, seen in rows),
        "",
        "## Killed at random moments",
        "",
        f"{count} sweeps were ended by SIGKILL at a random moment of the "
        f"{seconds:.1f} s that one takes. Every file was whole. The same call again "
        "computed what was missing, and left the same files with the same bits and "
        "nothing else.",
        "",
        "| killed after s | batches there | hidden files there | computed then |",
        "|---|---|---|---|",
        *("| " + " | ".join(map(str, row)) + " |" for row in kills),
        "",
    ]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seeds", type=int, default=128)
    parser.add_argument("--kills", type=int, default=20)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        text = "\n".join(page(Path(place), given.seeds, given.kills))
    write_text(given.out, text)
