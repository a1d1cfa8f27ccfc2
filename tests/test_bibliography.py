"""Every source the package names has an entry, and entries are found by it."""

import types

import pytest
import xarray as xr

from jaxbias._checks import InputError
from jaxbias.citations import cite, keys_in, references
from jaxbias.verification import ledger


@pytest.mark.parametrize("name", sorted({c.source.key for c in ledger().values()}))
def test_sources_of_claims_are_cited_by_key_claim_and_verdict(name):
    entry = references()[name]
    claim = next(c for c in ledger().values() if c.source.key == name)
    assert cite(name) == entry
    assert entry in cite(claim)
    assert entry in cite(types.SimpleNamespace(source=claim.source))


def test_keys_are_their_own_and_single():
    for key, entry in references().items():
        assert entry.splitlines()[0].endswith(f"{{{key},")
        assert keys_in(key) == [key]


@pytest.mark.parametrize(
    ("text", "keys"),
    [
        ("", []),
        ("nothing of the kind", []),
        ("frei-2023", ["frei-2023"]),
        ("frei-2023, frei-2023", ["frei-2023"]),
        ("frei-2023/theorem and lyu-li-2020", ["frei-2023", "lyu-li-2020"]),
        ("lyu-li-2020 before frei-2023", ["lyu-li-2020", "frei-2023"]),
        ("frei-2023b", []),
        ("old-frei-2023", []),
    ],
)
def test_keys_of_a_text_in_its_order(text, keys):
    assert keys_in(text) == keys


def test_a_table_is_cited_by_its_attributes():
    table = xr.Dataset(attrs={"rests on": "lyu-li-2020", "spec": "min-vidal-2024/x"})
    assert cite(table).split("\n\n") == [
        references()["lyu-li-2020"],
        references()["min-vidal-2024"],
    ]
    with pytest.raises(InputError):
        cite(xr.Dataset(attrs={"rests on": "none"}))


def test_the_package_cites_itself_unasked():
    assert cite() == references()["jaxbias"]


@pytest.mark.parametrize(
    ("slip", "meant"),
    [("min-vidal-2024x/lemma", "min-vidal-2024"), ("lyu-2020", "lyu-li-2020")],
)
def test_a_slip_in_a_key_names_the_close_one(slip, meant):
    with pytest.raises(InputError) as caught:
        cite(slip)
    assert meant in caught.value.fix
