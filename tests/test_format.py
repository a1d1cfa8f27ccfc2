import pytest

from jaxbias._format import brief


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.70712, "0.7071"),
        ([0.5, 0.70712], "0.5 .. 0.7071"),
        ([[0.5, 0.5], [0.5]], "0.5"),
        (["a", None, "a"], "a, -"),
        ([float("nan"), 1.0, None, 2], "1 .. 2, 2 missing"),
        ([None, None], "-"),
        ({"holds": 3}, "holds 3"),
        (7, "7"),
        ([], "-"),
    ],
)
def test_numbers_are_short(value, text):
    assert brief(value) == text
