"""Paths that are no files, too long, closed, or those of what is being read."""

import os
import pathlib

import numpy as np
import pytest

import jaxbias
from jaxbias import _files, _paths, cli, cli_commands
from jaxbias._checks import InputError
from jaxbias.networks import ReLU, read
from jaxbias.results import store

LONG = "n" * 400
needs_pipes = pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes")


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.setattr(cli_commands, "start_jax", lambda: None)
    rng = np.random.default_rng(0)
    np.savez(tmp_path / "net.npz", hidden=rng.standard_normal((3, 2)), output=[1, 1, 1])
    np.savez(tmp_path / "data.npz", inputs=np.eye(2), labels=np.ones(2))
    np.savez(tmp_path / "box.npz", low=-9.0, high=9.0)
    return tmp_path


def refused(capsys, *words):
    status = cli.main([str(word) for word in words])
    said = capsys.readouterr()
    assert status == 2, said.err
    assert said.out == ""
    assert said.err.startswith("jaxbias: ")
    assert said.err.count("\n") == 1, said.err
    assert " Try " in said.err
    return said.err


def radius(place, network="net.npz", data="data.npz", *more):
    relu = ("--activation", "relu", "--effort", "attack")
    return ("radius", place / network, place / data, *relu, *more)


@needs_pipes
@pytest.mark.parametrize("which", ["NETWORK", "DATA", "--box", "--out"])
def test_a_pipe_is_no_file(which, place, capsys):
    pipe = place / "pipe"
    os.mkfifo(pipe)
    words = {
        "NETWORK": radius(place, network="pipe"),
        "DATA": radius(place, data="pipe"),
        "--box": radius(place, "net.npz", "data.npz", "--box", pipe),
        "--out": radius(place, "net.npz", "data.npz", "--out", pipe),
    }[which]
    said = refused(capsys, *words)
    assert which in said
    assert "a pipe" in said
    assert pipe.is_fifo()


@needs_pipes
def test_readers_and_writers_in_python_refuse_a_pipe(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with pytest.raises(InputError, match="it is a pipe"):
        read(pipe, ReLU())
    for write in (
        lambda: _files.write_text(pipe, "text"),
        lambda: _files.write_arrays(pipe, {"a": 1}),
    ):
        with pytest.raises(InputError, match="it is a pipe, and no file"):
            write()
    assert pipe.is_fifo()
    assert [path.name for path in tmp_path.iterdir()] == ["pipe"]


@pytest.mark.parametrize("there", [True, False])
def test_a_link_stays_one_and_its_target_is_written(there, tmp_path):
    target, link = tmp_path / "deep" / "target.npz", tmp_path / "link.npz"
    target.parent.mkdir()
    if there:
        target.write_text("old")
    link.symlink_to(target)
    _files.write_arrays(link, {"a": 3})
    assert link.is_symlink()
    assert np.load(target)["a"] == 3


def test_radius_writes_through_a_link(place, capsys):
    (place / "link.npz").symlink_to(place / "radii.npz")
    words = radius(place, "net.npz", "data.npz", "--json", "--out", place / "link.npz")
    assert cli.main([str(word) for word in words]) == 0
    assert (place / "link.npz").is_symlink()
    assert "upper" in np.load(place / "radii.npz")


@pytest.mark.parametrize(
    ("out", "lost"),
    [("net.npz", "NETWORK"), ("data.npz", "DATA"), ("box.npz", "the file of --box")],
)
@pytest.mark.parametrize("linked", [False, True])
def test_what_is_read_is_not_written(out, lost, linked, place, capsys):
    before = (place / out).read_bytes()
    path = place / out
    if linked:
        path = place / "link"
        path.symlink_to(place / out)
    box = ("--box", place / "box.npz")
    said = refused(capsys, *radius(place, "net.npz", "data.npz", *box, "--out", path))
    assert f"it is {lost}" in said
    assert (place / out).read_bytes() == before


def test_a_part_of_a_folder_that_is_read_is_not_written(place, capsys):
    (place / "orbax").mkdir()
    (place / "orbax" / "_METADATA").write_text("{}")
    out = place / "orbax" / "_METADATA"
    said = refused(capsys, *radius(place, "orbax", "data.npz", "--out", out))
    assert "it is a part of NETWORK" in said


def test_names_that_are_too_long(place, capsys):
    for words in (
        radius(place, network=LONG),
        radius(place, data=LONG),
        radius(place, "net.npz", "data.npz", "--out", place / LONG),
        radius(place, "net.npz", "data.npz", "--box", place / LONG),
        ("sweep", "neuron_alignment", "--out", place / LONG),
        ("status", place / LONG),
        ("verify", "--from", place / LONG),
    ):
        said = refused(capsys, *words)
        assert "File name too long" in said
        assert len(said) < 600


def test_names_that_are_too_long_in_python(tmp_path):
    for call in (
        lambda: read(tmp_path / LONG, ReLU()),
        lambda: store.open(tmp_path / LONG),
        lambda: jaxbias.plots.draw(tmp_path / LONG),
        lambda: jaxbias.data.mnist(folder=tmp_path / LONG),
        lambda: _files.write_arrays(tmp_path / LONG, {"a": 1}),
        lambda: _files.write_text(tmp_path / LONG, "text"),
    ):
        with pytest.raises(InputError, match="File name too long"):
            call()


def test_a_folder_that_may_not_be_entered(place, capsys, monkeypatch):
    real = os.stat

    def closed(path, *more, **options):
        if "closed" in str(path):
            raise PermissionError(13, "Permission denied", str(path))
        return real(path, *more, **options)

    monkeypatch.setattr(os, "stat", closed)
    monkeypatch.setattr(
        pathlib.Path, "stat", lambda self, **options: closed(self, **options)
    )
    for words in (
        radius(place, network="closed/net.npz"),
        radius(place, data="closed/data.npz"),
        radius(place, "net.npz", "data.npz", "--out", place / "closed" / "radii.npz"),
        radius(place, "net.npz", "data.npz", "--box", place / "closed" / "box.npz"),
        ("sweep", "neuron_alignment", "--out", place / "closed" / "sweep"),
        ("status", place / "closed" / "sweep"),
        ("verify", "--from", place / "closed" / "figures"),
    ):
        assert "Permission denied" in refused(capsys, *words)


def test_standard_output_is_no_place_for_arrays(place, capsys, monkeypatch):
    file = place / "said"
    file.touch()
    monkeypatch.setattr(os, "fstat", lambda _: os.stat(file))
    said = refused(capsys, *radius(place, "net.npz", "data.npz", "--out", file))
    assert "tables and arrays would mix" in said


def test_a_broken_plan_is_answered_with_a_way_that_works(tmp_path, capsys):
    (tmp_path / "sweep.json").write_text("{")
    (tmp_path / "batch-00000.nc").write_text("a batch")
    said = refused(capsys, "status", tmp_path)
    assert "the same command with a new folder" in said


def test_long_paths_are_told_by_their_ends():
    assert _paths.shown("a/b") == "a/b"
    told = _paths.shown("a" * 100 + "b" * 100)
    assert told == "a" * 80 + "..." + "b" * 80
