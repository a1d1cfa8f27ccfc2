"""Figures of any sweep: what they hold, what they leave out, and what they refuse."""

import subprocess
import sys

import matplotlib as mpl
import numpy as np
import pytest
import xarray as xr

from jaxbias import plots
from jaxbias._checks import InputError
from jaxbias.plots import _sweep_frames, style
from jaxbias.plots._panels import pick
from jaxbias.plots._sweep_choice import choose
from jaxbias.plots.sweep_defaults import complete

WIDTHS, NOISES, SEEDS = (8, 32, 128), (0.1, 0.2), 5
FLAGS = {"flag_values": [0, 1], "flag_meanings": "finished max_steps"}


def table(unfinished=(), inaccurate=(), **more):
    """loss = 100 noise / width + seed / 10, and its tenfold at the later time."""
    width, noise, seed = (
        axis.ravel()
        for axis in np.meshgrid(WIDTHS, NOISES, range(SEEDS), indexing="ij")
    )
    runs = len(seed)
    loss = (100 * noise / width + seed / 10)[:, None] * np.array([1.0, 10.0])
    clusters = np.array([3.0, 1.0, 2.0]) + seed[:, None]
    mask = np.arange(3) < np.where(width > 8, 3, 2)[:, None]
    status, rough = np.zeros(runs, np.int32), np.zeros(runs, bool)
    status[list(unfinished)], rough[list(inaccurate)] = 1, True
    about = {"description": "training loss", "units": "nats"}
    return xr.Dataset(
        {
            "loss": (("run", "time"), loss, about),
            "radius_lower": (("run", "cluster"), clusters),
            "amplitude": (("run", "neuron"), np.where(mask, clusters, np.nan)),
            "evaluations": ("run", 1000 * width, {"description": "evaluations"}),
            "inaccurate": ("run", rough),
            "status": ("run", status, FLAGS),
        },
        {
            "run": np.arange(runs),
            "seed": ("run", seed),
            "width": ("run", width),
            "noise": ("run", noise),
            "time": [1.0, 10.0],
            "neuron_mask": (("run", "neuron"), mask),
            **more,
        },
        {"axes": '["width", "noise"]'},
    )


def marks(data, x, y, band=(0.25, 0.75), law=None, **options):
    return _sweep_frames.sweep(choose(data, x, y, **options), band, law)


def one(found, **wanted):
    [mark] = pick(found, **wanted)
    return mark


def texts(figure):
    [ax] = figure.axes
    labels = [text.get_text() for text in ax.get_legend().get_texts()]
    return ax, labels, figure.get_supxlabel()


# --- the numbers ---------------------------------------------------------------------


def test_median_band_and_worst_over_an_axis():
    found = marks(table(), "width", "loss", (0.0, 0.5), hue="noise")
    assert len(found) == 6
    at_end = 10 * 100 * 0.2 / np.array(WIDTHS)
    median = one(found, series="0.2", role="median")
    np.testing.assert_array_equal(median.x, WIDTHS)
    np.testing.assert_allclose(median.y, at_end + 2)
    np.testing.assert_allclose(one(found, series="0.2", role="worst").y, at_end + 4)
    band = one(found, series="0.2", role="band")
    np.testing.assert_allclose(band.y, at_end)
    np.testing.assert_allclose(band.upper, at_end + 2)


def test_an_earlier_time_and_a_smallest_worst():
    found = marks(table(), "noise", "loss", where={"width": 8}, at=1.0, worst="min")
    expected = 100 * np.array(NOISES) / 8
    np.testing.assert_allclose(one(found, role="worst").y, expected)
    np.testing.assert_allclose(one(found, role="median").y, expected + 0.2)


def test_over_time():
    found = marks(table(), "time", "loss", hue="width", where={"noise": 0.1})
    np.testing.assert_allclose(
        one(found, series="32", role="median").y, (10 / 32 + 0.2) * np.array([1, 10])
    )
    assert one(found, series="32", role="median").x.tolist() == [1, 10]


@pytest.mark.parametrize(("how", "value"), [("min", 1), ("median", 2), ("max", 3)])
def test_reductions(how, value):
    where = {"noise": 0.1}
    found = marks(table(), "width", "radius_lower", reduce=how, where=where)
    # The median seed is 2, and of a radius the smallest seed, 0, is the worst one.
    assert one(found, role="median").y.tolist() == [value + 2] * 3
    assert one(found, role="worst").y.tolist() == [value] * 3


def test_padding_is_no_neuron_and_an_undefined_neuron_is_not_hidden():
    where = {"noise": 0.1}
    choice = {"reduce": "median", "where": where}
    found = marks(table(), "width", "amplitude", **choice)
    assert one(found, role="median").y.tolist() == [4, 4, 4]
    # Neurons 3, 1 at width 8, and 3, 1, 2 beyond.
    found = marks(table(), "width", "amplitude", reduce="min", where=where)
    assert one(found, role="median").y.tolist() == [3, 3, 3]
    broken = table()
    broken["amplitude"][10, 1] = np.nan
    found = marks(broken, "width", "amplitude", **choice)
    np.testing.assert_array_equal(one(found, role="median").y, [4, np.nan, 4])


def test_unfinished_and_inaccurate_runs_are_left_out_and_counted():
    # Of width 8 and noise 0.1, the seeds 3 and 4 and then the seed 2.
    data = table(unfinished=(3, 4, 29), inaccurate=(2, 3))
    where = {"noise": 0.1}
    found = marks(data, "width", "loss", where=where, at=1.0)
    assert one(found, role="median").y[0] == pytest.approx(10 / 8 + 0.05)
    figure = plots.sweep(data, "width", "loss", where=where)
    told = texts(figure)[2]
    assert "2 to 5 seeds" in told
    # Run 29 has another noise, and the run that is both counts once.
    assert "runs left out: 2 unfinished and 1 inaccurate" in told
    kept = marks(data, "width", "loss", where=where, at=1.0, keep_inaccurate=True)
    assert one(kept, role="median").y[0] == pytest.approx(10 / 8 + 0.1)


def test_points_without_a_value_are_counted():
    data = table(unfinished=range(5))
    data["loss"][12] = np.nan
    told = texts(plots.sweep(data, "width", "loss", where={"noise": 0.1}))[2]
    assert "points without a value: 2" in told


@pytest.mark.parametrize(
    ("values", "spaced"),
    [
        ([8, 16, 32, 64], True),
        ([8, 11, 16, 23, 32, 45], True),
        ([0.05, 0.1, 0.15, 0.2], False),
        ([1, 2, 3, 4], False),
        ([1e-7, 1e-5], True),
        ([0.05, 0.2], False),
        ([0.0, 1.0, 10.0], False),
        ([5.0], False),
        (np.geomspace(0.5, 500, 40), True),
    ],
)
def test_spacing(values, spaced):
    assert _sweep_frames.log_spaced(values) is spaced


# --- closed forms --------------------------------------------------------------------


def test_a_law_of_the_abscissa():
    found = marks(table(), "width", "loss", law=lambda w: 20 / w, hue="noise")
    law = one(found, role="fit")
    assert law.series == _sweep_frames.ALL
    assert (law.x[0], law.x[-1]) == (8, 128)
    np.testing.assert_allclose(np.diff(np.log(law.x)), np.log(16) / 199)
    np.testing.assert_allclose(law.y, 20 / law.x)


def test_a_law_of_the_abscissa_and_the_hue():
    law = lambda w, noise: 1000 * noise / w + 2
    found = marks(table(), "width", "loss", law=law, hue="noise")
    for noise in NOISES:
        fit = one(found, series=str(noise), role="fit")
        median = one(found, series=str(noise), role="median")
        np.testing.assert_allclose(np.interp(median.x, fit.x, fit.y), median.y, 1e-3)


@pytest.mark.parametrize(
    "law", [np.sqrt, lambda w: 3.0, lambda w, shift=1.0: w + shift]
)
def test_laws_of_other_kinds(law):
    where = {"noise": 0.1}
    fit = one(marks(table(), "width", "loss", law=law, where=where), role="fit")
    np.testing.assert_allclose(fit.y, np.broadcast_to(law(fit.x), fit.y.shape))


@pytest.mark.parametrize("law", [lambda w: w[:3], lambda w: None, lambda w: "3 / w"])
def test_a_law_that_returns_something_else(law):
    with pytest.raises(InputError, match="has to return as many numbers"):
        plots.sweep(table(), "width", "loss", "noise", law)


# --- the figure ----------------------------------------------------------------------


def test_axes_are_labelled_from_the_table_and_scaled_as_it_is_spaced():
    law = lambda w: 20 / w
    figure = plots.sweep(
        table(), "width", "loss", "noise", law, law_label="$20/m$", band=(0.1, 0.9)
    )
    ax, labels, told = texts(figure)
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("width", "training loss [nats]")
    assert (ax.get_xscale(), ax.get_yscale()) == ("log", "linear")
    assert labels[:2] == ["noise = 0.1", "noise = 0.2"]
    assert labels[2:] == [
        "median of seeds",
        "0.1 to 0.9 quantile",
        "worst seed (largest)",
        "$20/m$",
    ]
    assert told == "at time 10; 5 seeds; runs left out: none"
    assert [text.get_text() for text in ax.get_xticklabels()] == ["8", "32", "128"]
    linear = plots.sweep(table(), "noise", "loss", where={"width": 8}, log_y=True)
    assert linear.axes[0].get_xscale() == "linear"
    assert linear.axes[0].get_yscale() == "log"


def test_the_reduction_and_the_worst_seed_are_said():
    figure = plots.sweep(table(), "width", "radius_lower", "noise", reduce="min")
    ax, labels, _ = texts(figure)
    assert ax.get_ylabel() == "min over cluster: radius_lower"
    assert "worst seed (smallest)" in labels


def test_two_decades_are_drawn_on_a_logarithmic_ordinate():
    data = table()
    data["evaluations"] = ("run", 10 ** (data.width.values // 30))
    figure = plots.sweep(data, "width", "evaluations", "noise")
    assert figure.axes[0].get_yscale() == "log"


def test_every_value_of_the_hue_has_its_colour():
    data = table()
    many = data.assign_coords(noise=("run", data.run.values % 10 / 10))
    for exponents in (False, True):
        name = "exponent" if exponents else "noise"
        values = many.noise.values if not exponents else 1.0 + data.run.values % 3
        swept = many.assign_coords({name: ("run", values)}).assign_attrs(
            axes=f'["width", "{name}"]'
        )
        figure = plots.sweep(swept, "width", "loss", hue=name)
        lines = [
            line
            for line in figure.axes[0].lines
            if str(line.get_label()).startswith(name)
        ]
        colours = [mpl.colors.to_hex(line.get_color()) for line in lines]
        assert len(set(colours)) == len(colours) == (3 if exponents else 10)
    expected = [style.exponent_colour(p).lower() for p in (1.0, 2.0, 3.0)]
    assert colours == expected


def test_words_stand_side_by_side():
    data = table()
    losses = np.where(data.noise.values > 0.15, "squared", "logistic")
    data = data.drop_vars("noise").assign_coords(objective=("run", losses))
    data = data.assign_attrs(axes='["width", "objective"]')
    figure = plots.sweep(data, "objective", "loss", where={"width": 8})
    labels = [text.get_text() for text in figure.axes[0].get_xticklabels()]
    assert labels == ["logistic", "squared"]
    held = plots.sweep(data, "width", "loss", where={"objective": "squared"})
    assert "objective = squared" in held.get_supxlabel()
    with pytest.raises(InputError, match="values are words"):
        plots.sweep(data, "objective", "loss", law=np.sqrt, where={"width": 8})


def test_no_setting_leaks_and_none_counts(tmp_path):
    draw = lambda name: [
        path.read_bytes()
        for path in plots.write(
            plots.sweep(table(), "width", "loss", "noise"), tmp_path / name
        )
    ]
    expected = draw("plain")
    hostile = {"font.size": 40, "axes.grid": True, "lines.linewidth": 9}
    with mpl.rc_context(hostile):
        before = dict(mpl.rcParams)
        assert draw("hostile") == expected
        assert dict(mpl.rcParams) == before


@pytest.mark.parametrize(
    ("name", "written", "start"),
    [
        ("a.pdf", ["a.pdf"], b"%PDF"),
        ("a.PNG", ["a.PNG"], b"\x89PNG"),
        ("new/a.svg", ["a.svg"], b"<?xml"),
        ("a", ["a.pdf", "a.png"], b"%PDF"),
    ],
)
def test_the_ending_says_the_format(name, written, start, tmp_path):
    paths = plots.write(plots.sweep(table(), "width", "loss", "noise"), tmp_path / name)
    assert [path.name for path in paths] == written
    assert paths[0].read_bytes().startswith(start)
    figure = plots.sweep(table(), "width", "loss", "noise")
    again = plots.write(figure, tmp_path / "again" / name)
    assert again[0].read_bytes() == paths[0].read_bytes()


def test_endings_and_places_that_cannot_be(tmp_path):
    figure = plots.sweep(table(), "width", "loss", "noise")
    with pytest.raises(InputError, match=r"ending='\.gif'.*'\.pdf'"):
        plots.write(figure, tmp_path / "a.gif")
    (tmp_path / "file").write_text("in the way")
    for name in ("file/a.png", "file/a"):
        with pytest.raises(InputError, match="no figure can be written there"):
            plots.write(figure, tmp_path / name)


def test_drawing_loads_no_jax(tmp_path):
    table().to_netcdf(tmp_path / "a.nc", engine="h5netcdf")
    code = (
        "import sys, jaxbias as jb\n"
        "table = jb.open(sys.argv[1])\n"
        "assert callable(jb.plots.sweep)\n"
        "jb.plots.write(jb.plots.sweep(table, 'width', 'loss', 'noise'), sys.argv[2])\n"
        "assert 'jax' not in sys.modules and 'matplotlib.pyplot' not in sys.modules"
    )
    words = [str(tmp_path / "a.nc"), str(tmp_path / "a.png")]
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code, *words],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert 5_000 < (tmp_path / "a.png").stat().st_size <= style.PNG_LIMIT


# --- refusals ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("call", "message"),
    [
        ({"x": "widht"}, "x='widht'.*'noise', 'time'.*Try x='width'"),
        ({"y": "los"}, "y='los'.*Try y='loss'"),
        ({"y": "status"}, "y='status'"),
        ({"hue": "nois"}, "hue='nois'.*Try hue='noise'"),
        ({"hue": "width"}, "hue='width'"),
        (
            {"hue": None},
            r"'noise' with 2 values.*where=\{'noise': 0.1\} or hue='noise'",
        ),
        ({"where": {"scale": 1}}, "where='scale'"),
        ({"where": {"noise": 0.1}}, "where='noise', which is drawn"),
        ({"hue": None, "where": {"noise": 0.3}}, r"where\['noise'\].*'0.1', '0.2'"),
        ({"y": "radius_lower"}, "an entry for each cluster.*--reduce min"),
        ({"y": "amplitude", "reduce": "mean"}, "reduce='mean'.*'median', 'min'"),
        ({"reduce": "max"}, "'loss' is one number of each run already"),
        ({"at": 3.0}, r"the 2 saved times go from 1 to 10.*at=1"),
        ({"y": "evaluations", "at": 1.0}, "'evaluations' has no times"),
        ({"y": "evaluations", "x": "time"}, "x='time'"),
        ({"x": "time", "where": {"width": 8}, "at": 1.0}, "all times are drawn"),
        ({"worst": "largest"}, "worst='largest'"),
        ({"band": (0.9, 0.1)}, "two probabilities, the lower one first"),
        ({"band": (5.0, 95.0)}, "two probabilities"),
    ],
)
def test_what_cannot_be_drawn(call, message):
    good = {"x": "width", "y": "loss", "hue": "noise"}
    with pytest.raises(InputError, match=message):
        plots.sweep(table(), **(good | call))


def test_nothing_left_to_draw():
    draw = lambda data: plots.sweep(data, "width", "loss", "noise")
    with pytest.raises(InputError, match="30 of them unfinished.*jaxbias status"):
        draw(table(unfinished=range(30)))
    with pytest.raises(InputError, match="30 inaccurate.*keep_inaccurate=True"):
        draw(table(inaccurate=range(30)))
    with pytest.raises(InputError, match="without the dimension 'run'"):
        draw(table().isel(run=0))
    with pytest.raises(InputError, match="without 'status'"):
        draw(table().drop_vars("status"))


# --- what is drawn where nobody says it ----------------------------------------------


def test_defaults():
    data = table()
    assert complete(data) == {"x": "width", "y": "loss", "hue": "noise", "where": {}}
    assert complete(data, x="time")["hue"] == "width"
    assert complete(data, x="time")["where"] == {"noise": 0.1}
    held = complete(data, where={"width": 8.0})
    assert (held["x"], held["hue"], held["where"]) == ("noise", None, {"width": 8.0})
    assert complete(data, y="evaluations", hue="width")["x"] == "noise"
    assert complete(data.drop_vars("loss"))["y"] == "radius_lower"
    single = data.sel(run=(data.width == 8) & (data.noise == 0.1))
    assert complete(single)["x"] == "time"
    with pytest.raises(InputError, match="nothing to draw it against"):
        complete(single, y="evaluations")
    with pytest.raises(InputError, match="y='lss'.*'loss'"):
        complete(data, y="lss")


def test_the_defaults_can_be_drawn():
    data = table()
    for given in ({}, {"x": "time"}, {"y": "evaluations"}, {"hue": "width"}):
        plots.sweep(data, **complete(data, **given))
