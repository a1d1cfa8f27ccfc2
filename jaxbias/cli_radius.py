"""The command ``jaxbias radius``: a network and points from files, radii out."""

from collections import Counter
from pathlib import Path
from typing import Any

from jaxbias._checks import InputError, positive_int
from jaxbias._format import brief
from jaxbias.cli_arguments import Radius
from jaxbias.cli_output import print_json, print_table

_PAIRS = (("inputs", "labels"), ("x", "y"), ("images", "labels"))
_FIELDS = ("lower", "upper", "witness", "method", "status", "nodes")
_FILES = "an .npz with inputs and labels, or a .csv with the label in the last column"
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
    if command.limit is not None:
        positive_int("--limit", command.limit)
    if command.out is not None and command.out.is_dir():
        raise InputError(
            f"--out {command.out}", "it is a folder", f"--out {command.out}/radii.npz"
        )
    for name, path in (("NETWORK", command.network), ("DATA", command.data)):
        if not path.exists():
            raise InputError(
                f"{name} {path}", "there is no such file", "jaxbias radius --help"
            )


def report(command: Radius) -> int:
    """Read, bound, print and write; JAX has been started.

    Raises:
        InputError: for files, labels and options that do not fit together.
    """
    from jaxbias import networks, robustness
    from jaxbias._files import write_arrays

    network = networks.read(
        command.network, activation_of(command), output=command.output
    )
    inputs, labels = points(command.data)
    taken = slice(command.limit)
    radius = robustness.radius(
        network,
        inputs[taken],
        labels[taken],
        order=float(command.order),
        effort=command.effort,
        readout=readout_of(command),
        tie=command.tie,
        box=command.box,
    )
    if command.out is not None:
        write_arrays(command.out, {name: getattr(radius, name) for name in _FIELDS})
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


def points(path: Path) -> tuple[Any, Any]:
    """Inputs (sample, feature) and labels (sample,) of a file, told by its content.

    Images become rows; no number is rescaled.

    Raises:
        InputError: for a file that holds no such pair, or no numbers.
    """
    import numpy as np

    if path.is_dir():
        raise InputError(f"DATA {path}", "it is a folder", _FILES)
    with path.open("rb") as file:
        archived = file.read(2) == b"PK"
    inputs, labels = _from_npz(path) if archived else _from_csv(path)
    for name, array in (("inputs", inputs), ("labels", labels)):
        if array.dtype.kind not in "biuf" or not array.ndim:
            raise InputError(
                f"DATA {path} with {name} of type {array.dtype} and shape "
                f"{array.shape}",
                "inputs and labels are arrays of numbers",
                _FILES,
            )
        if not np.isfinite(array).all():
            raise InputError(
                f"DATA {path} with {name} that are NaN or infinite",
                "no distance is defined there",
                "a file without those rows",
            )
    if inputs.ndim > 2:
        inputs = inputs.reshape(len(inputs), -1)
    if labels.shape == (len(inputs), 1):
        labels = labels[:, 0]
    return inputs, labels


def _from_npz(path: Path) -> tuple[Any, Any]:
    from jaxbias._files import load_arrays

    arrays = load_arrays(path, f"DATA {path}")
    for inputs, labels in _PAIRS:
        if inputs in arrays and labels in arrays:
            return arrays[inputs], arrays[labels]
    raise InputError(
        f"DATA {path} with {', '.join(arrays) or 'nothing'}",
        "no pair of these names is in it",
        "numpy.savez(path, inputs=..., labels=...)",
    )


def _from_csv(path: Path) -> tuple[Any, Any]:
    import numpy as np

    try:
        lines = [row for row in path.read_text("utf-8").splitlines() if row.strip()]
        if lines and not _numeric(lines[0]):
            lines = lines[1:]
        if not lines:
            raise ValueError("it has no rows")
        table = np.loadtxt(lines, delimiter=",", ndmin=2, comments=None)
        if table.shape[1] < 2:
            raise ValueError("it has one column")
    except ValueError as error:
        raise InputError(
            f"DATA {path}", f"it is no table of numbers ({error})", _FILES
        ) from error
    return table[:, :-1], table[:, -1]


def _numeric(row: str) -> bool:
    try:
        return bool([float(cell) for cell in row.split(",")])
    except ValueError:
        return False


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
        "points": [
            {"index": index, "label": label, **dict(zip(fields, row, strict=True))}
            for index, (label, row) in enumerate(
                zip(labels.tolist(), zip(*columns, strict=True), strict=True)
            )
        ],
    }
