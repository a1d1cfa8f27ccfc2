"""What people do with the results in a folder: draw them, take them elsewhere."""

from collections.abc import Iterable

from jaxbias import cli_arguments as commands
from jaxbias._checks import InputError
from jaxbias._format import brief


def plot(command: commands.Plot) -> None:
    """Draw a sweep's folder, and print what was chosen and which files were written."""
    from jaxbias import plots, results
    from jaxbias.plots.sweep_defaults import complete

    table = results.open(command.folder)
    where = parse_where(command.where)
    shown = complete(table, command.x, command.y, command.hue, where)
    drawn = plots.sweep(
        table,
        **shown,
        at=command.at,
        reduce=command.reduce,
        keep_inaccurate=command.keep_inaccurate,
    )
    names = [shown[part] for part in ("y", "x", "hue") if shown[part] is not None]
    home = command.folder if command.folder.is_dir() else command.folder.parent
    out = home / "-".join(names) if command.out is None else command.out
    files = plots.write(drawn, out)
    words = [f"--{part} {shown[part]}" for part in ("x", "y", "hue") if shown[part]]
    words += [
        f"--where {name}={brief(value)}" for name, value in shown["where"].items()
    ]
    print("drawn with", " ".join(words))
    print(drawn.get_supxlabel())
    for file in files:
        print(file)


def parse_where(words: Iterable[str]) -> dict[str, float | str]:
    """Values of axes, from words like ``exponent=3``.

    Raises:
        InputError: A word is not of that form.
    """
    held: dict[str, float | str] = {}
    for word in words:
        name, equals, value = word.partition("=")
        if not (name and equals and value):
            raise InputError(
                f"--where {word}",
                "it holds one axis at one value",
                "--where exponent=3",
            )
        try:
            held[name] = float(value)
        except ValueError:
            held[name] = value
    return held


def export(command: commands.Export) -> None:
    """Write a sweep's runs as a table, and print the file."""
    from jaxbias import results

    table = results.open(command.folder)
    print(results.export(table, command.out, variables=command.variable or None))
