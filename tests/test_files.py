"""Files written by several processes at once, and by processes that are killed."""

import os
import random
import signal
import subprocess
import sys
import time

import pytest

from jaxbias import _files
from jaxbias._checks import InputError

LENGTH = 200_000
WRITER = f"""
import sys
from pathlib import Path
from jaxbias._files import replace_whole
path, mark, count = Path(sys.argv[1]), sys.argv[2].encode(), int(sys.argv[3])
print("ready", flush=True)
for _ in range(count):
    replace_whole(path, mark * {LENGTH})
"""


def writer(path, mark, count):
    command = [sys.executable, "-c", WRITER, str(path), mark, str(count)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    with process.stdout as said:
        assert said.readline() == "ready\n"
    return process


def whole(path) -> bool:
    """Whether the file is one writer's from its first byte to its last."""
    content = path.read_bytes()
    return len(content) == LENGTH and len(set(content)) == 1


def hidden(folder):
    return [path.name for path in folder.iterdir() if path.name.startswith(".")]


def test_three_writers_of_one_file_never_tear_it(tmp_path):
    path = tmp_path / "table.nc"
    path.write_bytes(b"x" * LENGTH)
    writers = [writer(path, mark, 60) for mark in "abc"]
    reads = 0
    while any(process.poll() is None for process in writers):
        assert whole(path)
        reads += 1
    assert [process.wait() for process in writers] == [0, 0, 0]
    assert reads > 10
    assert whole(path)
    assert path.read_bytes()[:1] in (b"a", b"b", b"c")
    assert hidden(tmp_path) == []


def test_a_killed_writer_leaves_the_file_whole_and_the_next_one_tidies(tmp_path):
    path = tmp_path / "table.nc"
    path.write_bytes(b"x" * LENGTH)
    rng = random.Random(0)
    left = 0
    for _ in range(8):
        process = writer(path, "k", 10**9)
        time.sleep(rng.uniform(0.001, 0.05))
        process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
        assert whole(path)
        left += len(hidden(tmp_path))
    # Nearly all of a writer's time is in the hidden file, so some were left behind.
    assert left > 0
    _files.replace_whole(path, b"y" * LENGTH)
    assert hidden(tmp_path) == []
    assert path.read_bytes() == b"y" * LENGTH


def test_the_hidden_file_of_a_living_or_unknown_writer_is_not_touched(tmp_path):
    path = tmp_path / "a.json"
    start = f".a.json.{_files._machine()}-"
    names = {
        f"{start}{os.getpid()}-00.partial": True,
        ".a.json.00000000-2-00.partial": True,
        f"{start}letters-00.partial": True,
        # No process of this number: the kernel's are below 2^22.
        f"{start}4194305-00.partial": False,
        f"{start}{10**30}-00.partial": False,
    }
    for name in names:
        (tmp_path / name).write_text("half")
    _files.write_text(path, "{}")
    kept = {name for name, stays in names.items() if stays}
    assert {p.name for p in tmp_path.iterdir()} == {"a.json", *kept}


@pytest.mark.parametrize("name", ["n" * 255, "ü" * 127])
def test_the_longest_names_can_be_written(tmp_path, name):
    assert _files.write_text(tmp_path / name, "text").read_text() == "text"


def test_an_interrupt_in_the_middle_leaves_the_old_file(tmp_path, monkeypatch):
    def stop(*_):
        raise KeyboardInterrupt

    path = _files.write_text(tmp_path / "page.md", "old")
    monkeypatch.setattr("os.fsync", stop)
    with pytest.raises(KeyboardInterrupt):
        _files.write_text(path, "new")
    assert path.read_text() == "old"
    assert hidden(tmp_path) == []


def test_a_text_that_cannot_be_written_is_told_in_one_line(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(InputError, match="it cannot be written"):
        _files.write_text(tmp_path / "file" / "page.md", "text")
