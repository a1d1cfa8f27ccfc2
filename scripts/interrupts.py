"""Ctrl-C at random moments: the shell sees 130, and every file is whole.

Commands are started as a terminal starts them and interrupted once each; all of one
command write into the same folder, every other one with an empty cache of compiled
programs. After each, status, last words and files are looked at; in the end the same
command, left alone, has to finish and to give what it gives in a fresh folder.

    python scripts/interrupts.py
"""

import argparse
import contextlib
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
LINE = "jaxbias: stopped; what was finished is kept"
NOISE = ("Traceback", "Exception ignored", "Fatal", "Segmentation", "core dumped")
# Descriptor 3 tells when the command's own code begins; before, Python itself starts.
START = (
    "import os, signal, sys\n"
    "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
    "from jaxbias.cli import main\n"
    "os.write(int(sys.argv.pop(1)), b'.')\n"
    "sys.exit(main())"
)
PATIENCE = 600.0


@dataclass(frozen=True)
class Command:
    """A command and how it is judged.

    Attributes:
        words: what stands after ``jaxbias``; ``{out}`` is its folder.
        interrupts: how many of every fifty.
        compare: the file that an undisturbed run is compared by; None: not completed,
            because it takes too long.
        within: interrupts fall into the first so many seconds; None: into the time
            that an undisturbed run takes here, so that some come while it writes.
        writes: whether there have to be files to look at.
    """

    words: str
    interrupts: int
    compare: Callable[[Path], object] | None = None
    within: float | None = None
    writes: bool = True


@dataclass
class Found:
    """What came of the interrupts of one command."""

    within: float = 0.0
    stopped: int = 0
    early: int = 0
    slowest: float = 0.0
    files: int = 0
    leftovers: int = 0
    faults: list[str] = field(default_factory=list)


def fault(path: Path) -> str | None:
    """What is wrong with a file, or None where it is whole."""
    import numpy as np

    from jaxbias.results import store

    try:
        content = path.read_bytes()
        if path.suffix == ".nc":
            store.open(path)
        elif path.suffix == ".json":
            json.loads(content)
        elif path.suffix == ".npz":
            with zipfile.ZipFile(path) as archive:
                assert archive.testzip() is None, "a wrong checksum"
            with np.load(path) as arrays:
                assert all(arrays[name] is not None for name in arrays.files)
        elif path.suffix == ".png":
            assert content[-8:-4] == b"IEND", "it has no end"
        elif path.suffix == ".pdf":
            assert content.rstrip().endswith(b"%%EOF"), "it has no end"
        elif path.suffix == ".md":
            assert content.decode().endswith("\n"), "it has no end"
        else:
            return "not a file of ours"
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return None


def start(words: str, out: Path, cache: Path) -> tuple[subprocess.Popen, int]:
    """The process, and the descriptor on which it tells that its own code begins."""
    reading, writing = os.pipe()
    process = subprocess.Popen(
        [sys.executable, "-c", START, str(writing), *words.format(out=out).split()],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=out.parent,
        pass_fds=(writing,),
        env={
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "JAX_COMPILATION_CACHE_DIR": str(cache),
        },
    )
    os.close(writing)
    return process, reading


def interrupt(
    words: str, after: float, out: Path, cache: Path, found: Found
) -> str | None:
    """Start, interrupt after so many seconds, and look at what is left.

    Returns:
        What went wrong, or None.
    """
    process, reading = start(words, out, cache)
    os.read(reading, 1)
    os.close(reading)
    with contextlib.suppress(subprocess.TimeoutExpired):
        # `wait` would leave a full pipe full.
        process.communicate(timeout=after)
    if process.poll() is not None:
        found.early += 1
        wrong = None if process.returncode == 0 else f"ended by itself: {process.args}"
    else:
        began = time.monotonic()
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=PATIENCE)
        found.slowest = max(found.slowest, time.monotonic() - began)
        wrong = judge(process.returncode, said)
        found.stopped += wrong is None
    return wrong or look(out, found)


def judge(status: int, said: str) -> str | None:
    """What is wrong with how a process ended that was sent SIGINT, or None."""
    lines = said.splitlines()
    if any(noise in said for noise in NOISE):
        return f"noise: {said[-300:]!r}"
    if status == -signal.SIGINT and LINE not in lines:
        # All was done and printed, the interpreter was shutting down.
        return None
    if status not in (130, -signal.SIGINT) or lines[-1:] != [LINE]:
        return f"status {status}, last words {lines[-1:]}"
    return None


def look(out: Path, found: Found) -> str | None:
    """Count the files of a folder, and name one that is not whole."""
    from jaxbias.sweeps.sharing import LOCK

    # The lock of a sweep's folder is empty, and goes with whoever ends the sweep.
    files = sorted(p for p in out.rglob("*") if p.is_file() and p.name != LOCK)
    left = [p for p in files if p.name.startswith(".") and p.suffix == ".partial"]
    found.leftovers += len(left)
    found.files += len(files) - len(left)
    for path in files:
        if path not in left and (wrong := fault(path)) is not None:
            return f"{path.relative_to(out)}: {wrong}"
    return None


def alone(words: str, out: Path, cache: Path) -> str:
    """Run a command to its end; what it printed.

    Raises:
        RuntimeError: its status was not 0, or it warned.
    """
    process, reading = start(words, out, cache)
    os.read(reading, 1)
    os.close(reading)
    printed, said = process.communicate(timeout=PATIENCE)
    # What the command itself warns of, such as inaccurate runs, is part of its job.
    others = [line for line in said.splitlines() if "jaxbias: warning:" not in line]
    if process.returncode or any("arning" in line for line in others):
        raise RuntimeError(f"{words}: status {process.returncode}\n{said}")
    return printed


def table_of(out: Path) -> object:
    """A sweep's table, as what can be compared."""
    from jaxbias.results import store

    table = store.open(out)
    return {str(name): table[name].values.tobytes() for name in table.variables}


def arrays_of(out: Path) -> object:
    """What `radius` wrote."""
    import numpy as np

    with np.load(out / "radii.npz") as arrays:
        return {name: arrays[name].tolist() for name in arrays.files}


def nothing(out: Path) -> object:
    """Of a command that prints only; its printing is compared."""
    return sorted(out.iterdir())


# Two programs, hence two files: a batch of either is far below 30 seconds of work.
SWEEP = (
    "sweep neuron_alignment --over width=2,3,4 --over samples=50,100 --seeds 300 "
    "--out {out}"
)
RADIUS = (
    "radius {out}/../network.npz {out}/../points.npz --activation relu --effort tight "
    "--out {out}/radii.npz"
)
COMMANDS = (
    Command(SWEEP, 14, table_of),
    Command(RADIUS, 13, arrays_of),
    Command(
        "verify min-vidal-2025/theorem-1-distance --json", 13, nothing, writes=False
    ),
    Command("reproduce feature_averaging --out {out}", 10, within=100.0, writes=False),
)


def trials(command: Command, count: int, dice: random.Random, place: Path) -> Found:
    """Interrupt a command so many times and, where it is asked, let it finish."""
    found, lasting = Found(), place / "cache"
    out, undisturbed = place / "interrupted", place / "undisturbed"
    out.mkdir(parents=True)
    undisturbed.mkdir()
    began = time.monotonic()
    told = alone(command.words, undisturbed, lasting) if command.compare else ""
    found.within = command.within or time.monotonic() - began
    for number in range(count):
        after = dice.uniform(0, found.within)
        fresh = place / f"cache-{number}"
        cache = lasting if number % 2 else fresh
        wrong = interrupt(command.words, after, out, cache, found)
        shutil.rmtree(fresh, ignore_errors=True)
        if wrong:
            found.faults.append(f"{after:.2f} s: {wrong}")
        print(f"{after:6.2f} s {command.words.split()[0]}: {wrong or 'well'}")
    if command.writes and not found.files:
        found.faults.append("not one file was there to be looked at")
    if command.compare is not None:
        clean = lambda said: re.sub(r'"seconds": .*', "", said)
        told = clean(told.replace(str(undisturbed), "OUT"))
        again = alone(command.words, out, lasting)
        again = clean(again.replace(str(out), "OUT"))
        left, right = map(command.compare, (out, undisturbed))
        if left != right or told != again:
            found.faults.append("the end is not that of an undisturbed run")
        found.leftovers = sum(1 for _ in out.rglob(".*.partial"))
    return found


def files_of_radius(folder: Path) -> None:
    """A random network and points that `radius` works on for some seconds."""
    import numpy as np

    dice = np.random.default_rng(0)
    hidden, output = dice.normal(size=(40, 20)), dice.normal(size=40)
    inputs = dice.normal(size=(300, 20))
    labels = np.where(np.maximum(inputs @ hidden.T, 0) @ output > 0, 1, -1)
    np.savez(folder / "network.npz", hidden=hidden, output=output)
    np.savez(folder / "points.npz", inputs=inputs, labels=labels)


def main(arguments: list[str] | None = None) -> int:
    """Interrupt, write the log, and say with the status whether all was well."""
    asked = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    asked.add_argument("--interrupts", type=int, default=50)
    asked.add_argument("--seed", type=int, default=0)
    asked.add_argument("--out", type=Path, default=Path("figures/stores"))
    given = asked.parse_args(arguments)
    began = time.monotonic()
    counts = [max(1, round(c.interrupts * given.interrupts / 50)) for c in COMMANDS]
    rows, faults = [], []
    with tempfile.TemporaryDirectory() as folder:

        def one(number: int) -> Found:
            place = Path(folder) / str(number)
            place.mkdir()
            files_of_radius(place)
            dice = random.Random(f"{given.seed} {number}")
            return trials(COMMANDS[number], counts[number], dice, place)

        # At the same time, so that each waits for the others at odd moments.
        with ThreadPoolExecutor(len(COMMANDS)) as pool:
            all_found = list(pool.map(one, range(len(COMMANDS))))
        for command, count, found in zip(COMMANDS, counts, all_found, strict=True):
            words = " ".join(w for w in command.words.split() if "{" not in w)
            rows.append(
                f"| {words} | {count} | {found.within:.0f} s | {found.stopped} "
                f"| {found.early} | {found.slowest:.1f} s | {found.files} "
                f"| {found.leftovers} | {'yes' if command.compare else 'not tried'} |"
            )
            faults += [f"- `{command.words.split()[0]}` {f}" for f in found.faults]
    minutes = (time.monotonic() - began) / 60
    log = f"""# Interrupts

{(__doc__ or "").split("    python")[0].strip()}

Written by `scripts/interrupts.py`, seed {given.seed}.

| command | interrupts | at random within | the shell saw 130 | had ended before \
| slowest end | files looked at, all whole | hidden leftovers | then finished alike |
|---|---|---|---|---|---|---|---|---|
{chr(10).join(rows)}

{len(faults)} faults, {minutes:.0f} minutes.
"""
    given.out.mkdir(parents=True, exist_ok=True)
    path = given.out / "interrupts.md"
    path.write_text(log + "".join(f"\n{line}" for line in faults) + "\n" * bool(faults))
    print(path.read_text())
    return 1 if faults else 0


if __name__ == "__main__":
    raise SystemExit(main())
