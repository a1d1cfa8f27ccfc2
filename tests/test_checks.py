import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxbias._checks import (
    InputError,
    at_least,
    finite_array,
    nonnegative,
    one_of,
    plain_array,
    positive_int,
    unmasked,
)


@pytest.mark.parametrize("value", [0, -3, 2.0, True, "3", np.float64(1), np.array([1])])
def test_counts_are_whole_and_positive(value):
    with pytest.raises(InputError, match="at least 1"):
        positive_int("width", value)


@pytest.mark.parametrize("value", [1, np.int32(7)])
def test_good_counts_pass(value):
    positive_int("width", value)


@pytest.mark.parametrize("value", [2**31, 10**30, np.int64(2**40)])
def test_counts_are_below_2_to_the_31(value):
    positive_int("width", 2**31 - 1)
    with pytest.raises(InputError, match="counts go up to 2,147,483,647"):
        positive_int("width", value)


@pytest.mark.parametrize(
    "value",
    [-1e-9, np.nan, np.inf, "0.1", "0,1", np.array([1.0, 2.0]), 10**400, np.ma.masked],
)
def test_amounts_are_finite_and_nonnegative(value):
    with pytest.raises(InputError, match="noise="):
        nonnegative("noise", value)


@pytest.mark.parametrize(
    ("value", "told"),
    [
        (8.0, "whole number without a point, at least 1. Try width=8."),
        (8.5, "whole number, at least 1. Try width=1."),
        (1e30, "counts go up to 2,147,483,647. Try width=1000."),
        (1j, "whole number, at least 1. Try width=1."),
        (None, "width=None: it counts things"),
        ([8], "whole number, at least 1. Try width=1."),
    ],
)
def test_counts_of_another_kind_are_told_why(value, told):
    with pytest.raises(InputError) as caught:
        positive_int("width", value)
    assert told in str(caught.value)


class Gradient:
    requires_grad = True

    def __float__(self):
        return 0.1


@pytest.mark.parametrize(
    ("value", "told"),
    [
        (None, "noise=None: it must be a finite number of at least 0. Try noise=0."),
        (True, "noise=True"),
        (np.True_, "noise="),
        ([0.1], "noise=[0.1]"),
        (Gradient(), "noise of type Gradient that requires a gradient"),
        (np.ma.masked_array(0.1, True), "noise=masked_array(data=--, mask=True,"),
    ],
)
def test_amounts_are_one_number_and_told_in_one_line(value, told):
    with pytest.raises(InputError) as caught:
        nonnegative("noise", value)
    assert told in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_bound_is_not_offered_where_it_would_not_do():
    with pytest.raises(InputError, match="Try scale=1e-07"):
        at_least("scale", -1, 0.0, fix=1e-7)


def test_the_bound_itself_passes():
    nonnegative("noise", 0)
    at_least("exponent", np.float32(1), 1.0)
    with pytest.raises(InputError, match=r"exponent=0.5: too flat. Try exponent=1"):
        at_least("exponent", 0.5, 1.0, why="too flat")


def test_arrays_are_finite():
    finite_array("inputs", np.ones((2, 3)))
    with pytest.raises(InputError, match="2 entries"):
        finite_array("inputs", np.array([1.0, np.nan, np.inf]))


class Tensor:
    requires_grad = True


HIDDEN = np.ma.masked_array([1.0, 2.0], [False, True])


@pytest.mark.parametrize(
    ("value", "told"),
    [
        (HIDDEN, r"inputs with 1 masked entries.*inputs\[~inputs\.mask\]"),
        ([np.ones(2), HIDDEN], "inputs with 1 masked entries"),
        (Tensor(), r"requires a gradient.*inputs\.detach\(\)"),
    ],
)
def test_arrays_hold_all_there_is(value, told):
    with pytest.raises(InputError, match=told):
        unmasked("inputs", value)
    for whole in (np.ones(3), np.ma.masked_array([1.0]), None):
        unmasked("inputs", whole)


def test_traced_values_pass_through_every_check():
    @jax.jit
    def traced(value):
        positive_int("width", value)
        nonnegative("noise", value)
        finite_array("inputs", value)
        unmasked("inputs", value)
        return value

    assert traced(jnp.array(-1.0)) == -1


def test_a_wrong_name_offers_the_closest():
    one_of("loss", "logistic", ["logistic", "squared"])
    with pytest.raises(InputError, match=r"Try loss='logistic'\.") as caught:
        one_of("loss", "logistik", ["logistic", "squared"])
    assert caught.value.got == "loss='logistik'"


def test_arrays_are_taken_as_they_are_and_traced_ones_are_left_to_jax():
    whole = np.ma.masked_equal([1.0, 2.0], 7.0)
    for given in ([1.0, 2.0], jnp.array([1.0, 2.0]), whole, np.array(["1", "2"])):
        np.testing.assert_array_equal(plain_array("x", given, float), [1.0, 2.0])
    with pytest.raises(jax.errors.TracerArrayConversionError):
        jax.jit(lambda x: plain_array("x", x))(1.0)
