"""Figures are drawn from their files, within the size limit, and without jax."""

import subprocess
import sys

import matplotlib as mpl
import pytest

from jaxbias import plots
from jaxbias._checks import InputError
from jaxbias.plots import style


@pytest.mark.parametrize("kind", plots.KINDS)
def test_every_kind_is_drawn_and_saved(kind, tables, tmp_path):
    with style.paper():
        pdf, png = style.save(plots.figure(tables[kind]), tmp_path / kind)
    assert pdf.read_bytes().startswith(b"%PDF")
    # Type 42 keeps text as text; Type 3 fonts are refused by proceedings.
    assert b"/Type3" not in pdf.read_bytes()
    assert png.read_bytes().startswith(b"\x89PNG")
    assert 5_000 < png.stat().st_size <= style.PNG_LIMIT


def test_drawing_leaves_the_global_style_alone(tables):
    before = dict(mpl.rcParams)
    plots.figure(tables["scales"])
    assert dict(mpl.rcParams) == before


def test_the_same_table_gives_the_same_bytes(tables, tmp_path):
    written = []
    for name in ("one", "two"):
        with style.paper():
            figure = plots.figure(tables["contributions"])
            written.append(style.save(figure, tmp_path / name))
    for first, second in zip(*written, strict=True):
        assert first.read_bytes() == second.read_bytes()


def test_unknown_kind_names_the_known_ones(tables):
    with pytest.raises(InputError, match="distance"):
        plots.figure(tables["distance"].assign_attrs(plot="distanc"))


def test_missing_file_is_a_user_error(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        plots.draw(tmp_path / "data" / "none.nc")


def test_a_figure_is_redrawn_from_its_file_without_jax(tables, tmp_path):
    path = tmp_path / "study" / "data" / "distance.nc"
    path.parent.mkdir(parents=True)
    tables["distance"].to_netcdf(path, engine="h5netcdf")
    code = (
        "import sys, jaxbias.plots as plots\n"
        f"written = plots.draw({str(path)!r})\n"
        "assert 'jax' not in sys.modules, 'drawing imported jax'\n"
        "print(*[p.name for p in written])\n"
    )
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["distance.pdf", "distance.png"]
    assert (tmp_path / "study" / "distance.png").stat().st_size > 5_000
