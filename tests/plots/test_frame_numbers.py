"""The marks of each plot hold the numbers of its table, and figures hold the marks."""

import json

import numpy as np
import pytest
import xarray as xr

from jaxbias import plots
from jaxbias._checks import InputError
from jaxbias.plots import _frames, _panels, style
from jaxbias.plots._frames import Mark

ROLES = {"seed", "median", "worst", "band", "row", "fit", "guide"}


def frame(kind, tables):
    return getattr(_frames, kind)(tables[kind])


def one(marks, **wanted):
    [mark] = _panels.pick(marks, **wanted)
    return mark


# --- every kind ----------------------------------------------------------------------


@pytest.mark.parametrize("kind", plots.KINDS)
def test_marks_are_curves_of_matching_lengths(kind, tables):
    for mark in frame(kind, tables):
        assert len(mark.x) == len(mark.y)
        assert mark.upper is None or len(mark.upper) == len(mark.y)
        assert mark.role in ROLES
        assert (mark.upper is not None) == (mark.role == "band")


@pytest.mark.parametrize("kind", plots.KINDS)
def test_a_frame_is_a_plain_table_of_equal_columns(kind, tables):
    marks = frame(kind, tables)
    columns = _frames.table(marks)
    assert tuple(columns) == Mark._fields
    assert {len(column) for column in columns.values()} == {
        sum(len(mark.x) for mark in marks)
    }
    assert json.loads(json.dumps(columns, allow_nan=False)) == columns


@pytest.mark.parametrize("kind", plots.KINDS)
def test_the_file_gives_the_same_frame_as_the_table(kind, tables, tmp_path):
    path = tmp_path / f"{kind}.nc"
    tables[kind].to_netcdf(path, engine="h5netcdf")
    with xr.open_dataset(path, engine="h5netcdf") as opened:
        again = opened.load()
    assert again.attrs["plot"] == kind
    drawn = _frames.table(getattr(_frames, kind)(again))
    assert drawn == _frames.table(frame(kind, tables))


@pytest.mark.parametrize("kind", sorted(set(plots.KINDS) - {"cosine_map"}))
def test_the_order_of_dimensions_does_not_matter(kind, tables):
    data = tables[kind]
    turned = data.transpose(*reversed(list(data.dims)))
    drawn = _frames.table(getattr(_frames, kind)(turned))
    assert drawn == _frames.table(frame(kind, tables))


@pytest.mark.parametrize(
    ("kind", "seeds"),
    [
        ("distance", 3),
        ("contributions", 2),
        ("robust_accuracy", 2),
        ("scales", 2),
        ("digits", 2),
    ],
)
def test_every_seed_is_drawn_and_the_median_is_theirs(kind, seeds, tables):
    marks = frame(kind, tables)
    families = {(mark.panel, mark.series) for mark in marks if mark.role == "seed"}
    for panel, series in families:
        family = _panels.pick(marks, panel=panel, series=series)
        rows = np.array([mark.y for mark in family if mark.role == "seed"])
        other = "sgd" in f"{panel} {series}"
        assert len(rows) == (1 if other else seeds)
        median = one(family, role="median")
        np.testing.assert_allclose(median.y, np.median(rows, axis=0), rtol=1e-12)


@pytest.mark.parametrize(
    ("kind", "curve"),
    [
        ("distance", {"series": "3", "role": "median"}),
        ("contributions", {"series": "1", "role": "median"}),
        (
            "robust_accuracy",
            {"panel": "3 sgd", "series": "certified", "role": "median"},
        ),
        ("scales", {"panel": "rounding", "series": "1", "role": "worst"}),
        ("widths", {"panel": "amplitude 3", "series": "0.1", "role": "median"}),
        ("digits", {"panel": "accuracy", "series": "class", "role": "worst"}),
    ],
)
def test_figures_draw_the_numbers_of_their_frame(kind, curve, tables):
    mark = one(frame(kind, tables), **curve)
    lines = [
        np.array(line.get_xydata())
        for ax in plots.figure(tables[kind]).axes
        for line in ax.get_lines()
    ]
    expected = np.stack([mark.x, mark.y], axis=1)
    same = [
        line.shape == expected.shape and np.allclose(line, expected, rtol=1e-12)
        for line in lines
    ]
    assert any(same)


# --- what each kind says -------------------------------------------------------------


def test_the_worst_distance_is_the_largest_and_the_fit_is_its_slope(tables):
    marks = frame("distance", tables)
    values = tables["distance"].distance.sel(training="flow")
    for exponent, slope in ((1.0, 1.0), (3.0, 1.5)):
        name = f"{exponent:g}"
        worst = one(marks, series=name, role="worst")
        largest = values.sel(exponent=exponent).max("seed")
        np.testing.assert_array_equal(worst.y, largest)
        assert one(marks, series=name, role="fit").x == pytest.approx([slope])


def test_guides_of_the_distance_are_the_closed_forms(tables):
    marks = frame("distance", tables)
    floor = one(marks, series="1", role="guide")
    assert floor.y.tolist() == [0.02, 0.02]
    sampling = _panels.pick(marks, series="3", role="guide")
    for guide, rows in zip(sampling, (30, 5), strict=True):
        by_hand = [2 * noise / np.sqrt(3 * rows) for noise in (0.05, 0.1, 0.2, 0.4)]
        np.testing.assert_allclose(guide.y, by_hand, rtol=1e-12)
    whole = tables["distance"].assign_attrs(rows_per_cluster=30)
    assert len(_panels.pick(_frames.distance(whole), series="3", role="guide")) == 1
    for given, names in ((tables["distance"], ("30", "5")), (whole, ("30",))):
        [ax] = plots.figure(given.assign_attrs(plot="distance")).axes
        texts = {
            t.get_text(): t.get_position() for t in ax.texts if "$N=" in t.get_text()
        }
        assert len(texts) == len(names)
        for text, rows in zip(texts, names, strict=True):
            assert f"$N={rows}$" in text
            # A label stands below the left end of its own guide.
            assert texts[text][1] == pytest.approx(0.64 * 0.1 / np.sqrt(3 * int(rows)))
    bare = tables["distance"].copy()
    bare.attrs.clear()
    assert not _panels.pick(_frames.distance(bare), role="guide")


def test_many_noises_are_labelled_at_round_numbers_only(tables):
    noise = np.linspace(0.01, 0.3, 15)
    many = tables["distance"].isel(noise=np.arange(15) % 4)
    many = many.assign_coords(noise=noise).assign_attrs(plot="distance")
    [ax] = plots.figure(many).axes
    assert ax.get_xticks().tolist() == pytest.approx(
        [0.01, 0.02, 0.03, 0.05, 0.1, 0.2, 0.3]
    )


def test_a_search_that_was_not_run_is_not_drawn(tables):
    with_paper = {mark.series for mark in frame("distance", tables)}
    without = _frames.distance(tables["distance"].drop_vars("paper_distance"))
    assert with_paper - {mark.series for mark in without} == {"1 paper", "3 paper"}


def test_contributions_fall_from_one(tables):
    for mark in frame("contributions", tables):
        assert mark.y[0] == 1.0
        assert np.all(np.diff(mark.y) <= 0)
        np.testing.assert_array_equal(mark.x, np.arange(1, 25))


def test_cosine_maps_keep_the_neurons_that_count_and_their_cosines(tables):
    data, marks = tables["cosine_map"], frame("cosine_map", tables)
    for exponent, count in ((1.0, 8), (3.0, 5)):
        rows = _panels.pick(marks, panel=f"{exponent:g} flow")
        amplitude = one(rows, series="amplitude")
        assert len(amplitude.y) == count
        part = data.sel(exponent=exponent, training="flow")
        columns = {
            float(a): part.cosine.values[:, j]
            for j, a in enumerate(part.amplitude.values)
            if not np.isnan(a)
        }
        drawn = np.array([mark.y for mark in rows if mark is not amplitude])
        for place, size in enumerate(amplitude.y):
            np.testing.assert_array_equal(drawn[:, place], columns[float(size)])


def test_ties_of_the_cosine_map_do_not_depend_on_rounding(tables):
    data = tables["cosine_map"]
    rng = np.random.default_rng(0)
    noise = 1e-9 * rng.standard_normal(data.cosine.shape)
    before, after = (
        [one(_frames.cosine_map(d), panel="1 flow", series="amplitude").y]
        for d in (data, data.assign(cosine=data.cosine + noise))
    )
    np.testing.assert_array_equal(before, after)


def test_the_interval_of_robust_accuracy_lies_between_its_ends(tables):
    marks = frame("robust_accuracy", tables)
    for panel in ("1 flow", "3 flow", "3 sgd"):
        band = one(marks, panel=panel, series="interval")
        ends = [
            one(marks, panel=panel, series=name, role="median").y
            for name in ("certified", "upper")
        ]
        np.testing.assert_array_equal([band.y, band.upper], ends)
        assert np.all(band.y <= band.upper)
        worst = one(marks, panel=panel, series="paper", role="worst")
        seeds = _panels.pick(marks, panel=panel, series="paper", role="seed")
        np.testing.assert_array_equal(worst.y, np.min([m.y for m in seeds], axis=0))


def test_an_attack_run_at_some_radii_is_drawn_at_those(tables):
    data = tables["robust_accuracy"].copy(deep=True)
    slow = data.accuracy.sel(curve="paper")
    slow[dict(radius=slice(1, None, 2))] = np.nan
    marks = _frames.robust_accuracy(data)
    drawn = one(marks, panel="1 flow", series="paper", role="median")
    np.testing.assert_array_equal(drawn.x, data.radius[::2])
    assert np.all(np.isfinite(drawn.y))


def test_widths_show_the_weakest_certificate_and_the_medians_between(tables):
    data, marks = tables["widths"], frame("widths", tables)
    for noise in data.noise.values:
        part = data.sel(exponent=3.0, noise=noise)
        family = _panels.pick(marks, panel="radius 3", series=f"{noise:g}")
        worst, band = one(family, role="worst"), one(family, role="band")
        np.testing.assert_array_equal(worst.y, part.radius_lower.min("seed"))
        np.testing.assert_allclose(band.y, part.radius_lower.median("seed"))
        np.testing.assert_allclose(band.upper, part.radius_upper.median("seed"))
        assert not _panels.pick(marks, panel="amplitude 3", role="worst")


def test_the_slope_over_scales_is_by_the_decade(tables):
    marks = frame("scales", tables)
    # The table moves by 1e-3 and 1e-4 a decade; the median of its two seeds, 1.25.
    for series, slope in (("1", 1.25e-3), ("3", 1.25e-4)):
        fit = one(marks, panel="scales", series=series, role="fit")
        assert fit.x == pytest.approx([slope])
        assert fit.y == pytest.approx([15 * slope])
    floor = one(marks, panel="scales", series="1", role="guide")
    np.testing.assert_allclose(floor.y, 1.5e-5)
    assert floor.x.tolist() == [1e-3, 1e-15]


def test_digits_have_a_panel_for_each_task(tables):
    marks = frame("digits", tables)
    panels = {mark.panel for mark in marks}
    assert panels == {"accuracy", "stable_rank", "robust parity", "robust class"}
    worst = one(marks, panel="accuracy", series="parity", role="worst")
    least = tables["digits"].accuracy.sel(task="parity").min("seed")
    np.testing.assert_array_equal(worst.y, least)


# --- pieces --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "digits", "kept"),
    [
        (1.23456789, 6, 1.23457),
        (1.23456789e-12, 3, 1.23e-12),
        (np.nan, 6, None),
        (np.inf, 6, None),
    ],
)
def test_numbers_of_a_table_are_rounded_to_digits(value, digits, kept):
    mark = Mark("p", "s", "seed", np.array([1.0]), np.array([value]))
    assert _frames.table([mark], digits)["y"] == [kept]


@pytest.mark.parametrize(
    ("worst", "edge"), [("max", [3.0, 9.0]), ("min", [1.0, 5.0]), (None, None)]
)
def test_which_end_is_the_bad_one_is_told(worst, edge):
    values = xr.DataArray([[1.0, 3.0, 2.0], [9.0, 5.0, 6.0]], dims=("x", "seed"))
    marks = _frames.over_seeds("p", "s", [0, 1], values, worst)
    assert one(marks, role="median").y.tolist() == [2.0, 6.0]
    found = [mark.y.tolist() for mark in marks if mark.role == "worst"]
    assert found == ([] if edge is None else [edge])


def test_marks_are_picked_by_every_word_given():
    marks = [
        Mark(panel, series, "seed", np.zeros(1), np.zeros(1))
        for panel in "ab"
        for series in "cd"
    ]
    assert len(_panels.pick(marks, panel="a")) == 2
    assert _panels.pick(marks, panel="a", series="d") == [marks[1]]
    assert _panels.pick(marks, role="median") == []


@pytest.mark.parametrize(
    ("role", "lines", "bands"),
    [("seed", 1, 0), ("median", 1, 0), ("worst", 1, 0), ("band", 0, 1), ("fit", 0, 0)],
)
def test_only_curves_and_bands_are_drawn_as_such(role, lines, bands):
    ax = style.new_figure(2.0, 2.0).add_subplot()
    upper = np.ones(2) if role == "band" else None
    mark = Mark("p", "s", role, np.arange(2.0), np.zeros(2), upper)
    _panels.curves(ax, [mark], style.BLUE)
    assert (len(ax.get_lines()), len(ax.collections)) == (lines, bands)


def test_shades_lead_to_the_full_colour_and_get_darker():
    tints = np.array(style.shades("#0072B2", 4))
    np.testing.assert_allclose(tints[-1], np.array([0, 0x72, 0xB2]) / 255)
    assert np.all(np.diff(tints.sum(axis=1)) < 0)
    assert style.shades("#0072B2", 1) == [tuple(tints[-1])]


def test_exponents_keep_their_colour_across_figures():
    known = [style.exponent_colour(p) for p in (1.0, 2.0, 3.0, 4.0)]
    assert len(set(known)) == 4
    assert style.exponent_colour(np.float64(3.0)) == known[2]
    assert style.exponent_colour(2.5) == style.BLACK


def test_panels_are_lettered_in_reading_order():
    axes = list(style.new_figure(4.0, 2.0).subplots(1, 3))
    style.letter_panels(axes, ["one", "two", "three"])
    titles = [ax.get_title() for ax in axes]
    assert [title[-5:].strip() for title in titles] == ["one", "two", "three"]
    assert all(f"{{{c}}}" in title for c, title in zip("abc", titles, strict=True))
    with pytest.raises(ValueError, match="zip"):
        style.letter_panels(axes, ["too few"])


def test_a_figure_is_redrawn_where_it_is_asked(tables, tmp_path):
    path = tmp_path / "study" / "data" / "mine.nc"
    path.parent.mkdir(parents=True)
    tables["contributions"].to_netcdf(path, engine="h5netcdf")
    written = plots.draw(path, tmp_path / "elsewhere")
    assert [p.relative_to(tmp_path).as_posix() for p in written] == [
        "elsewhere/mine.pdf",
        "elsewhere/mine.png",
    ]
    assert all(p.is_file() for p in written)


def test_a_file_that_names_no_plot_is_a_user_error(tables, tmp_path):
    path = tmp_path / "table.nc"
    data = tables["contributions"].copy()
    del data.attrs["plot"]
    data.to_netcdf(path, engine="h5netcdf")
    with pytest.raises(InputError, match="plot=None"):
        plots.draw(path)
