"""The command `sweep`: which experiment, what is set, and what came of it."""

import importlib
import itertools
import json
import os
import sys
import textwrap
from typing import Any

from jaxbias._checks import InputError, one_of, positive_int, told
from jaxbias._format import brief
from jaxbias.cli_arguments import Sweep
from jaxbias.cli_list import known, study_names
from jaxbias.cli_output import Progress, print_table, warnings_in_one_line

_WIDE, _MANY = 88, 6


def check(command: Sweep) -> None:
    """Refuse words that cannot work, before JAX is loaded.

    Raises:
        InputError: no experiment or two, no folder, an unknown study, and axes, values
            and shards that are none.
    """
    if (command.study is None) == (command.experiment is None):
        raise InputError(
            "neither a study nor --experiment"
            if command.study is None
            else f"study {command.study!r} and --experiment {command.experiment}",
            "a sweep departs from one experiment",
            "jaxbias sweep neuron_alignment --out runs/first",
        )
    if command.study is not None:
        known("study", command.study, study_names())
    if command.out is None and not command.dry_run:
        raise InputError(
            "no --out", "results are written into a folder", "--out runs/first"
        )
    positive_int("--seeds", command.seeds)
    if command.accuracy is not None and command.rtol is not None:
        raise InputError(
            f"--accuracy {command.accuracy!r} with --rtol {command.rtol:g}",
            "the one chooses a tolerance, the other is one",
            f"--rtol {command.rtol:g} alone",
        )
    from jaxbias.sweeps.grid import parse_over, parse_shard

    parse_over(command.over)
    parse_over(command.fixed)
    parse_shard(command.shard)
    _times(command.times)


def report(command: Sweep) -> int:
    """Run the sweep, or foretell it, and print what came of it; the exit status."""
    from jaxbias import sweeps
    from jaxbias.results.summaries import finished
    from jaxbias.sweeps.grid import no_decimal_commas, parse_over

    experiment = departure(command)
    no_decimal_commas(experiment, (*command.over, *command.fixed))
    experiment = with_values(experiment, parse_over(command.fixed))
    print(shown(experiment))
    with Progress() as progress, warnings_in_one_line():
        table = sweeps.sweep(
            experiment,
            parse_over(command.over),
            seeds=command.seeds,
            out=command.out,
            radius_at=command.radius_at,
            order=float(command.order),
            root=command.root,
            batch=command.batch,
            workers=command.workers,
            shard=command.shard,
            extend=command.extend,
            into_existing=command.into_existing,
            dry_run=command.dry_run,
            progress=progress,
        )
    if command.dry_run:
        _foretell(table)
        return 0
    if "status" not in table:
        # An empty shard, before others have written anything.
        print("0 runs")
        return 0
    counted = finished(table).attrs
    print_table("medians over seeds, at the last time", *medians(table))
    print(f"{counted['runs']} runs, {counted['unfinished']} unfinished")
    # Beside what is printed: a sweep that went on prints what it would have at once.
    print(f"processes: {table.attrs['workers']}", file=sys.stderr)
    print(f"jaxbias.open({str(command.out)!r}) gives the whole table")
    return 0 if counted["unfinished"] == 0 else 1


def departure(command: Sweep) -> Any:
    """The experiment from which the axes depart, with what flags say of a flow.

    Raises:
        InputError: it cannot be loaded, is no experiment, or holds itself what a flag
            sets.
    """
    from jaxbias import studies
    from jaxbias.dynamics.adaptive import Adaptive
    from jaxbias.dynamics.flow import GradientFlow
    from jaxbias.experiments.flow import Flow

    if command.study is not None:
        found = studies.sweep_flow(command.study)
    else:
        assert command.experiment is not None
        found = _load(command.experiment)
    integrator = None
    if command.rtol is not None:
        integrator = Adaptive(rtol=command.rtol)
    elif command.accuracy is not None:
        integrator = Adaptive(accuracy=command.accuracy)
    options = {
        "times": _times(command.times),
        "observe": command.observe or None,
        "integrator": integrator,
        "form": command.form,
        "dtype": command.dtype,
    }
    if isinstance(found, GradientFlow):
        return Flow.of(found, **options)
    set_here = [name for name, value in options.items() if value is not None]
    if set_here:
        raise InputError(
            f"--{set_here[0]} with --experiment {command.experiment}",
            "an experiment holds that itself; only a flow is told so",
            f"an experiment with another {set_here[0]}",
        )
    return found


def _load(name: str) -> Any:
    """What a module calls by a name, called where it is a function."""
    from jaxbias.dynamics.flow import GradientFlow
    from jaxbias.experiments.experiment import Experiment

    module, colon, attribute = name.partition(":")
    if not (module and colon and attribute):
        raise InputError(
            f"--experiment {name}",
            "it names a module and what that calls the experiment",
            "--experiment mymodule:experiment",
        )
    # As `python -m` does: what lies here can be named.
    if os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())
    try:
        loaded = importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name is None or not module.startswith(error.name):
            raise
        raise InputError(
            f"--experiment {name}",
            f"there is no module {module!r} here or among the installed ones",
            "the command in the folder of the module's file, and its name without .py",
        ) from error
    names = [n for n in vars(loaded) if not n.startswith("_")]
    one_of("--experiment", attribute, names)
    found = getattr(loaded, attribute)
    if callable(found) and not isinstance(found, Experiment | GradientFlow):
        found = found()
    if not isinstance(found, Experiment | GradientFlow):
        raise InputError(
            f"--experiment {name}",
            f"that is {told(found)}, no experiment and no gradient flow",
            "a jaxbias.dynamics.GradientFlow or a jaxbias.experiments.Experiment",
        )
    return found


def _times(text: str | None) -> list[float] | None:
    from jaxbias.sweeps.grid import parse_over

    if text is None:
        return None
    times = parse_over([f"times={text}"])["times"]
    if any(isinstance(time, str | bool) or time is None for time in times):
        raise InputError(
            f"--times {text}", "times are numbers", "--times 10,100 or 0.5:500:40:log"
        )
    return [float(time) for time in times]


def with_values(experiment: Any, fixed: dict[str, list[Any]]) -> Any:
    """The experiment with one value of each of these fields.

    Raises:
        InputError: several values, no such field, or a value that it refuses.
    """
    from jaxbias.experiments.fields import replace_at
    from jaxbias.sweeps.grid import resolve_axes

    for name, values in fixed.items():
        if len(values) != 1:
            several = ",".join(map(str, values))
            raise InputError(
                f"--set {name}={several}",
                "a value is set at every point; several are an axis",
                f"--over {name}={several}",
            )
        [axis] = resolve_axes(experiment, {name: values})
        experiment = replace_at(experiment, axis.path, axis.values[0])
    return experiment


def shown(experiment: Any) -> str:
    """An experiment as its fields and their values, those that axes can set."""
    from jaxbias.experiments.fields import field_paths, get_at

    paths = list(field_paths(experiment))
    inner = {path.rpartition(".")[0] for path in paths}
    words = [f"{type(experiment).__name__}:"]
    for path in paths:
        if path not in inner:
            value = _brief(get_at(experiment, path))
            words.append(f"{path}={value}".replace(" ", "\N{NO-BREAK SPACE}"))
    text = textwrap.fill(
        " ".join(words), _WIDE, subsequent_indent="  ", break_on_hyphens=False
    )
    return text.replace("\N{NO-BREAK SPACE}", " ")


def _brief(value: Any) -> str:
    """A value in a few words: a registered one by its name, a long one by its ends."""
    if isinstance(value, tuple) and len(value) > _MANY:
        return f"({brief(value[0])}, ..., {brief(value[-1])}: {len(value)} values)"
    return told(getattr(value, "name", value))


def _foretell(table: Any) -> None:
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
