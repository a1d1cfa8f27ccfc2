"""Ctrl-C while a sweep runs, and that torn files and bad ends would be noticed."""

import json
import os
import pathlib
import signal

import numpy as np
import pytest
import xarray as xr

from jaxbias.plots import style
from jaxbias.results import store
from scripts import interrupts

WORDS = "sweep neuron_alignment --over width=2,3 --seeds 2 --out {out}"


def test_a_sweep_that_is_interrupted_goes_on_where_it_stopped(tmp_path):
    out = tmp_path / "runs"
    out.mkdir()
    cache = pathlib.Path(os.environ["JAX_COMPILATION_CACHE_DIR"])
    found = interrupts.Found()
    # While modules are loaded, and while JAX computes.
    for after in (0.3, 2.5):
        assert interrupts.interrupt(WORDS, after, out, cache, found) is None
    assert found.stopped + found.early == 2
    assert found.stopped >= 1
    assert found.leftovers == 0
    assert "4 runs, 0 unfinished" in interrupts.alone(WORDS, out, cache)
    assert interrupts.look(out, found) is None
    assert store.open(out).sizes["run"] == 4


@pytest.fixture
def folder(tmp_path):
    """A whole file of every kind that commands write."""
    table = xr.Dataset({"value": ("time", np.arange(1000.0))})
    store.write(table, tmp_path / "table.nc")
    np.savez(tmp_path / "arrays.npz", lower=np.arange(1000.0))
    (tmp_path / "rows.json").write_text(json.dumps([{"claim": "a"}] * 9))
    (tmp_path / "page.md").write_text("# Title\n\nText.\n")
    figure = style.new_figure(3.0, 2.0)
    figure.subplots()
    style.save(figure, tmp_path / "figure")
    return tmp_path


@pytest.mark.parametrize(
    "name",
    ["table.nc", "arrays.npz", "rows.json", "page.md", "figure.png", "figure.pdf"],
)
def test_a_torn_file_is_noticed(name, folder):
    path = folder / name
    assert interrupts.fault(path) is None
    content = path.read_bytes()
    for size in (len(content) - 2, len(content) // 2, 0):
        path.write_bytes(content[:size])
        assert interrupts.fault(path), size
    found = interrupts.Found()
    assert interrupts.look(folder, found).startswith(f"{name}: ")
    assert found.files == 6


def test_what_writers_leave_is_counted_and_anything_else_is_named(tmp_path):
    found = interrupts.Found()
    (tmp_path / ".table.nc.1.partial").write_bytes(b"half")
    assert interrupts.look(tmp_path, found) is None
    assert (found.files, found.leftovers) == (0, 1)
    (tmp_path / "tmp8f3").write_bytes(b"half")
    assert interrupts.look(tmp_path, found) == "tmp8f3: not a file of ours"


@pytest.mark.parametrize(
    ("status", "said", "well"),
    [
        (130, f"{interrupts.LINE}\n", True),
        (-signal.SIGINT, f"1/2 runs\n{interrupts.LINE}\n", True),
        (-signal.SIGINT, "4/4 runs\n", True),
        (130, "", False),
        (0, f"{interrupts.LINE}\n", False),
        (0, "", False),
        (-signal.SIGSEGV, f"{interrupts.LINE}\n", False),
        (130, f"Traceback (most recent call last):\n{interrupts.LINE}\n", False),
        (-signal.SIGINT, f"Exception ignored in: x\n{interrupts.LINE}\n", False),
        (130, f"{interrupts.LINE}\nand more\n", False),
    ],
)
def test_how_an_interrupted_process_may_end(status, said, well):
    assert (interrupts.judge(status, said) is None) is well
