"""The scripts on machines of every kind, with an interpreter that only pretends."""

import os
import pathlib
import shutil
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).parents[1]
PRETENDER = f"""#!/usr/bin/env bash
case "$1 $2" in
  "-m venv") mkdir -p .venv/bin && cp "$0" .venv/bin/python && echo venv >>log ;;
  "-m pip") echo "pip ${{@: -1}}" >>log ;;
  *) exec {sys.executable} "$@" ;;
esac
"""


@pytest.fixture
def place(tmp_path):
    shutil.copytree(ROOT / "scripts", tmp_path / "scripts")
    for name in ("constraints.txt", "pyproject.toml"):
        shutil.copy(ROOT / name, tmp_path)
    return tmp_path


def pretend(place, name="python", text=PRETENDER):
    path = place / name
    path.write_text(text)
    path.chmod(0o755)
    return str(path)


def environment(place, python, extras="cli,data"):
    return subprocess.run(
        ["bash", "-c", f". scripts/environment.sh; environment {extras}"],
        cwd=place,
        env={**os.environ, "PYTHON": python},
        capture_output=True,
        text=True,
    )


def log(place):
    return (place / "log").read_text().split("\n")[:-1]


def test_what_is_installed_is_not_installed_again(place):
    python = pretend(place)
    for extras in ("cli,data", "cli,data", "dev", "dev"):
        assert environment(place, python, extras).returncode == 0
    assert log(place) == ["venv", "pip .[cli,data]", "pip .[dev]"]


def test_new_pins_and_another_python_are_noticed(place):
    assert environment(place, pretend(place)).returncode == 0
    with (place / "constraints.txt").open("a") as pins:
        pins.write("# changed\n")
    assert environment(place, pretend(place)).returncode == 0
    assert log(place) == ["venv", "pip .[cli,data]", "pip .[cli,data]"]
    (place / ".venv" / "made-by-jaxbias").write_text("3.11.0-other\n")
    assert environment(place, pretend(place)).returncode == 0
    assert log(place)[3:] == ["venv", "pip .[cli,data]"]


def test_an_environment_of_someone_else_is_left_alone(place):
    (place / ".venv").mkdir()
    (place / ".venv" / "precious").write_text("mine")
    done = environment(place, pretend(place))
    assert done.returncode == 2
    assert "did not make" in done.stderr
    assert (place / ".venv" / "precious").read_text() == "mine"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (
            '#!/bin/bash\ncase "$2" in *print*) echo 3.9.1 ;; *) exit 1 ;; esac',
            "3.11",
        ),
        (PRETENDER.replace("mkdir -p", "false && mkdir -p"), "ensurepip"),
        ("#!/usr/bin/env bash\nexit 1", "does not run"),
    ],
)
def test_an_interpreter_that_cannot_serve_gets_a_line(place, text, says):
    done = environment(place, pretend(place, text=text))
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].startswith("got: ")
    assert says in done.stderr


def test_a_failed_installation_is_tried_again(place):
    broken = pretend(
        place, text=PRETENDER.replace(">>log ;;\n  *)", ">>log; exit 1 ;;\n  *)")
    )
    assert environment(place, broken).returncode == 1
    assert environment(place, broken).returncode == 1
    assert log(place) == ["venv", "pip .[cli,data]", "pip .[cli,data]"]


@pytest.fixture
def checkout(tmp_path):
    """A repository whose tests only say who runs them, and where."""
    (tmp_path / "scripts").mkdir()
    shutil.copy(ROOT / "scripts" / "both_ends.sh", tmp_path / "scripts")
    (tmp_path / "scripts" / "test.sh").write_text(
        f'cd "$(dirname "$0")/.."; echo "$PYTHON $(ls -A | tr "\\n" " ")" '
        f">>{tmp_path}/told; test ! -e broken\n"
    )
    (tmp_path / ".gitignore").write_text(".venv\ntold\n")
    (tmp_path / ".venv").mkdir()
    (tmp_path / ".venv" / "heavy").write_text("not to be copied")
    (tmp_path / "new file").write_text("not yet committed")
    subprocess.run(["git", "init", "-q"], cwd=tmp_path, check=True)
    return tmp_path


def both_ends(checkout, *pythons):
    return subprocess.run(
        ["bash", "scripts/both_ends.sh", *pythons],
        cwd=checkout,
        capture_output=True,
        text=True,
    )


def test_the_tests_run_on_every_interpreter_named(checkout):
    done = both_ends(checkout, sys.executable, "python3")
    assert done.returncode == 0, done.stderr
    first, second = (checkout / "told").read_text().splitlines()
    assert first == f"{sys.executable} .gitignore new file scripts "
    assert second == "python3 .gitignore new file scripts "
    assert done.stderr.count("tests on Python 3") == 2


def test_a_failure_on_one_interpreter_is_the_end(checkout):
    (checkout / "broken").touch()
    assert both_ends(checkout, sys.executable, "python3").returncode == 1
    assert len((checkout / "told").read_text().splitlines()) == 1
