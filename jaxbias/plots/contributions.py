"""Which neurons matter: contributions in falling order."""

import xarray as xr
from matplotlib.figure import Figure

from jaxbias.plots import _frames, style
from jaxbias.plots._panels import curves, pick

_DASHES = {
    "flow": {"ls": (0, (5, 1.5))},
    "coreset": {"ls": (0, (1, 1))},
    "sgd": {"ls": (0, (3, 1, 1, 1))},
}


def figure(data: xr.Dataset) -> Figure:
    """``|v_j| |w_j|`` over the largest, on a log scale, against rank."""
    marks = _frames.contributions(data)
    drawn = style.new_figure(style.COLUMN, 2.3)
    ax = drawn.add_subplot()
    ax.set_yscale("log")
    for exponent in data.exponent.values:
        colour, name = style.exponent_colour(exponent), f"{exponent:g}"
        family = pick(marks, series=name)
        curves(ax, family, colour)
        for training in data.training.values[1:]:
            other = pick(marks, series=f"{name} {training}", role="median")
            curves(ax, other, colour, **_DASHES[str(training)])
        median = pick(family, role="median")[0]
        dominant = int((median.y > data.attrs["dominant"]).sum())
        ax.plot(
            [median.x[dominant - 1]], [median.y[dominant - 1]], "o", color=colour, ms=3
        )
        # The upper curve is named above its mark, the lower ones between the curves.
        first = exponent == data.exponent.values[0]
        style.label(
            ax,
            median.x[dominant - 1] + (0 if first else 0.03 * len(median.x)),
            median.y[dominant - 1] * (120 if first else 0.06),
            f"{style.exponent_name(exponent)}: {dominant} dominant",
            colour,
            ha="center" if first else "left",
        )
    for training in data.training.values[1:]:
        dashes, label = _DASHES[str(training)], style.TRAININGS[str(training)]
        ax.plot([], [], color=style.GREY, label=label, **dashes)
    if data.sizes["training"] > 1:
        ax.plot(
            [],
            [],
            color=style.GREY,
            label=style.TRAININGS[str(data.training.values[0])],
        )
        ax.legend(loc="center", bbox_to_anchor=(0.6, 0.5))
    threshold = float(data.attrs["dominant"])
    style.guide(ax, threshold, "", axis="y")
    ax.text(
        0.98 * data.sizes["neuron"],
        threshold * 1.5,
        "dominant above",
        color=style.GREY,
        fontsize=7,
        ha="right",
        va="bottom",
    )
    ax.set_ylim(top=10)
    ax.set_xlabel("neuron, by falling contribution")
    ax.set_ylabel(r"contribution $|v_j|\,\|w_j\|$ / largest")
    ax.set_xlim(0, data.sizes["neuron"])
    return drawn
