"""What one run of a sweep of small networks costs, in milliseconds of one core.

The sweep of `jaxbias/sweeps/costs.py`: 10 clusters, 60 samples in 200 dimensions,
p = 1, scale 1e-7, t = 200 observed 16 times in float32, widths 32, 64, 128 and 256 with
five noises. Loss and margin are saved, and where a width stands alone the cosines with
the centres. Process CPU time of one pinned core, compiling apart; rounds of this
checkout and another one are interleaved.

    taskset -c 0 python scripts/small_runs.py [--against CHECKOUT] [--rounds 3]
        [--out figures/benchmarks/small_runs.md]
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

ABOUT = __doc__ or ""
HERE = Path(__file__).resolve().parents[1]
WIDTHS = (32, 64, 128, 256)
NOISES = (0.05, 0.1125, 0.175, 0.2375, 0.3)
ACCURACIES = {"final outputs": 100, "every time": 25}
# So many runs that four programs pay; once only, since it takes minutes.
TOGETHER = {"final outputs": 800}


def measure(accuracy: str, seeds: int, widths: tuple[int, ...]) -> dict[str, float]:
    """CPU seconds of the first, short call and milliseconds a run of a long one."""
    import jaxbias as jb

    clusters = jb.data.OrthonormalClusters(dim=200, clusters=10, positive=6, noise=0.1)
    network = jb.networks.TwoLayer(width=256, init=jb.networks.balanced(1e-7))
    flow = jb.dynamics.GradientFlow(network, clusters, samples=60)

    def call(seeds) -> float:
        start = time.process_time()
        table = jb.sweep(
            flow,
            {"width": widths, "noise": NOISES},
            seeds,
            times=jb.times.logarithmic(200.0, count=16),
            # Cosines of all neurons of 16,000 networks would be a table of 2.6 GB.
            observe=(
                "loss",
                "minimum_margin",
                *["centre_cosines"] * (len(widths) == 1),
            ),
            integrator=jb.dynamics.Adaptive(accuracy=accuracy),
            dtype="float32",
        )
        assert (table.status.values == 0).all()
        return time.process_time() - start

    # The same number of runs, hence the same programs.
    first, spent = call(range(10**6, 10**6 + seeds)), call(seeds)
    runs = seeds * len(widths) * len(NOISES)
    return {"ms": 1e3 * spent / runs, "compile": first - spent}


def round_of(checkout: Path, accuracy: str, widths: tuple[int, ...]) -> dict:
    """One measurement in a process of its own."""
    seeds = (ACCURACIES if len(widths) == 1 else TOGETHER)[accuracy]
    asked = json.dumps([accuracy, seeds, widths])
    done = subprocess.run(
        [sys.executable, "-W", "ignore", __file__, "--measure", asked],
        env={**os.environ, "PYTHONPATH": str(checkout), "JAX_PLATFORMS": "cpu"},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return json.loads(done.stdout)


def main() -> None:
    """Measure, and print or write the table."""
    parser = argparse.ArgumentParser(description=ABOUT.splitlines()[0])
    parser.add_argument("--against", type=Path)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--measure")
    given = parser.parse_args()
    if given.measure:
        accuracy, seeds, widths = json.loads(given.measure)
        print(json.dumps(measure(accuracy, seeds, tuple(widths))))
        return
    checkouts = {"before": given.against} if given.against else {}
    checkouts["now"] = HERE
    lines = [
        "# Small runs",
        "",
        ABOUT.split("\n\n")[1],
        "",
        "Written by `scripts/small_runs.py`; medians of "
        f"{given.rounds} rounds, of all widths together one; milliseconds a run.",
        "",
        "| accuracy | widths | " + " | ".join(checkouts) + " |",
        "|---|---|" + "---|" * len(checkouts),
    ]
    for accuracy in ACCURACIES:
        together = [WIDTHS] * (accuracy in TOGETHER)
        for widths in (*((w,) for w in WIDTHS), *together):
            found: dict[str, list[float]] = {name: [] for name in checkouts}
            for _ in range(given.rounds if len(widths) == 1 else 1):
                for name, checkout in checkouts.items():
                    found[name].append(round_of(checkout, accuracy, widths)["ms"])
            cells = [f"{statistics.median(ms):.2f}" for ms in found.values()]
            shown = ", ".join(map(str, widths))
            lines.append(f"| {accuracy} | {shown} | " + " | ".join(cells) + " |")
            print(lines[-1], flush=True)
    if given.out:
        given.out.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
