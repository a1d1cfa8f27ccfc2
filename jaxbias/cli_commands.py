"""What each command does: check the words, start JAX where needed, call, print."""

import functools
import os
import tempfile
from pathlib import Path

from jaxbias import cli_arguments as commands
from jaxbias._checks import InputError, positive_int
from jaxbias._paths import destination, exists, shown
from jaxbias.cli_list import index, known, show, study_names
from jaxbias.cli_output import (
    Progress,
    as_expected,
    print_json,
    print_table,
    print_verdicts,
    warnings_in_one_line,
)
from jaxbias.cli_stored import stored_verdicts

_CACHE_COMPILATIONS_ABOVE_SECONDS = 0.2


def start_jax() -> None:
    """Double precision and a lasting cache of compiled programs, before any array."""
    import jax

    jax.config.update("jax_enable_x64", True)
    if "JAX_COMPILATION_CACHE_DIR" not in os.environ:
        home = os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")
        folder = str(Path(home) / "jaxbias" / "jax")
        jax.config.update("jax_compilation_cache_dir", folder)
    seconds = _CACHE_COMPILATIONS_ABOVE_SECONDS
    jax.config.update("jax_persistent_cache_min_compile_time_secs", seconds)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)


def writable(folder: Path) -> None:
    """Refuse a folder in which no file can be made, before an hour is spent on it."""
    nearest = folder
    while not exists(nearest, f"--out {shown(folder)}") and nearest != nearest.parent:
        nearest = nearest.parent
    try:
        with tempfile.TemporaryFile(dir=nearest):
            pass
    except OSError as error:
        raise InputError(
            f"--out {shown(folder)}",
            f"no file can be written there ({error.strerror})",
            "--out with a folder of your own",
        ) from error


@functools.singledispatch
def run(command: commands.Command) -> int:
    """Run one command and return its exit status."""
    raise TypeError(f"no command takes {command!r}")


@run.register
def _list(command: commands.List) -> int:
    show(command.what, command.prefix, command.json)
    return 0


@run.register
def _reproduce(command: commands.Reproduce) -> int:
    if command.all and command.studies:
        raise InputError(
            f"--all with {' '.join(command.studies)}",
            "it already means every study",
            "jaxbias reproduce --all",
        )
    for name in command.studies:
        known("study", name, study_names())
    names = command.studies or study_names(main=not command.all)
    writable(command.out)
    start_jax()
    from jaxbias import studies

    with Progress() as progress:
        reports = [
            studies.run(name, size=command.size, out=command.out, progress=progress)
            for name in names
        ]
    rows = [row for report in reports for row in report.rows]
    print_verdicts(rows)
    for report in reports:
        for figure in report.figures:
            print(figure)
    failed = sum(report.failed for report in reports)
    if failed:
        print(f"{failed} runs did not finish.")
    return 0 if failed == 0 and all(map(as_expected, rows)) else 1


@run.register
def _verify(command: commands.Verify) -> int:
    from jaxbias.verification.registry import select

    targets = list(command.targets) or None
    claims = [claim.id for claim in select(targets)]
    if command.from_ is not None:
        if command.teeth:
            raise InputError(
                "--teeth with --from",
                "wrong predictions are held against fresh evidence",
                "jaxbias verify --teeth",
            )
        if command.seeds is not None:
            raise InputError(
                f"--seeds {command.seeds} with --from",
                "what was measured then had the seeds it had",
                f"jaxbias verify --seeds {command.seeds}",
            )
        rows = [
            row
            for row in stored_verdicts(command.from_)
            if targets is None or row["claim"] in claims
        ]
        if not rows:
            raise InputError(
                f"--from {command.from_} for {' '.join(command.targets)}",
                "no study has left a verdict on that there",
                f"jaxbias verify {' '.join(command.targets)}",
            )
    else:
        start_jax()
        from jaxbias.verification import verify

        with Progress() as progress, warnings_in_one_line():
            verdicts = verify(
                targets,
                size=command.size,
                seeds=command.seeds,
                teeth=command.teeth,
                progress=progress,
            )
        rows = [verdict.row() for verdict in verdicts]
    if command.json:
        print_json(rows)
    else:
        print_verdicts(rows)
    return 0 if all(map(as_expected, rows)) else 1


@run.register
def _sweep(command: commands.Sweep) -> int:
    from jaxbias import cli_sweep

    cli_sweep.check(command)
    if command.out is not None and not command.dry_run:
        writable(command.out)
    start_jax()
    return cli_sweep.report(command)


@run.register
def _radius(command: commands.Radius) -> int:
    from jaxbias import cli_radius

    cli_radius.check(command)
    if command.out is not None:
        writable(destination(command.out).parent)
    start_jax()
    return cli_radius.report(command)


@run.register
def _status(command: commands.Status) -> int:
    from jaxbias import cli_status

    cli_status.status(command)
    return 0


@run.register
def _plot(command: commands.Plot) -> int:
    from jaxbias import cli_folder

    cli_folder.plot(command)
    return 0


@run.register
def _export(command: commands.Export) -> int:
    from jaxbias import cli_folder

    cli_folder.export(command)
    return 0


@run.register
def _bench(command: commands.Bench) -> int:
    for name in command.names:
        known("benchmark", name, [entry["name"] for entry in index()["benchmarks"]])
    positive_int("--rounds", command.rounds)
    writable(command.out)
    from jaxbias.benchmarks.report import write_report
    from jaxbias.benchmarks.suite import OURS_ABOVE, bench
    from jaxbias.benchmarks.table import COLUMNS, cells

    figures = []

    def keep(rows, points):
        figures[:] = write_report(rows, points, command.out)

    with Progress() as progress:
        rows, _ = bench(
            command.names,
            baselines=command.baseline,
            rounds=command.rounds,
            curves=True,
            progress=progress,
            keep=keep,
        )
    plain = [row.plain() for row in rows]
    if command.json:
        print_json(plain)
    else:
        print_table("speed at equal error", COLUMNS, [cells(row) for row in plain])
        for figure in figures:
            print(figure)
    return int(any(row.status == OURS_ABOVE for row in rows))
