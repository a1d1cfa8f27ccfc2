"""What every figure shares: widths, palette, guides, labels, saving."""

import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from matplotlib import style as sheets
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke

from jaxbias._checks import InputError, one_of
from jaxbias._files import replace_whole
from jaxbias._paths import shown

COLUMN = 3.25
PAGE = 6.75
PNG_LIMIT = 300_000

# Okabe and Ito's palette, reordered so that neighbours differ in lightness too.
BLUE, VERMILION, GREEN, PURPLE = "#0072B2", "#D55E00", "#009E73", "#A6559D"
ORANGE, SKY, BLACK, GREY = "#E69F00", "#56B4E9", "#1a1a1a", "#7a7a7a"
PALETTE = (BLUE, VERMILION, GREEN, PURPLE, ORANGE, SKY)
# Formats, and what would make two files of the same figure differ.
_ABOUT: dict[str, dict] = {
    ".pdf": {"metadata": {"CreationDate": None}},
    ".png": {"metadata": {"Software": None}},
    ".svg": {"metadata": {"Date": None}},
}
_EXPONENT_COLOURS = {1.0: BLUE, 2.0: GREEN, 3.0: VERMILION, 4.0: PURPLE}


@contextmanager
def paper() -> Iterator[None]:
    """Draw as on paper: matplotlib's own defaults, then the paper's style.

    What a matplotlibrc, the environment or the process has set does not count here, and
    is found again afterwards.
    """
    # Not `after_reset`: it forgets the backend, which no context restores.
    with sheets.context(["default", "jaxbias.plots.paper"]):
        yield


def new_figure(width: float, height: float) -> Figure:
    """A figure that no global state knows: no window, nothing to close."""
    figure = Figure(figsize=(width, height))
    FigureCanvasAgg(figure)
    return figure


def exponent_colour(exponent: float) -> str:
    """The colour that stands for pReLU's exponent in every figure."""
    return _EXPONENT_COLOURS.get(float(exponent), BLACK)


def shades(colour: str, count: int) -> list[tuple[float, float, float]]:
    """``count`` tints of one colour from light to full: an ordered family."""
    full = np.array(to_rgb(colour))
    weights = np.linspace(0.45, 1.0, count) if count > 1 else np.ones(1)
    return [
        (float(r), float(g), float(b))
        for r, g, b in weights[:, None] * full + (1 - weights[:, None])
    ]


def exponent_name(exponent: float) -> str:
    """How an exponent is written: ``p = 3``; p = 1 is named ReLU where it helps."""
    return f"$p={exponent:g}$"


#: How a way of training is written.
TRAININGS = {
    "flow": "gradient flow",
    "coreset": "flow on a coreset",
    "sgd": "SGD as in the paper",
}


def letter_panels(axes: Sequence[Axes], titles: Sequence[str]) -> None:
    """Title panels ``(a) ...``, ``(b) ...`` in reading order."""
    for number, (ax, title) in enumerate(zip(axes, titles, strict=True)):
        ax.set_title(rf"$\mathbf{{{chr(97 + number)}}}$   {title}")


def guide(
    ax: Axes,
    value: float,
    text: str,
    *,
    axis: str = "x",
    at: float = 1.0,
    side: str = "bottom",
) -> None:
    """A thin dashed line at a closed form, named on the spot.

    Args:
        ax: The panel.
        value: Where the line stands.
        text: Its name (mathtext).
        axis: ``"x"`` for a vertical line, ``"y"`` for a horizontal one.
        at: Position of the name along the line, in axes fractions.
        side: Which edge of the name touches the line, ``"bottom"`` or ``"top"``.
    """
    line = {"color": GREY, "lw": 0.8, "ls": (0, (4, 2)), "zorder": 1}
    if axis == "x":
        ax.axvline(value, **line)
        place, spot = ax.get_xaxis_transform(), (value, at)
        align = "center"
    else:
        ax.axhline(value, **line)
        place, spot = ax.get_yaxis_transform(), (at, value)
        align = "right"
    ax.text(*spot, s=text, transform=place, color=GREY, fontsize=7, ha=align, va=side)


def label(ax: Axes, x: float, y: float, text: str, colour, **options) -> None:
    """Name a curve beside itself, readable over other lines."""
    options = {"ha": "left", "va": "center", "fontsize": 7, "zorder": 5} | options
    drawn = ax.text(x, y, text, color=colour, **options)
    drawn.set_path_effects([withStroke(linewidth=2.0, foreground="white")])


def save(figure: Figure, stem: Path) -> list[Path]:
    """Write ``stem.pdf`` and ``stem.png`` (at most 300 kB, else coarser).

    Dates are left out of the files, so that the same figure is the same bytes.
    """
    pdf, png = stem.with_suffix(".pdf"), stem.with_suffix(".png")
    replace_whole(pdf, _drawn(figure, format="pdf", metadata={"CreationDate": None}))
    pixels = b""
    for dpi in (180, 150, 120, 90):
        about = {"Software": None}
        pixels = _drawn(figure, format="png", dpi=dpi, metadata=about)
        if len(pixels) <= PNG_LIMIT:
            break
    replace_whole(png, pixels)
    return [pdf, png]


def write(figure: Figure, path: Path) -> list[Path]:
    """Write a figure in the format that the path's ending names; PDF and PNG if none.

    Raises:
        InputError: For an ending of no format, and where nothing can be written.
    """
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix:
        one_of("ending", suffix, _ABOUT)
    try:
        if not suffix:
            return save(figure, path)
        replace_whole(path, _drawn(figure, format=suffix[1:], **_ABOUT[suffix]))
    except OSError as error:
        raise InputError(
            f"path {shown(path)!r}",
            f"no figure can be written there ({error.strerror or error})",
            "a file in a folder of your own",
        ) from error
    return [path]


def _drawn(figure: Figure, **options) -> bytes:
    content = io.BytesIO()
    with paper():
        figure.savefig(content, **options)
    return content.getvalue()
