"""The command ``jaxbias radius``: a network and points from files, radii out."""

import os
import sys
from collections import Counter
from pathlib import Path
from typing import Any

from jaxbias._checks import InputError, positive_int
from jaxbias._format import brief
from jaxbias._paths import destination, exists, readable, same, shown
from jaxbias.cli_arguments import Radius
from jaxbias.cli_box import box_of
from jaxbias.cli_output import print_json, print_table, warnings_in_one_line
from jaxbias.cli_points import FILE_OF_IT, points

_FIELDS = ("lower", "upper", "witness", "margin", "method", "status", "nodes")
_READOUTS = {
    "score": "Score",
    "argmax": "Argmax",
    "group-argmax": "GroupArgmax",
    "summed-logits": "SummedLogits",
    "probability-sum": "ProbabilitySum",
}
_WITHOUT_GROUPS = (None, "score", "argmax")
_BROKEN = "broken when clean"


def check(command: Radius) -> None:
    """Refuse words that do not go together, before JAX is loaded.

    Raises:
        InputError: such words, or files that are not there.
    """
    activation, exponent = command.activation, command.exponent
    if activation is None and exponent is not None:
        raise InputError(
            f"--exponent {exponent:g} without --activation",
            "prelu and power of one exponent are different functions",
            f"--activation prelu --exponent {exponent:g}",
        )
    if activation == "relu" and exponent not in (None, 1):
        raise InputError(
            f"--activation relu --exponent {exponent:g}",
            "the exponent of a ReLU is 1",
            f"--activation prelu --exponent {exponent:g}",
        )
    if activation in ("prelu", "power") and exponent is None:
        raise InputError(
            f"--activation {activation} without --exponent",
            "each exponent is another function",
            f"--activation {activation} --exponent 3",
        )
    if (command.readout in _WITHOUT_GROUPS) is not (command.groups is None):
        raise InputError(
            f"--readout {command.readout} with "
            f"{'no --groups' if command.groups is None else '--groups'}",
            "group-argmax, summed-logits and probability-sum read groups, "
            "and no others do",
            "--readout group-argmax --groups 1 1 -1",
        )
    if command.transpose and command.no_transpose:
        raise InputError(
            "--transpose with --no-transpose", "they are opposites", "one of them"
        )
    box_of(command.box)
    if command.limit is not None:
        positive_int("--limit", command.limit)
    for name, path in (("NETWORK", command.network), ("DATA", command.data)):
        source = f"{name} {shown(path)}"
        if not exists(path, source):
            raise InputError(source, "there is no such file", "jaxbias radius --help")
        readable(path, source, FILE_OF_IT)
    if command.out is not None:
        _check_out(command, command.out)


def _check_out(command: Radius, out: Path) -> None:
    """Refuse to write over what is read, or over what is no file."""
    given = f"--out {shown(out)}"
    other = "--out radii.npz, or another file of its own"
    try:
        place = destination(out)
    except OSError as error:
        why = f"no file can be written there ({error.strerror or error})"
        raise InputError(given, why, other) from error
    if place.is_dir():
        raise InputError(given, "it is a folder", f"{given}/radii.npz")
    read = {"NETWORK": command.network, "DATA": command.data}
    if command.box is not None and len(command.box) == 1:
        read["the file of --box"] = Path(command.box[0])
    for name, path in read.items():
        inside = path.is_dir() and path.resolve() in place.parents and place.exists()
        if inside or same(place, path):
            why = f"it is {'a part of ' * inside}{name}, which would be lost"
            raise InputError(given, why, other)
    if _is_standard_output(place):
        raise InputError(given, "tables and arrays would mix in it", other)


def _is_standard_output(path: Path) -> bool:
    try:
        return os.path.samestat(os.stat(path), os.fstat(1))
    except OSError:
        return False


def report(command: Radius) -> int:
    """Read, bound, print and write; JAX has been started.

    Raises:
        InputError: for files, labels and options that do not fit together.
    """
    from jaxbias import networks, robustness
    from jaxbias._files import write_arrays

    network = networks.read(
        command.network,
        activation_of(command),
        hidden=command.hidden,
        output=command.output,
        hidden_bias=command.hidden_bias,
        output_bias=command.output_bias,
        transpose=True
        if command.transpose
        else False
        if command.no_transpose
        else None,
        subtract=command.subtract,
        ignore=command.ignore,
        part=command.part,
    )
    inputs, labels = points(command.data, command.label, command.inputs)
    taken = slice(command.limit)
    _check_range(command, inputs[taken], network.hidden.dtype.name)
    with warnings_in_one_line():
        radius = robustness.radius(
            network,
            inputs[taken],
            labels[taken],
            order=float(command.order),
            effort=command.effort,
            readout=readout_of(command),
            tie=command.tie,
            box=box_of(command.box),
            witness_dtype=command.witness_dtype,
        )
    if command.out is not None:
        write_arrays(command.out, {name: getattr(radius, name) for name in _FIELDS})
    told = warning(radius)
    if told:
        print(f"jaxbias: warning: {told}", file=sys.stderr)
    if command.json:
        print_json(document(command, radius, labels[taken]))
        return 0
    norm = "l_inf" if command.order == "inf" else "l_2"
    title = f"radii in {norm}, effort {command.effort}, readout {radius.readout}"
    print_table(title, ("", "min", "median", "max"), summary(radius))
    for what in ("status", "method"):
        counted = Counter(getattr(radius, what).tolist()).most_common()
        print_table("", (what, "points"), [(name, str(n)) for name, n in counted])
    broken = float((radius.status == _BROKEN).mean())
    print(f"{len(radius.lower)} points, {100 * broken:.4g} % {_BROKEN}")
    if command.out is not None:
        print(command.out)
    return 0


def _check_range(command: Radius, inputs: Any, own: str) -> None:
    """Refuse inputs that the type of the witnesses would round to infinity."""
    import numpy as np

    name = command.witness_dtype or own
    largest = np.abs(inputs.astype(float)).max(initial=0.0)
    if largest > np.finfo(name).max:
        raise InputError(
            f"DATA {shown(command.data)} with an input of size {largest:.4g}",
            f"{name}, in which witnesses flip the network, ends at "
            f"{np.finfo(name).max:.4g}",
            "--witness-dtype float64, or inputs in another unit",
        )


def activation_of(command: Radius) -> Any:
    """The activation that the words name, or None."""
    from jaxbias.networks import Power, PReLU, ReLU

    if command.activation is None:
        return None
    if command.activation == "relu":
        return ReLU()
    assert command.exponent is not None
    return (PReLU if command.activation == "prelu" else Power)(command.exponent)


def readout_of(command: Radius) -> Any:
    """The read-out that the words name, or None."""
    from jaxbias.networks import readouts

    if command.readout is None:
        return None
    kind = getattr(readouts, _READOUTS[command.readout])
    return kind() if command.groups is None else kind(command.groups)


def warning(radius: Any) -> str | None:
    """What to say where not one point is right, which is seldom what was meant."""
    if not (radius.status == _BROKEN).all():
        return None
    count = len(radius.status)
    every = "the only point is" if count == 1 else f"all {count} points are"
    return (
        f"{every} wrong when clean, so every radius is 0; see to the labels (--label), "
        "the unit of the inputs (0 to 1 or 0 to 255), the order of the outputs "
        "(--groups), --transpose, --subtract and --activation"
    )


def summary(radius: Any) -> list[tuple[str, str, str, str]]:
    """Least, median and largest of both ends, and of their ratio.

    The ratio leaves out points that are broken when clean, where both ends are 0.
    """
    import numpy as np

    ratio = np.divide(
        radius.lower,
        radius.upper,
        out=np.full(radius.lower.shape, np.nan),
        where=radius.upper > 0,
    )
    rows = []
    for name, ends in (
        ("lower", radius.lower),
        ("upper", radius.upper),
        ("lower / upper", ratio[~np.isnan(ratio)]),
    ):
        told = [f(ends) if ends.size else None for f in (np.min, np.median, np.max)]
        rows.append((name, *map(brief, told)))
    return rows


def document(command: Radius, radius: Any, labels: Any) -> dict[str, Any]:
    """What ``--json`` prints: the question, and one object a point."""
    fields = [name for name in _FIELDS if name != "witness"]
    columns = [getattr(radius, name).tolist() for name in fields]
    return {
        "network": str(command.network),
        "data": str(command.data),
        "order": command.order,
        "effort": command.effort,
        "readout": radius.readout,
        "tie": command.tie,
        "witness_dtype": radius.witness_dtype,
        "broken_when_clean": int((radius.status == _BROKEN).sum()),
        "warning": warning(radius),
        "points": [
            {"index": index, "label": label, **dict(zip(fields, row, strict=True))}
            for index, (label, row) in enumerate(
                zip(labels.tolist(), zip(*columns, strict=True), strict=True)
            )
        ],
    }
