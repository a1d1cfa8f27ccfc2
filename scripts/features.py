"""The Caltech256 experiment of the ICML 2024 paper on features of one's own.

FEATURES.npz holds `features` (sample, dim) and `labels` (sample,) of integers from 0;
the class of a row is its label modulo ten. Written are a figure and its data.

    python scripts/features.py FEATURES.npz --out figures/features
"""

import argparse
import sys
import time
from pathlib import Path

import jax

jax.config.update("jax_enable_x64", True)

import numpy as np  # noqa: E402

from jaxbias._checks import InputError  # noqa: E402
from jaxbias.plots import draw  # noqa: E402
from jaxbias.results import provenance, write  # noqa: E402
from jaxbias.studies._features import train_on_features  # noqa: E402

# The paper's protocol, but for seeds and points, which it does not say.
PAPER = {
    "exponents": (1.0, 2.0, 3.0, 4.0),
    "width": 2000,
    "epochs": 51,
    "batch": 1000,
    "steps": 100,
    "superclasses": 10,
}


def main(arguments=None):
    """Train, attack, draw; the exit status is 2 for a file that cannot be used."""
    asked = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    asked.add_argument("features", type=Path)
    asked.add_argument("--out", type=Path, default=Path("figures/features"))
    asked.add_argument("--seeds", type=int, default=3)
    asked.add_argument("--points", type=int, default=500, help="test rows attacked")
    asked.add_argument("--largest", type=float, default=0.1, help="largest radius")
    asked.add_argument("--exponents", type=float, nargs="+", default=PAPER["exponents"])
    for name in ("width", "epochs", "superclasses"):
        asked.add_argument(f"--{name}", type=int, default=PAPER[name])
    given = asked.parse_args(arguments)
    asked_for = ("exponents", "width", "epochs", "superclasses", "points")
    settings = PAPER | {name: getattr(given, name) for name in asked_for}
    began = time.monotonic()
    try:
        table = train_on_features(
            given.features,
            **settings,
            seeds=range(given.seeds),
            radii=np.linspace(0, given.largest, 15),
            root="features",
            tick=lambda what: print(f"{time.monotonic() - began:8.0f} s  {what}"),
        )
        target = given.out / "data" / "features.nc"
        about = provenance(settings, seeds=range(given.seeds), precision="float32")
        write(table.assign_attrs(**about), target)
        for path in draw(target):
            print(path)
    except InputError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
