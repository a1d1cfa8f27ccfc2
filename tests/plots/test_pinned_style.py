"""A user's own settings of matplotlib do not reach our figures, and survive them."""

import contextlib
import os
import pathlib
import re
import subprocess
import sys

import matplotlib as mpl
import pytest

from jaxbias import plots
from jaxbias.plots import style

ROOT = pathlib.Path(__file__).parents[2]
HOSTILE = {
    "text.usetex": True,
    "font.size": 40,
    "font.family": "cursive",
    "mathtext.fontset": "cm",
    "axes.grid": True,
    "axes.prop_cycle": mpl.cycler(color=["red"]),
    "axes.xmargin": 0.3,
    "axes.unicode_minus": False,
    "lines.linewidth": 9,
    "lines.dashed_pattern": (1, 9),
    "patch.edgecolor": "red",
    "xtick.minor.visible": True,
    "image.cmap": "hot",
    "image.origin": "lower",
    "figure.facecolor": "pink",
    "figure.autolayout": True,
    "savefig.bbox": "tight",
    "savefig.facecolor": "black",
    "savefig.transparent": True,
    "path.simplify": False,
    "text.hinting": "none",
    "text.antialiased": False,
    "pdf.compression": 0,
    "pdf.use14corefonts": True,
}
# A line, an image, a colour of the cycle's, shaded patches.
KINDS = ("scales", "cosine_map", "geometry", "robust_accuracy")


def saved(table, folder):
    return [path.read_bytes() for path in style.save(plots.figure(table), folder)]


@pytest.mark.parametrize("kind", KINDS)
def test_settings_of_the_process_change_no_byte(kind, tables, tmp_path):
    expected = saved(tables[kind], tmp_path / "plain")
    with mpl.rc_context(HOSTILE):
        mpl.rcParams["backend"] = "svg"
        before = dict(mpl.rcParams)
        assert saved(tables[kind], tmp_path / "hostile") == expected
        assert dict(mpl.rcParams) == before
    mpl.rcParams["backend"] = "agg"


def test_those_settings_would_have_been_seen(tables, tmp_path, monkeypatch):
    expected = saved(tables["scales"], tmp_path / "plain")
    monkeypatch.setattr(style, "paper", contextlib.nullcontext)
    for name in ("axes.grid", "savefig.facecolor"):
        with mpl.rc_context(), mpl.style.context(["default", "jaxbias.plots.paper"]):
            mpl.rcParams[name] = HOSTILE[name]
            assert saved(tables["scales"], tmp_path / "seen")[1] != expected[1], name


def test_a_file_of_settings_and_a_backend_change_no_byte(tables, tmp_path):
    data = tmp_path / "data" / "scales.nc"
    data.parent.mkdir()
    tables["scales"].to_netcdf(data, engine="h5netcdf")
    expected = [path.read_bytes() for path in plots.draw(data, tmp_path / "plain")]
    lines = [
        f"{name}: {value}"
        for name, value in HOSTILE.items()
        if isinstance(value, bool | int | float | str)
    ]
    settings = tmp_path / "matplotlibrc"
    settings.write_text("\n".join([*lines, "backend: svg", ""]))
    code = (
        "import sys, matplotlib as mpl\n"
        "from jaxbias.plots import draw\n"
        "assert mpl.rcParams['text.usetex'] and mpl.rcParams['font.size'] == 40\n"
        "draw(*sys.argv[1:])\n"
        "assert mpl.rcParams['text.usetex'] and mpl.rcParams['font.size'] == 40\n"
        "assert mpl.get_backend().lower() == 'tkagg'\n"
        "assert 'matplotlib.pyplot' not in sys.modules"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(data), str(tmp_path / "hostile")],
        capture_output=True,
        text=True,
        env={**os.environ, "MATPLOTLIBRC": str(settings), "MPLBACKEND": "TkAgg"},
    )
    assert done.returncode == 0, done.stderr
    drawn = [tmp_path / "hostile" / f"scales.{end}" for end in ("pdf", "png")]
    assert [path.read_bytes() for path in drawn] == expected


def _places(pattern):
    """Modules of the package and scripts that use a name of matplotlib's."""
    sources = [p for f in ("jaxbias", "scripts") for p in (ROOT / f).rglob("*.py")]
    return {p.name for p in sources if re.search(pattern, p.read_text("utf-8"))}


def test_figures_are_made_and_saved_in_one_place():
    assert _places(r"\bFigure\(") == {"style.py"}
    assert _places(r"\.savefig\(") == {"style.py"}
    assert _places(r"pyplot|rcParams|rc_context|rcdefaults|subplots\(figsize") == set()
