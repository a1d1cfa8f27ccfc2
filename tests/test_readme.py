"""What the README shows works as it stands, from a plain interpreter without x64."""

import os
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).parents[1]
TEXT = (ROOT / "README.md").read_text("utf-8")


def printed(code: str, folder: pathlib.Path = ROOT) -> str:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        capture_output=True,
        text=True,
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def blocks() -> list[str]:
    return re.findall(r"^```python\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL)


def test_ten_lines_find_the_robust_classifier():
    code = blocks()[0] + (
        "import numpy as np\n"
        "assert not jax.config.jax_enable_x64\n"
        "assert np.all(np.abs(radius.upper - 0.5**0.5) < 0.02), radius.upper\n"
        "assert np.all(radius.lower > 0.95 * 0.5**0.5), radius.lower\n"
    )
    assert printed(code)


def test_a_theorem_of_ones_own_is_judged():
    assert printed(blocks()[1]) == "holds True\n"


def test_the_commands_it_names_exist():
    from jaxbias.cli_arguments import COMMANDS

    named = set(re.findall(r"^jaxbias (\w+)", TEXT, re.MULTILINE))
    assert named == set(COMMANDS)
    for script in re.findall(r"bash (\S+\.sh)", TEXT):
        assert (ROOT / script).is_file()


def test_more_runs_are_swept_and_drawn(tmp_path):
    more = "assert table.sizes['run'] == 32 and slow.sizes['run'] == 16\n"
    assert printed(blocks()[2] + more, tmp_path).count("[") == 3
    assert sorted(path.name for path in (tmp_path / "runs").iterdir()) == [
        "descents",
        "flows",
    ]


def test_the_commands_for_more_runs_run(tmp_path, capsys, monkeypatch):
    from jaxbias import cli, cli_commands

    monkeypatch.setattr(cli_commands, "start_jax", lambda: None)
    monkeypatch.chdir(tmp_path)
    section = TEXT.partition("## More runs")[2].partition("## ")[0]
    commands = re.findall(r"^jaxbias (.*)$", section, re.MULTILINE)
    assert len(commands) == 5
    for words in commands:
        assert cli.main(words.split()) == 0, words
    assert (tmp_path / "runs" / "widths.csv").exists()
    worker = re.findall(r"`python -m ([\w.]+) (\S+)`", section)
    assert worker == [("jaxbias.sweeps.worker", "runs/widths")]
    from jaxbias.sweeps.worker import main

    assert main([worker[0][1]]) == 0
