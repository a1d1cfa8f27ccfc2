"""What each command does: check the words, start JAX where needed, call, print."""

import functools
import itertools
import json
import os
import tempfile
from pathlib import Path
from typing import Any

from jaxbias import cli_arguments as commands
from jaxbias._checks import InputError, positive_int
from jaxbias._format import brief
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
    known("study", command.study, study_names())
    positive_int("--seeds", command.seeds)
    from jaxbias.sweeps.grid import no_decimal_commas, parse_over, parse_shard

    over = parse_over(command.over)
    parse_shard(command.shard)
    if not command.dry_run:
        writable(command.out)
    start_jax()
    from jaxbias import studies, sweeps
    from jaxbias.results.summaries import finished

    flow = studies.sweep_flow(command.study)
    no_decimal_commas(flow, command.over)
    with Progress() as progress, warnings_in_one_line():
        table = sweeps.sweep(
            flow,
            over,
            seeds=command.seeds,
            out=command.out,
            observe=command.observe or ("loss", "minimum_margin"),
            radius_at=command.radius_at,
            shard=command.shard,
            extend=command.extend,
            into_existing=command.into_existing,
            dry_run=command.dry_run,
            progress=progress,
        )
    if command.dry_run:
        size, attrs = table.sizes["run"], table.attrs
        print(
            f"runs: {size}, programs to compile: {attrs['buckets']}, "
            f"files: {attrs['batches']}; nothing was run"
        )
        print_table("programs", *forecast_rows(table))
        print(
            f"about {attrs['cpu_seconds']:,.0f} s of one core beside compiling, "
            f"{attrs['memory_bytes'] / 1e6:,.0f} MB of memory a process, files of "
            f"{attrs['file_bytes'] / 1e6:,.1f} MB"
        )
        return 0
    if "status" not in table:
        # An empty shard, before others have written anything.
        print("0 runs")
        return 0
    counted = finished(table).attrs
    print_table("medians over seeds, at the last time", *medians(table))
    print(f"{counted['runs']} runs, {counted['unfinished']} unfinished")
    print(f"jaxbias.open({str(command.out)!r}) gives the whole table")
    return 0 if counted["unfinished"] == 0 else 1


def forecast_rows(table: Any) -> tuple[list[str], list[list[str]]]:
    """What each program of a plan will take, for print: columns' names and rows."""
    names = ["width", "runs", "files", "seconds", "bytes"]
    columns = [table[f"program_{name}"].values.tolist() for name in names]
    rows = [
        [f"{width:g}", f"{runs:g}", f"{files:g}", f"{seconds:.3g}", f"{size / 1e6:.3g}"]
        for width, runs, files, seconds, size in zip(*columns, strict=True)
    ]
    shown = ["array width", "runs", "files", "CPU seconds", "MB"]
    return shown, rows


def medians(table: Any) -> tuple[list[str], list[list[str]]]:
    """A sweep's table for print: a row for each point, medians over its seeds.

    Observables are shown at the last time, radii at the weakest of their points.

    Returns:
        The columns' names and the rows.
    """
    from jaxbias.results.summaries import median

    shown = {}
    for name, values in table.data_vars.items():
        if set(values.dims) == {"run", "time"}:
            last = values.isel(time=-1)
        elif name in ("radius_lower", "radius_upper"):
            last = values.min([dim for dim in values.dims if dim != "run"])
        else:
            continue
        shown[name] = median(table.assign({name: last}), name)
    axes = json.loads(table.attrs["axes"])
    levels = next(iter(shown.values())).coords
    points = itertools.product(*(levels[axis].values.tolist() for axis in axes))
    columns = [column.values.ravel().tolist() for column in shown.values()]
    return [*axes, *shown], [
        [brief(value) for value in (*point, *numbers)]
        for point, numbers in zip(points, zip(*columns, strict=True), strict=True)
    ]


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
