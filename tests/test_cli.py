"""The command as a newcomer meets it: what it prints and the status it ends with."""

import dataclasses
import json
import os
import pathlib
import re
import resource
import subprocess
import sys
import time

import numpy as np
import pytest

from jaxbias import cli, cli_commands, cli_output, cli_stored, cli_sweep
from jaxbias._checks import InputError
from jaxbias.cli_arguments import Reproduce, Sweep, Verify, parse

CLAIM = "min-vidal-2024/radius-at-centre-averaged"
ROOT = str(pathlib.Path(__file__).parents[1])
START = "import sys; from jaxbias.cli import main; sys.exit(main())"


def command(*words, start=START, env=os.environ, **options):
    """Run ``jaxbias`` in a process of its own, from any folder."""
    return subprocess.run(
        [sys.executable, "-c", start, *map(str, words)],
        capture_output=True,
        text=True,
        timeout=300,
        env={**env, "PYTHONPATH": ROOT},
        **options,
    )


def row(verdict="holds", **more):
    return {"claim": CLAIM, "verdict": verdict, "expected": "holds", **more}


# --- words that cannot work: status 2, one line that helps ---------------------------


@pytest.mark.parametrize(
    ("words", "helps"),
    [
        ("", "reproduce"),
        ("reprodcue", "reproduce"),
        ("reproduce neuron_aligment", "neuron_alignment"),
        ("reproduce --sise quick", "--size"),
        ("reproduce --size huge", "'paper'"),
        ("reproduce neuron_alignment --all", "jaxbias reproduce --all"),
        ("reproduce --out {file}/figures", "--out with a folder"),
        ("verify min-vidal-2024/radius-at-center-averaged", CLAIM),
        ("verify neuron_aligment", "neuron_alignment"),
        ("verify --size full", "'paper'"),
        ("verify --from {empty}", "jaxbias reproduce --out"),
        ("verify --from {file}", "jaxbias reproduce --out"),
        ("verify --from {empty} --teeth", "jaxbias verify --teeth"),
        ("verify --from {empty} --seeds 4", "jaxbias verify --seeds 4"),
        (f"verify {CLAIM} --seeds 4", "without seeds"),
        ("sweep neuron_alignment", "--out"),
        ("sweep neuron_alignmnet --out {empty}/x", "neuron_alignment"),
        ("sweep neuron_alignment --seeds many --out {empty}/x", "--seeds"),
        ("sweep neuron_alignment --seeds 0 --out {empty}/x", "--seeds=1"),
        ("sweep neuron_alignment --over width --out {empty}/x", "width=32,128"),
        ("sweep neuron_alignment --over noise=0.1:0.3 --out {empty}/x", "COUNT"),
        ("sweep neuron_alignment --over noise=0,15 --out {empty}/x", "noise=0.15 or"),
        ("verify --seeds 3.0", "Try --seeds 3."),
        ("verify --seeds=1e30", "Try --seeds 3."),
        ("bench --rounds 2.5", "--rounds 2.5: it takes a whole number"),
        ("radius a b --limit 1e3", "Try --limit 1000."),
        ("radius a b --exponent x", "Try --exponent 3."),
        ("radius a b --groups 1 -1.0 --json", "Try --groups 1 -1."),
        ("sweep neuron_alignment --shard 3/2 --out {empty}/x", "shard='1/4'"),
        ("sweep neuron_alignment --out {file}/x", "--out with a folder"),
        ("status {empty}", "jaxbias sweep STUDY --out"),
        ("status {empty}/nowhere", "jaxbias sweep STUDY --out"),
        ("bench S-p2", "S-p1"),
        ("bench S-p1 --baseline pytorch", "'torch'"),
        ("bench S-p1 --rounds 0", "--rounds=1"),
        ("bench S-p1 --out {file}/x", "--out with a folder"),
    ],
)
def test_what_cannot_work_gets_one_line_that_helps(words, helps, tmp_path, capsys):
    (tmp_path / "file").write_text("not a folder")
    (tmp_path / "empty").mkdir()
    places = {"file": tmp_path / "file", "empty": tmp_path / "empty"}
    status = cli.main([word.format(**places) for word in words.split()])
    said = capsys.readouterr()
    assert status == 2
    assert said.out == ""
    assert said.err.startswith("jaxbias: ")
    assert said.err.count("\n") == 1
    assert "Try " in said.err
    assert helps in said.err


def test_wrong_words_in_a_real_process(tmp_path):
    done = command("verify", "no-such-claim", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert re.fullmatch(r"jaxbias: .*no-such-claim.*\n", done.stderr)


def test_a_folder_that_cannot_be_written_is_refused_before_the_work(tmp_path):
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o500)
    # Where permissions do not bind, as for an administrator, a device is in the way.
    folder = os.devnull if os.access(closed, os.W_OK) else str(closed)
    done = command("reproduce", "--out", f"{folder}/figures", cwd=tmp_path)
    assert done.returncode == 2
    assert re.fullmatch(r"jaxbias: .*no file can be written there.*\n", done.stderr)


def test_without_tyro_one_line_names_the_extra():
    hidden = "import sys; sys.modules['tyro'] = None; " + START
    done = command("list", start=hidden)
    assert done.returncode == 2
    assert re.fullmatch(r"jaxbias: .*pip install 'jaxbias\[cli\]'\.\n", done.stderr)


@pytest.mark.parametrize("content", ["{", "3", '[{"claim": "a"}]', "[null]"])
def test_stored_verdicts_may_be_broken(content, tmp_path):
    (tmp_path / "verdicts.json").write_text(content)
    with pytest.raises(InputError, match=r"verdicts\.json: it holds no list"):
        cli_stored.stored_verdicts(tmp_path)


# --- bugs -----------------------------------------------------------------------------


def test_a_bug_keeps_its_traceback_and_ends_with_three(monkeypatch, capsys):
    def broken(folder):
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr(cli_commands, "writable", broken)
    assert cli.main(["reproduce"]) == 3
    said = capsys.readouterr().err
    assert "Traceback" in said
    assert "ZeroDivisionError: a bug" in said


# --- what the commands do -------------------------------------------------------------


def test_help_and_list_are_quick_and_load_nothing_heavy():
    heavy = "('jax', 'numpy', 'xarray', 'matplotlib', 'scipy')"
    start = (
        "import sys; from jaxbias.cli import main; status = main()\n"
        f"print([m for m in {heavy} if m in sys.modules], file=sys.stderr)\n"
        "sys.exit(status)"
    )
    for words in (["--help"], ["list", "claims"], ["list"], ["sweep", "--help"]):
        done = command(*words, start=start)
        assert done.returncode == 0
        assert done.stderr == "[]\n", words
    assert "--over" in done.stdout
    # Processor time of a child, the least of three: the machine may be busy.
    seconds = []
    for _ in range(3):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        command("--help")
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        seconds.append(after.ru_utime - before.ru_utime)
    assert min(seconds) < 0.6


def test_the_index_is_what_the_code_has_now():
    from scripts import catalogue

    stored = json.loads(catalogue.PATH.read_text())
    assert stored == catalogue.current(), "run: python scripts/catalogue.py"


def test_verify_prints_one_json_document_and_nothing_else(tmp_path):
    done = command("verify", CLAIM, "--teeth", "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    [found] = json.loads(done.stdout)
    assert found["claim"] == CLAIM
    assert found["verdict"] == found["expected"] == "holds"
    assert found["teeth"] is True


@dataclasses.dataclass
class Report:
    rows: list
    figures: list
    failed: int = 0


@pytest.mark.parametrize(
    ("report", "status"),
    [
        (Report([row()], ["figures/a.png"]), 0),
        (Report([row("inconclusive")], []), 1),
        (Report([row(as_expected=False, teeth=False)], []), 1),
        (Report([row()], [], failed=2), 1),
    ],
)
def test_reproduce_tells_success_from_failure(
    report, status, monkeypatch, capsys, tmp_path
):
    from jaxbias import studies

    asked = []

    def run(name, **options):
        asked.append((name, options["size"], options["out"]))
        options["progress"](1, 2, "alignment")
        return report

    monkeypatch.setattr(studies, "run", run)
    monkeypatch.setattr(cli_commands, "start_jax", lambda: None)
    assert cli.main(["reproduce", "--out", str(tmp_path / "new")]) == status
    main = cli_commands.study_names(main=True)
    assert asked == [(name, "quick", tmp_path / "new") for name in main]
    said = capsys.readouterr()
    assert all(figure in said.out for figure in report.figures)
    assert "1/2 alignment" in said.err
    wrong = "(expected: " in said.out or "(a decoy passed)" in said.out
    assert wrong is (status == 1 and not report.failed)


def test_stored_verdicts_are_judged_without_computing(tmp_path, capsys):
    place = tmp_path / "neuron_alignment"
    place.mkdir()
    (place / "verdicts.json").write_text(json.dumps([row(), row("violated")]))
    assert cli.main(["verify", CLAIM, "--from", str(tmp_path)]) == 1
    assert "1 of 2 verdicts as expected" in capsys.readouterr().out
    (place / "verdicts.json").write_text(json.dumps([row()]))
    assert cli.main(["verify", "--from", str(place), "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == [row()]
    other = "min-vidal-2024/radius-at-centre-per-centre"
    assert cli.main(["verify", other, "--from", str(tmp_path)]) == 2


def test_a_sweep_is_planned_run_resumed_and_counted(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(cli_commands, "start_jax", lambda: None)
    words = ["sweep", "neuron_alignment", "--out", str(tmp_path / "runs")]
    words += ["--over", "width=2,3", "--seeds", "2"]
    assert cli.main([*words, "--dry-run"]) == 0
    said = capsys.readouterr().out
    assert said.startswith("Flow: flow.network.width=")
    assert "times=(0.5, ..., 500: 40 values)" in said
    assert "runs: 4, programs to compile: 1," in said
    assert re.search(r"array width.*\n.*\n +4 +4 +1 ", said)
    assert "s of one core beside compiling" in said
    assert not (tmp_path / "runs").exists()
    assert cli.main(words) == 0
    first = capsys.readouterr()
    assert re.search(r"^ +2 +\S+ +\S+ *\n +3 ", first.out, re.MULTILINE)
    assert "4 runs, 0 unfinished" in first.out
    assert "4/4 runs" in first.err
    [file] = (tmp_path / "runs").glob("*.nc")
    written = file.stat().st_mtime_ns
    assert cli.main(words) == 0
    assert capsys.readouterr().out == first.out
    assert file.stat().st_mtime_ns == written
    assert cli.main(["status", str(tmp_path / "runs")]) == 0
    told = capsys.readouterr().out
    assert told.startswith("1 of 1 batches are written\n4 of 4 runs are written: 4 fin")
    assert "2 of 2 seeds are complete at every point" in told


OWN = """
import jaxbias as jb
from jaxbias.experiments.flow import Flow
clusters = jb.data.OrthonormalClusters(dim=20, clusters=4, positive=2, noise=0.1)
flow = jb.dynamics.GradientFlow(jb.networks.TwoLayer(width=8), clusters, samples=8)
experiment = Flow(flow, (1.0,))
number = 3
def make():
    return flow
"""


@pytest.fixture
def own(tmp_path, monkeypatch):
    monkeypatch.setattr(cli_commands, "start_jax", lambda: None)
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "ones_own.py").write_text(OWN)
    yield "ones_own"
    sys.modules.pop("ones_own", None)


def test_everything_of_a_sweep_can_be_said_in_words(own, tmp_path, capsys):
    out = tmp_path / "runs"
    words = f"sweep --experiment {own}:make --set dim=30 --over width=4,8 --seeds 3"
    words += " --times 1,5 --rtol 1e-3 --form raw --dtype float32 --root mine --batch 4"
    words += f" --radius-at centres --order inf --observe loss --out {out}"
    assert cli.main(words.split()) == 0
    said = capsys.readouterr()
    assert "flow.data.dim=30" in said.out
    assert "processes: 1: about" in said.err
    import jaxbias as jb

    table = jb.open(out)
    spec = jb.results.spec_from_json(table.attrs["spec"])
    flow = spec["experiment"]
    assert (flow.flow.data.dim, flow.times, flow.form) == (30, (1.0, 5.0), "raw")
    assert (flow.integrator.rtol, flow.dtype, flow.observe) == (
        1e-3,
        "float32",
        ("loss",),
    )
    assert (spec["root"], spec["batch"], spec["measure"][0].order) == (
        "mine",
        4,
        np.inf,
    )
    assert table.attrs["batches"] == 2


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("--experiment {own}:number", "that is 3, no experiment"),
        ("--experiment {own}:flwo", "Try --experiment='flow'"),
        ("--experiment {own}x:flow", "there is no module '{own}x'"),
        ("--experiment {own}", "--experiment mymodule:experiment"),
        ("--experiment {own}:experiment --times 3", "--times with --experiment"),
        ("--experiment {own}:flow --set width=4,8", "--over width=4,8"),
        ("--experiment {own}:flow --set widht=4", "'width'"),
        ("--experiment {own}:flow --times a,b", "times are numbers"),
        ("--experiment {own}:flow --rtol 1 --accuracy everything", "accuracy"),
        ("--experiment {own}:flow --workers 0", "workers=0"),
        ("neuron_alignment --experiment {own}:flow", "one experiment"),
        ("", "one experiment"),
    ],
)
def test_what_is_no_experiment_is_said_in_a_line(own, tmp_path, capsys, words, said):
    given = f"sweep {words} --out {tmp_path / 'runs'}".format(own=own)
    assert main_status(given.split()) == 2
    assert said.format(own=own) in capsys.readouterr().err
    assert not (tmp_path / "runs").exists()


def main_status(words):
    try:
        return cli.main(words)
    except SystemExit as stop:
        return stop.code


@pytest.mark.filterwarnings("default")
def test_a_shard_without_runs_says_so(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(cli_commands, "start_jax", lambda: None)
    words = ["sweep", "neuron_alignment", "--out", str(tmp_path / "runs")]
    assert cli.main([*words, "--seeds", "2", "--shard", "3/3"]) == 0
    said = capsys.readouterr()
    assert said.out.endswith("\n0 runs\n")
    assert (
        "jaxbias: warning: shard 3/3 has no runs: the sweep has 2 batches" in said.err
    )


def test_radii_in_a_sweep_are_shown_at_their_weakest_point():
    import xarray as xr

    table = xr.Dataset(
        {
            "loss": (("run", "time"), [[9.0, 1.0], [9.0, 3.0], [9.0, 5.0]]),
            "radius_lower": (("run", "cluster"), [[0.4, 0.3], [0.5, 0.5], [0.6, 0.2]]),
            "evaluations": (("run",), [10, 20, 30]),
            "status": (("run",), [0, 0, 0]),
        },
        {"width": (("run",), [8, 8, 16]), "seed": (("run",), [0, 1, 0])},
        {"axes": '["width"]'},
    )
    columns, rows = cli_sweep.medians(table)
    assert columns == ["width", "loss", "radius_lower"]
    assert rows == [["8", "2", "0.4"], ["16", "5", "0.2"]]
    alone = cli_sweep.medians(table.assign_attrs(axes="[]"))
    assert alone == (["loss", "radius_lower"], [["3", "0.3"]])


def test_the_words_become_what_they_say():
    assert parse(["verify"]) == Verify()
    assert parse(["verify", "a", "b", "--from", "x", "--teeth"]).targets == ("a", "b")
    swept = parse("sweep s --over width=3,4 --over b=1 --out o --shard 1/2".split())
    assert isinstance(swept, Sweep)
    assert swept.over == ("width=3,4", "b=1")
    reproduced = parse(["reproduce", "s", "--size", "paper", "--out", "here"])
    assert isinstance(reproduced, Reproduce)
    assert (reproduced.size, reproduced.out.name) == ("paper", "here")


def test_jax_is_started_in_double_precision_with_a_lasting_cache(tmp_path):
    start = (
        "from jaxbias.cli_commands import start_jax; start_jax()\n"
        "import jax, jax.numpy as jnp\n"
        "print(jax.config.jax_compilation_cache_dir, jnp.ones(1).dtype)"
    )
    free = {k: v for k, v in os.environ.items() if k != "JAX_COMPILATION_CACHE_DIR"}
    done = command(start=start, env={**free, "XDG_CACHE_HOME": str(tmp_path)})
    assert done.stdout.split() == [str(tmp_path / "jaxbias" / "jax"), "float64"]
    mine = {**free, "JAX_COMPILATION_CACHE_DIR": str(tmp_path / "mine")}
    done = command(start=start, env=mine)
    assert done.stdout.split() == [str(tmp_path / "mine"), "float64"]


# --- how it is printed ----------------------------------------------------------------


@pytest.mark.parametrize(
    "framed",
    [
        "╭─ Title ──╮\n│ no such. │\n│ ──────── │\n│ see  x   │\n╰──────────╯\n",
        " Title    \n ---------\n no such.\n --------\n see  x\n \n",
    ],
)
def test_a_framed_message_fits_on_one_line(framed):
    assert cli_output.one_line(framed) == "no such; see  x"


@pytest.mark.parametrize(
    ("interval", "acceptance", "worst"),
    [
        ([0.49, 0.5], [0.4, 0.6], "[0.49, 0.5]"),
        ([[0.4, 0.5], [0.55, 0.61]], [[0.4, 0.6], [0.4, 0.6]], "[0.55, 0.61]"),
        ([[0.1, 0.2], [0.3, 0.4]], [[None, 0.9], [0.29, None]], "[0.3, 0.4]"),
        ([[None, None]], [[0, 1]], "unfinished"),
        (None, None, "-"),
    ],
)
def test_the_worst_case_is_nearest_to_its_limit(interval, acceptance, worst):
    found = cli_output.worst_case({"interval": interval, "acceptance": acceptance})
    assert found == worst


def test_json_holds_what_json_cannot(capsys):
    import numpy as np

    cli_output.print_json({"a": np.array([1.0, np.inf]), "b": (np.int32(3), None)})
    assert json.loads(capsys.readouterr().out) == {"a": [1.0, None], "b": [3, None]}


def test_progress_goes_to_standard_error_and_not_too_often(monkeypatch, capsys):
    now = iter([100.0, 100.1, 106.0, 106.1, 106.2])
    monkeypatch.setattr(time, "monotonic", lambda: next(now))
    with cli_output.Progress() as progress:
        for done, what in ((1, "a"), (2, "a"), (3, "a"), (4, "a"), (4, "b")):
            progress(done, 4, what)
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.splitlines() == ["1/4 a", "3/4 a", "4/4 a", "4/4 b"]


def test_a_terminal_gets_a_bar(monkeypatch, capsys):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    with cli_output.Progress() as progress:
        progress(3, 4, "training")
    said = capsys.readouterr()
    assert said.out == ""
    assert "training" in said.err
    assert "3/4" in said.err


def test_the_version_is_said(capsys):
    import jaxbias

    assert cli.main(["--version"]) == 0
    assert capsys.readouterr().out == f"jaxbias {jaxbias.__version__}\n"
    assert cli.main(["--verson"]) == 2
