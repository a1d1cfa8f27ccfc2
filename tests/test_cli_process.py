"""The command as a process: closed, full and deserted streams, and Ctrl-C."""

import os
import pathlib
import re
import signal
import subprocess
import sys
import time

import pytest

ROOT = str(pathlib.Path(__file__).parents[1])
# A test session in the background hands down an ignored signal.
HEARD = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n"
START = HEARD + "import sys; from jaxbias.cli import main; sys.exit(main())"
FULL = re.compile(r"jaxbias: standard output: it cannot be written \(No space.*\n")
CLOSED = re.compile(r"jaxbias: standard output: it is closed.* Try > /dev/null\.\n")
STOPPED = "jaxbias: stopped; what was finished is kept\n"

needs_full = pytest.mark.skipif(
    not os.path.exists("/dev/full"), reason="no device here is always full"
)


def shell(line, start=START, **environment):
    """Run a line of shell in which ``$J`` is the command."""
    return subprocess.run(
        ["bash", "-c", f"J() {{ '{sys.executable}' -c '{start}' \"$@\"; }}\n{line}"],
        capture_output=True,
        text=True,
        timeout=300,
        env={**os.environ, "PYTHONPATH": ROOT, **environment},
    )


# --- streams -------------------------------------------------------------------------


@needs_full
@pytest.mark.parametrize("words", ["list", "list claims", "list --json", "--help"])
@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_full_disk_is_told_in_one_line(words, unbuffered):
    done = shell(f"J {words} > /dev/full", PYTHONUNBUFFERED=unbuffered)
    assert done.returncode == 2
    assert FULL.fullmatch(done.stderr)


@pytest.mark.parametrize("words", ["list", "--help", "reproduce"])
def test_closed_output_is_told_before_the_work(words):
    done = shell(f"J {words} >&-")
    assert done.returncode == 2
    assert CLOSED.fullmatch(done.stderr)


@pytest.mark.parametrize("words", ["list claims", "list --json", "list", "--help"])
@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_reader_that_leaves_causes_no_noise(words, unbuffered):
    reading, writing = os.pipe()
    os.close(reading)
    process = subprocess.Popen(
        [sys.executable, "-c", START, *words.split()],
        stdout=writing,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": ROOT, "PYTHONUNBUFFERED": unbuffered},
    )
    os.close(writing)
    _, said = process.communicate(timeout=60)
    assert (process.returncode, said) == (141, "")


def test_a_head_takes_what_it_wants():
    done = shell('J list claims | head -1; echo "${PIPESTATUS[@]}"')
    assert done.stderr == ""
    assert re.fullmatch(r"claims *\n(0|141) 0\n", done.stdout)


@needs_full
@pytest.mark.parametrize(
    ("line", "status"),
    [
        ("J list 2>&-", 0),
        ("J list 2>/dev/full", 0),
        ("J no-such 2>&-", 2),
        ("J no-such 2>/dev/full", 2),
        ("J list >/dev/full 2>/dev/full", 2),
        ("J list <&- >&- 2>&-", 2),
    ],
)
def test_without_standard_error_the_status_stands_alone(line, status):
    done = shell(line)
    assert (done.returncode, done.stderr) == (status, "")
    # What was meant for standard error is not put among the results.
    assert "jaxbias:" not in done.stdout
    assert ("217 claims" in done.stdout) or status


def test_what_was_printed_before_a_refusal_is_not_lost():
    start = START.replace(
        "from jaxbias.cli import main;",
        "from jaxbias import InputError, cli_commands; from jaxbias.cli import main\n"
        "def work(_): print(1); raise InputError(*map(str, (2, 3, 4)))\n"
        "cli_commands.run = work;",
    )
    done = shell("J list", start=start)
    assert (done.returncode, done.stdout) == (2, "1\n")
    assert done.stderr == "jaxbias: 2: 3. Try 4.\n"


@needs_full
def test_progress_that_nobody_can_read_does_not_stop_the_work():
    start = START.replace(
        "from jaxbias.cli import main;",
        "from jaxbias import cli_commands, cli_output; from jaxbias.cli import main\n"
        "def work(*_):\n"
        "    with cli_output.Progress() as progress: progress(1, 2, chr(97))\n"
        "    print(chr(98)); return 1\n"
        "cli_commands.run = work;",
    )
    for lost in ("2>/dev/full", "2>&-"):
        done = shell(f"J list {lost}", start=start)
        assert (done.returncode, done.stdout, done.stderr) == (1, "b\n", "")


def test_files_never_become_standard_error():
    """A file opened where descriptor 2 was closed would take in what C code says."""
    start = START.replace(
        "from jaxbias.cli import main;",
        "from jaxbias import cli_commands; from jaxbias.cli import main\n"
        "import os\n"
        "cli_commands.run = lambda _: print(os.open(os.devnull, os.O_RDONLY)) or 0;",
    )
    done = shell("J list 2>&- <&-", start=start)
    assert done.returncode == 0
    assert int(done.stdout) > 2


def test_a_terminal_without_our_characters_gets_the_text_all_the_same():
    done = shell("J --help", PYTHONIOENCODING="ascii")
    assert (done.returncode, done.stderr) == (0, "")
    assert "reproduce" in done.stdout


@needs_full
def test_results_that_cost_something_are_lost_in_one_line_too(tmp_path):
    claim = "min-vidal-2024/radius-at-centre-averaged"
    done = shell(f"cd {tmp_path}; J verify {claim} --json > /dev/full")
    assert done.returncode == 2
    lines = done.stderr.splitlines(keepends=True)
    assert FULL.fullmatch(lines[-1])
    assert all(re.match(r"\d+/\d+ ", line) for line in lines[:-1])


# --- Ctrl-C --------------------------------------------------------------------------


def interrupted(body, folder):
    """Status, standard error and seconds to the end of a command that was stopped.

    ``body`` is the command's work; it prints a line when it is to be stopped.
    """
    start = (
        f"{HEARD}import os, sys, time\nfrom jaxbias import cli, cli_commands\n"
        f"def work(command):\n{body}\n"
        "cli_commands.run = work\nsys.exit(cli.main())"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", start, "list"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=folder,
        env={**os.environ, "PYTHONPATH": ROOT},
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    began = time.monotonic()
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    return process.returncode, said, time.monotonic() - began


READY = "print('ready', flush=True)"


@pytest.mark.parametrize(
    ("body", "status"),
    [
        # Work that lets the interruption through ends by the signal itself.
        (f" {READY}\n time.sleep(60)", -signal.SIGINT),
        # A library makes another error of it.
        (
            f" try:\n  {READY}\n  time.sleep(60)\n"
            " except KeyboardInterrupt: raise ImportError('of something')",
            -signal.SIGINT,
        ),
        # A destructor swallows it.
        (
            " class Held:\n"
            f"  def __del__(self): {READY}; time.sleep(3)\n"
            " held = Held(); del held; time.sleep(60)",
            -signal.SIGINT,
        ),
        # A module that is being loaded is not to see it.
        (
            " with open('slow.py', 'w') as file:\n"
            '  file.write(\'import time\\ntry: print("ready", flush=True); '
            "time.sleep(60)\\nexcept BaseException: time.sleep(60)')\n"
            " import slow",
            -signal.SIGINT,
        ),
        # C code prints it.
        (
            f" try:\n  {READY}\n  time.sleep(60)\n"
            " except KeyboardInterrupt:\n"
            "  sys.excepthook(*sys.exc_info()); time.sleep(60)",
            -signal.SIGINT,
        ),
        # Somebody takes it for nothing: the thread that watches ends the process.
        (
            f" try:\n  {READY}\n  time.sleep(60)\n"
            " except KeyboardInterrupt: time.sleep(60)",
            130,
        ),
    ],
)
def test_ctrl_c_ends_the_process_whatever_becomes_of_the_exception(
    body, status, tmp_path
):
    found, said, seconds = interrupted(body, tmp_path)
    assert (found, said) == (status, STOPPED)
    assert seconds < 10


def test_what_is_half_done_is_tidied_away(tmp_path):
    body = (
        " try:\n  open('half', 'w').close()\n"
        f"  {READY}\n  time.sleep(60)\n finally: os.remove('half')"
    )
    assert interrupted(body, tmp_path)[:2] == (-signal.SIGINT, STOPPED)
    assert list(tmp_path.iterdir()) == []


def test_a_shell_sees_130_and_leaves_its_loop():
    body = "import os, signal; os.kill(os.getpid(), signal.SIGINT); return 0"
    start = START.replace(
        "from jaxbias.cli import main;",
        "from jaxbias import cli_commands; from jaxbias.cli import main\n"
        f"def work(_): {body}\n"
        "cli_commands.run = work;",
    )
    done = shell("J list; echo $?", start=start)
    assert (done.stdout, done.stderr) == ("130\n", STOPPED)


def test_an_ignored_signal_stays_ignored(tmp_path):
    start = START.replace("signal.default_int_handler", "signal.SIG_IGN")
    done = shell(
        "J list",
        start=start.replace(
            "sys.exit(main())",
            "import os; os.kill(os.getpid(), signal.SIGINT); sys.exit(main())",
        ),
    )
    assert done.returncode == 0


def test_the_handler_comes_before_everything_that_takes_time():
    probe = (
        f"{HEARD}import sys\nfrom jaxbias.cli import main\n"
        "heavy = ['difflib', 'json', 'threading', 'traceback', 'tyro', 'numpy']\n"
        "print([name for name in heavy if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-S", "-c", probe],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": ROOT},
    )
    assert done.stdout == "[]\n", done.stderr
