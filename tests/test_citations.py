import types

import pytest
import xarray as xr

from jaxbias._checks import InputError
from jaxbias.citations import cite, keys_in, references


def test_every_entry_is_read_whole():
    for key, entry in references().items():
        assert entry.count("{") == entry.count("}")
        assert entry.count("@") == 1
        for field in ("title = {", "author = {", "year = {"):
            assert field in entry, key


def test_papers_of_the_dossier_have_an_entry():
    assert {"min-vidal-2024", "min-vidal-2025", "li-2025-feature-averaging"} <= set(
        references()
    )
    assert "2405.15942" in cite("min-vidal-2024")


def test_a_key_is_found_whole_or_not_at_all():
    assert keys_in("min-vidal-2025c, section 2") == ["min-vidal-2025c"]
    assert keys_in("min-vidal-2025/theorem-1 and frei-2023") == [
        "min-vidal-2025",
        "frei-2023",
    ]


def test_claims_and_tables_are_cited_through_their_source():
    claim = types.SimpleNamespace(source="lyu-li-2020, theorem 4.1")
    assert cite(claim) == references()["lyu-li-2020"]
    table = types.SimpleNamespace(attrs={"sources": "frei-2023 ji-telgarsky-2020"})
    assert cite(table).count("@inproceedings") == 2


def test_an_unknown_key_offers_the_nearest():
    with pytest.raises(InputError, match="min-vidal-2025"):
        cite("min-vidl-2025")


def test_a_table_is_searched_in_all_its_attributes():
    table = xr.Dataset(attrs={"source": "measured here", "law": "min-vidal-2025"})
    assert "@" in cite(table)
    assert "min-vidal-2025" in cite(table)


def test_a_verdict_cites_the_source_of_its_claim():
    claim = types.SimpleNamespace(source="bogacki-shampine-1989, table 1")
    assert "bogacki" in cite(types.SimpleNamespace(claim=claim)).lower()
