"""What the command accepts, as dataclasses; the only file that imports tyro."""

import contextlib
import io
import itertools
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro

from jaxbias._checks import InputError
from jaxbias.cli_output import one_line

_DESCRIPTION = """\
The numerical laboratory for the theory of implicit bias and adversarial robustness:
train exactly as the theory describes, measure what the theorems speak of, and hold it
against the closed form. `jaxbias reproduce` runs the main studies, and
`jaxbias --version` says which version this is."""


@dataclass(frozen=True)
class List:
    """Name the studies, claims, figures and benchmarks.

    Without more words how many there are. Example: jaxbias list claims min-vidal-2025
    """

    what: tyro.conf.Positional[
        Annotated[
            str | None, tyro.conf.arg(metavar="[claims|studies|figures|benchmarks]")
        ]
    ] = None
    """What to name, a line for each. None: a summary."""
    prefix: tyro.conf.Positional[
        Annotated[str | None, tyro.conf.arg(metavar="[PREFIX]")]
    ] = None
    """Only names that begin so; claims then come with their statements."""
    json: bool = False
    """Print one JSON document instead: a list, or everything without more words."""


@dataclass(frozen=True)
class Reproduce:
    """Run studies afresh: verdicts, figures and the data behind each."""

    studies: tyro.conf.Positional[tuple[str, ...]] = ()
    """Studies to run, as `jaxbias list studies` names them. None: the main ones."""
    all: bool = False
    """Run every study."""
    size: Literal["quick", "paper", "full"] = "quick"
    """Minutes on two cores, the sizes of the papers, or all there is."""
    out: Path = Path("figures")
    """Folder that receives one folder for each study."""


@dataclass(frozen=True)
class Verify:
    """Hold claims against measurements and print the verdicts."""

    targets: tyro.conf.Positional[tuple[str, ...]] = ()
    """Claims, beginnings of their names, or studies. None: all without a data set."""
    size: Literal["quick", "paper"] = "quick"
    """How much evidence to gather."""
    seeds: int | None = None
    """Seeds of the claims that train networks. None: as many as each asks for."""
    from_: Annotated[Path | None, tyro.conf.arg(name="from", metavar="PATH")] = None
    """Read the verdicts of an earlier `reproduce` from this folder; compute nothing."""
    teeth: bool = False
    """Also hold wrong predictions against the evidence; all must be refused."""
    json: bool = False
    """Print one JSON document, a list of verdicts, and nothing else."""


@dataclass(frozen=True)
class Sweep:
    """Run an experiment over a grid of parameters times seeds.

    Example: jaxbias sweep neuron_alignment --over width=32,128 --set dim=200
    --seeds 100 --out runs/widths
    """

    study: tyro.conf.Positional[str | None] = None
    """The study whose flow is swept."""
    experiment: Annotated[str | None, tyro.conf.arg(metavar="MODULE:NAME")] = None
    """Instead of a study's, an experiment or a flow of your own, or what makes one."""
    out: Path | None = None
    """Folder of the results; the same command again runs only what is missing."""
    over: tyro.conf.UseAppendAction[tuple[str, ...]] = ()
    """An axis: width=32,128,512 or, evenly spaced, noise=0.05:0.3:6."""
    fixed: Annotated[
        tyro.conf.UseAppendAction[tuple[str, ...]], tyro.conf.arg(name="set")
    ] = ()
    """A value at every point: dim=200."""
    seeds: int = 16
    """Seeds for each point of the grid."""
    times: Annotated[str | None, tyro.conf.arg(metavar="TIMES")] = None
    """When to observe: 10,100 or 0.5:500:40:log, which is the default of a flow."""
    observe: tyro.conf.UseAppendAction[tuple[str, ...]] = ()
    """An observable to record. None: loss and minimum_margin."""
    radius_at: Literal["centres", "samples"] | None = None
    """Also bound the robustness radius of each final network at these points."""
    order: Literal["2", "inf"] = "2"
    """The norm of that radius."""
    rtol: float | None = None
    """Relative tolerance of the integrator, where the default's is not wanted."""
    accuracy: Literal["every time", "final outputs"] | None = None
    """What the default tolerance has to get right."""
    form: Literal["auto", "reduced", "raw"] | None = None
    """The variables in which a flow is solved."""
    dtype: Literal["float64", "float32"] | None = None
    """Precision of the runs."""
    root: str = "jaxbias"
    """Names the random numbers."""
    batch: int | None = None
    """Runs in a file, at most."""
    workers: int | None = None
    """Processes that share the work. If not given, one a core where that pays."""
    shard: Annotated[str | None, tyro.conf.arg(metavar="I/N")] = None
    """Run only share I of N of the runs, counted from 1."""
    extend: bool = False
    """Let a finished sweep grow by further seeds or values."""
    into_existing: bool = False
    """Begin in a folder that holds other things and no sweep."""
    dry_run: bool = False
    """Say what would run, and run nothing."""


@dataclass(frozen=True)
class Radius:
    """Bound the robustness radius of a trained two-layer network at given points.

    From below by certificates and from above by explicit perturbations. Example:
    jaxbias radius network.pt test.npz --activation relu --order inf --box 0 1
    """

    network: tyro.conf.Positional[Annotated[Path, tyro.conf.arg(metavar="NETWORK")]]
    """A PyTorch state dict (.pt), safetensors, an .npz, flax msgpack or orbax folder.

    An .npz may also hold mask (False for rows that only pad), normalise_inputs (true:
    neurons are divided by powers of the input's norm), activation, exponent and leak
    (of LeakyReLU, the slope below 0).
    """
    data: tyro.conf.Positional[Annotated[Path, tyro.conf.arg(metavar="DATA")]]
    """.npz with inputs and labels (or X and y, data and target), or .csv with a header.

    Of a .csv, the column label (or y, target, class) holds the labels, and without a
    header the last one where it alone holds whole numbers.
    Labels are +1 and -1 for a network with one output, and else 0, 1, 2, ...
    """
    label: Annotated[str | None, tyro.conf.arg(metavar="COLUMN")] = None
    """Name or number (from 0, or -1 for the last) of the label column; or an array."""
    inputs: Annotated[str | None, tyro.conf.arg(metavar="ARRAY")] = None
    """Name of the array of inputs in an .npz, where it is not plain."""
    order: Literal["2", "inf"] = "2"
    """The norm of perturbations, l_2 or l_inf."""
    effort: Literal["attack", "bounds", "tight", "exact"] = "bounds"
    """Upper ends alone; or lower ends too, ever closer and ever more slowly."""
    activation: Literal["relu", "prelu", "power"] | None = None
    """What the neurons apply; needed unless the network's file says it."""
    exponent: float | None = None
    """Of prelu (which is divided by powers of the weights' norm) or of power."""
    hidden: Annotated[str | None, tyro.conf.arg(metavar="KEY")] = None
    """Name of the first layer's matrix, where it is not plain."""
    output: Annotated[str | None, tyro.conf.arg(metavar="{KEY|halves}")] = None
    """Name of the readout; or halves, +1/m and then -1/m, each for m neurons."""
    hidden_bias: Annotated[str | None, tyro.conf.arg(metavar="KEY")] = None
    """Name of the biases of the neurons."""
    output_bias: Annotated[str | None, tyro.conf.arg(metavar="KEY")] = None
    """Name of the biases of the outputs."""
    transpose: bool = False
    """Matrices are stored inputs x outputs, where neither names nor shapes tell."""
    no_transpose: bool = False
    """Matrices are stored outputs x inputs, likewise."""
    subtract: Annotated[str | None, tyro.conf.arg(metavar="KEY")] = None
    """Name of what the network takes off its inputs; points and box stay as they are.

    The biases are moved instead: pixels stay pixels.
    """
    ignore: Annotated[
        tyro.conf.UseAppendAction[tuple[str, ...]], tyro.conf.arg(metavar="KEY")
    ] = ()
    """Name of an array that is no part of the function; may be given again."""
    part: Annotated[str | None, tyro.conf.arg(metavar="NAME")] = None
    """Which network, where the file holds several: model, ema, ..."""
    readout: (
        Literal["score", "argmax", "group-argmax", "summed-logits", "probability-sum"]
        | None
    ) = None
    """How outputs decide; the last three need --groups. None: sign or largest one."""
    groups: Annotated[tuple[int, ...] | None, tyro.conf.arg(metavar="{1,-1}...")] = None
    """The label that each output stands for, as in --groups 1 1 -1."""
    box: Annotated[tuple[str, ...] | None, tyro.conf.arg(metavar="{LOW HIGH|FILE}")] = (
        None
    )
    """Lowest and highest number that a perturbed input may have, in the unit of DATA.

    Or a file with low and high, one for each input: an .npz, or a .csv with these two
    columns and a row an input.
    """
    tie: Literal["<=", "<"] = "<="
    """Which margins are broken, in quotes: "<=" 0, or only "<" 0."""
    witness_dtype: Literal["float64", "float32", "float16"] | None = None
    """Numbers in which perturbed inputs flip the network, too. None: the network's own.

    Witnesses lie a little further away for it: `margin` says by how much.
    """
    limit: int | None = None
    """Take only so many points from the start. None: all."""
    out: Path | None = None
    """File (.npz) for lower, upper, witness, margin, method, status and nodes."""
    json: bool = False
    """Print one JSON document instead of tables; infinite ends are null."""


@dataclass(frozen=True)
class Status:
    """Say how far a sweep is."""

    folder: tyro.conf.Positional[Path]
    """The folder that was given to `jaxbias sweep --out`."""
    json: bool = False
    """Print one JSON document instead of lines."""


@dataclass(frozen=True)
class Plot:
    """Draw a variable of a sweep over seeds: median, band and worst seed.

    What is not said is chosen, and printed. Example:
    jaxbias plot runs/widths --x width --y radius_lower --reduce min --hue noise
    """

    folder: tyro.conf.Positional[Path]
    """The folder that was given to `jaxbias sweep --out`, or a file of it."""
    x: str | None = None
    """An axis of the sweep, or time. None: the axis of most values."""
    y: str | None = None
    """A variable. None: the loss."""
    hue: str | None = None
    """An axis with a colour for each value. None: of those left the one of most."""
    where: Annotated[
        tyro.conf.UseAppendAction[tuple[str, ...]], tyro.conf.arg(metavar="AXIS=VALUE")
    ] = ()
    """Only runs with this value of an axis. None: the first value of axes left over."""
    at: float | None = None
    """A saved time, where x is an axis. None: the last one."""
    reduce: Literal["median", "min", "max"] | None = None
    """What to draw of a variable with an entry for each neuron, cluster or sample."""
    keep_inaccurate: bool = False
    """Draw runs whose values may be off by more than 1 %, too."""
    out: Path | None = None
    """File that ends in .pdf, .png or .svg, or a name without ending for PDF and PNG.

    None: PDF and PNG in the folder, named after what they show.
    """


@dataclass(frozen=True)
class Export:
    """Write the runs of a sweep as a table for other programs, one row a run.

    Variables with further axes make a row for each run and entry. Example:
    jaxbias export runs/widths --variable loss --out loss.csv
    """

    folder: tyro.conf.Positional[Path]
    """The folder that was given to `jaxbias sweep --out`, or a file of it."""
    out: Path
    """File that ends in .csv or .parquet (which needs the extra of that name)."""
    variable: Annotated[
        tyro.conf.UseAppendAction[tuple[str, ...]], tyro.conf.arg(metavar="NAME")
    ] = ()
    """A variable to write; may be given again. None: all, if their axes agree."""


@dataclass(frozen=True)
class Bench:
    """Measure speed at equal error against the tools one would else use."""

    names: tyro.conf.Positional[tuple[str, ...]] = ()
    """Benchmarks, as `jaxbias list benchmarks` names them. None: all (hours)."""
    baseline: tyro.conf.UseAppendAction[tuple[str, ...]] = ()
    """torch, diffrax-best, diffrax-ours, torch-pgd, foolbox-fmn. None: all that fit."""
    rounds: int = 5
    """How often every method runs; rounds are interleaved."""
    out: Path = Path("figures")
    """Folder that receives the folder `benchmarks`: table, plot and data."""
    json: bool = False
    """Print one JSON document, a list of ratios, and nothing else."""


Command = List | Reproduce | Verify | Radius | Sweep | Status | Plot | Export | Bench
COMMANDS: dict[str, type] = {
    kind.__name__.lower(): kind
    for kind in (List, Reproduce, Verify, Radius, Sweep, Status, Plot, Export, Bench)
}


def _number_refused(why: str, arguments: Sequence[str]) -> InputError | None:
    """What to say where an option takes numbers, and other words were given."""
    told = re.match(r"Error parsing (--[a-z-]+):.*Argument helptext: \S+ (\S+)", why)
    if told is None or not re.search("INT|FLOAT|{1,-1}", told[2]):
        return None
    flag, whole = told[1], "FLOAT" not in told[2]
    # As "--seeds 3" or "--seeds=3".
    line = [part for word in arguments for part in _split(word)]
    words = line[len(line) - line[::-1].index(flag) :] if flag in line else []
    words = list(itertools.takewhile(lambda word: not word.startswith("--"), words))
    if told[2].endswith("INT") or not whole:
        words = words[:1]
    numbers = [_whole(word) for word in words]
    fix = " ".join(map(str, numbers)) if numbers and None not in numbers else "3"
    if fix == "3" and flag == "--groups":
        fix = "1 1 -1"
    kind = "a whole number, in digits alone" if whole else "a number, such as 3 or 0.5"
    return InputError(f"{flag} {' '.join(words)}", f"it takes {kind}", f"{flag} {fix}")


def _split(word: str) -> list[str]:
    return word.split("=", 1) if word.startswith("--") else [word]


def _whole(word: str) -> int | None:
    """The whole number that a word like 3.0 or 1e3 means; none that is absurd."""
    try:
        number = float(word)
    except ValueError:
        return None
    return int(number) if number.is_integer() and abs(number) < 2**31 else None


def parse(arguments: Sequence[str]) -> Command:
    """The command that the words of a command line stand for.

    Raises:
        InputError: The words are no command; the message is tyro's, on one line.
        SystemExit: Help was asked for and printed.
    """
    said = io.StringIO()
    try:
        with contextlib.redirect_stderr(said):
            return tyro.extras.subcommand_cli_from_dict(
                COMMANDS,
                prog="jaxbias",
                description=_DESCRIPTION,
                args=list(arguments),
                config=(tyro.conf.FlagCreatePairsOff,),
            )
    except SystemExit as end:
        if not end.code:
            sys.stderr.write(said.getvalue())
            raise
        why, _, fix = one_line(said.getvalue()).rpartition("; ")
        number = _number_refused(why, arguments)
        if number is not None:
            raise number from None
        given = " ".join(("jaxbias", *arguments))
        raise InputError(given, why, fix.rsplit(", run", 1)[-1].strip(" :")) from None
