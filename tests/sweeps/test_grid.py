import dataclasses
import subprocess
import sys

import numpy as np
import pytest

from jaxbias import losses
from jaxbias._checks import InputError
from jaxbias.networks import PReLU, ReLU, balanced
from jaxbias.sweeps import grid


def test_lists_ranges_and_logarithmic_ranges():
    over = grid.parse_over(
        ["width=32,128,512", " noise = 0.05:0.3:6", "scale=1e-7:1e-3:5:log"]
    )
    assert over["width"] == [32, 128, 512]
    assert all(isinstance(w, int) for w in over["width"])
    np.testing.assert_allclose(over["noise"], [0.05, 0.1, 0.15, 0.2, 0.25, 0.3])
    np.testing.assert_allclose(over["scale"], [1e-7, 1e-6, 1e-5, 1e-4, 1e-3])
    assert grid.parse_over(["sizes=random", "rotated=true,False", "classes=none"]) == {
        "sizes": ["random"],
        "rotated": [True, False],
        "classes": [None],
    }


@pytest.mark.parametrize(
    "text",
    [
        "width",
        "width=",
        "=3",
        "width=1,,2",
        "noise=0.1:0.3",
        "noise=0.1:0.3:1",
        "noise=0.1:0.3:1000000000000",
        "noise=0,1:0,3:4",
        "noise=0.1:0.3:2.5",
        "noise=0.1:0.3:4:lin",
        "noise=a:b:3",
        "noise=0.1:inf:3",
        "scale=0:1:4:log",
        "scale=true:1:4",
    ],
)
def test_bad_syntax_shows_what_would_work(text):
    with pytest.raises(InputError, match="Try width=32,128,512"):
        grid.parse_over([text])


@pytest.mark.parametrize(
    ("text", "fix"),
    [
        ("noise=0,05", "noise=0.05"),
        ("scale=1,-07", "scale=0.05,0.1"),
        ("noise=0.05,05", "noise=0.05,0.1"),
        ("noise=0,05,0,1", "noise=0.05,0.1"),
        ("noise=00", "noise=0.05,0.1"),
    ],
)
def test_a_decimal_comma_is_not_two_values(text, fix):
    with pytest.raises(InputError, match="decimal comma") as caught:
        grid.parse_over([text])
    assert caught.value.fix == fix


@pytest.mark.parametrize(
    ("text", "fix"),
    [
        ("noise=0,15", "noise=0.15 or noise=0.0,15.0"),
        ("noise=0,5", "noise=0.5 or noise=0.0,5.0"),
        ("data.noise=1,5", "data.noise=1.5 or data.noise=1.0,5.0"),
        ("scale=1,5e-7", "scale=1.5e-7 or scale=1.0,5e-7"),
        ("noise=0,15,1,5", "noise=0.15,1.5 or noise=0.0,15.0,1.0,5.0"),
    ],
)
def test_two_whole_numbers_of_a_fractional_field_are_a_question(flow, text, fix):
    with pytest.raises(InputError, match="one with a decimal comma") as caught:
        grid.no_decimal_commas(flow, [text])
    assert caught.value.fix == fix
    for way in fix.split(" or "):
        grid.no_decimal_commas(flow, [way])
        assert grid.resolve_axes(flow, grid.parse_over([way]))


@pytest.mark.parametrize(
    "text",
    ["width=2,3", "noise=0.05,0.1", "noise=0,0.5", "noise=1,2,3", "noise=0,1,2,3"],
)
def test_lists_that_no_decimal_comma_makes_pass(flow, text):
    grid.no_decimal_commas(flow, [text, "noise=0.05:0.3:6"])


@pytest.mark.parametrize("over", ["width=8", None, [("width", [8])], {3: [8]}])
def test_axes_are_a_dictionary(over):
    with pytest.raises(InputError, match="axes are a dictionary"):
        grid.named_axes(over)


def test_numbers_that_begin_with_nought_are_fine():
    assert grid.parse_over(["noise=0,0.5"]) == {"noise": [0, 0.5]}
    assert grid.parse_over(["width=10,100"]) == {"width": [10, 100]}


def test_whole_numbers_keep_their_digits(flow):
    (axis,) = grid.resolve_axes(flow, {"width": [2**31 - 1, 2.0]})
    assert axis.values == (2**31 - 1, 2)
    odd = 2**53 + 1
    assert grid._cast("width", odd, 4) == odd
    with pytest.raises(InputError, match="whole number"):
        grid._cast("width", 10**400, 4)


def test_an_axis_given_twice():
    with pytest.raises(InputError, match="given twice"):
        grid.parse_over(["width=3", "width=4"])


def test_shards_and_seeds():
    assert grid.parse_shard(None) == (0, 1)
    assert grid.parse_shard("2/3") == grid.parse_shard((2, 3)) == (1, 3)
    assert grid.seed_list(3) == (0, 1, 2)
    assert grid.seed_list(range(100, 103)) == (100, 101, 102)
    assert grid.seed_list(np.array([7, 5])) == (7, 5)
    for bad in ("0/3", "4/3", "2", "a/b", "1/2/3"):
        with pytest.raises(InputError, match="shard="):
            grid.parse_shard(bad)
    wrong = [0, [], [1, 1], [-1], [2**32], [1.5], 3.0, 10**20, [True], None, "3"]
    wrong += [np.array(3), np.ma.masked_array([1, 2], [0, 1]), range(10**12)]
    for bad in wrong:
        with pytest.raises(InputError, match="^seeds"):
            grid.seed_list(bad)


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("width", "network.width"),
        ("noise", "data.noise"),
        ("scale", "network.init.scale"),
        ("samples", "samples"),
        ("dim", "data.dim"),
        ("loss", "loss"),
        ("activation", "network.activation"),
        ("init.scale", "network.init.scale"),
        ("network.width", "network.width"),
    ],
)
def test_a_bare_name_finds_its_field(flow, name, path):
    assert grid.resolve_path(flow, name) == path


def test_a_name_without_a_field_lists_them(flow):
    with pytest.raises(InputError, match=r"data\.noise.*Try 'width'"):
        grid.resolve_path(flow, "widht")
    with pytest.raises(InputError, match="no field has that name"):
        grid.resolve_path(flow, "exponent")


def test_the_exponent_of_an_activation_that_has_one(cubic):
    axes = grid.resolve_axes(cubic, {"exponent": [1, 2.5]})
    assert axes[0].path == "network.activation.exponent"
    found = [here.network.activation for _, here in grid.points(cubic, axes)]
    assert found == [PReLU(1), PReLU(2.5)]


@dataclasses.dataclass(frozen=True)
class Left:
    size: int = 1


@dataclasses.dataclass(frozen=True)
class Both:
    left: Left = Left()
    right: Left = Left()


def test_a_name_with_two_fields_lists_both():
    with pytest.raises(InputError, match=r"'left\.size' or 'right\.size'"):
        grid.resolve_path(Both(), "size")
    assert grid.resolve_path(Both(), "right.size") == "right.size"


def test_points_are_the_product_with_the_first_axis_outside(flow):
    axes = grid.resolve_axes(flow, {"width": [4, 8.0], "noise": [0, 0.5]})
    found = grid.points(flow, axes)
    assert [values for values, _ in found] == [(4, 0.0), (4, 0.5), (8, 0.0), (8, 0.5)]
    assert [(f.network.width, f.data.noise) for _, f in found] == [v for v, _ in found]
    assert isinstance(found[2][1].network.width, int)
    assert flow.network.width == 64


def test_objects_and_registered_names_are_values(flow):
    axes = grid.resolve_axes(
        flow,
        {
            "loss": ["logistic", losses.exponential],
            "activation": [ReLU(), PReLU(3)],
            "init": [balanced(1e-3), balanced(1e-5)],
        },
        taken={"loss", "init", "network_init"},
    )
    names = ["axis_loss", "activation", "axis_network_init"]
    assert [axis.name for axis in axes] == names
    assert axes[0].values == (losses.logistic, losses.exponential)
    assert axes[0].labels() == ["logistic", "exponential"]
    assert axes[1].labels()[1] == repr(PReLU(3))


@pytest.mark.parametrize(
    ("over", "message"),
    [
        ({"width": [4.5]}, "holds a whole number"),
        ({"width": ["wide"]}, "holds a whole number"),
        ({"width": [True]}, "holds a whole number"),
        ({"noise": ["loud"]}, "holds a number"),
        ({"rotated": [3]}, "holds a bool"),
        ({"sizes": [3]}, "holds a str"),
        ({"activation": [3]}, "holds a Activation"),
        ({"loss": ["hinge"]}, "loss='hinge'"),
        ({"width": []}, "at least one value"),
        ({"width": 5}, "at least one value"),
        ({"width": [5, 5.0]}, "same runs twice"),
        ({"width": [5], "network.width": [6]}, "swept already"),
    ],
)
def test_bad_values(flow, over, message):
    with pytest.raises(InputError, match=message):
        grid.resolve_axes(flow, over)


@pytest.mark.parametrize("over", [{"width": [0]}, {"noise": [-1.0]}, {"dim": [2]}])
def test_the_flow_refuses_points_it_cannot_have(flow, over):
    with pytest.raises(InputError):
        grid.points(flow, grid.resolve_axes(flow, over))


def test_parsing_never_loads_jax():
    code = (
        "import sys; from jaxbias.sweeps import parse_over; parse_over(['width=3']);"
        "print('jax' in sys.modules)"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert run.stdout.strip() == "False", run.stderr
