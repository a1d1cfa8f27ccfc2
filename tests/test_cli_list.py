"""What `jaxbias list` shows: a screen by default, each kind by name and by prefix."""

import json
import re

import pytest

from jaxbias import cli, cli_list


def said(capsys, *words):
    assert cli.main(["list", *words]) == 0
    return capsys.readouterr().out


def names(kind):
    return [e["id" if kind == "claims" else "name"] for e in cli_list.index()[kind]]


def test_by_default_it_fits_on_a_screen_and_counts_everything(capsys):
    text = said(capsys)
    assert len(text.splitlines()) <= 25
    assert max(map(len, text.splitlines())) <= 100
    for kind in cli_list.index():
        assert f"{len(names(kind))} {kind} (jaxbias list {kind})" in text
    counts = {s: int(n) for s, n in re.findall(r"^  (\S+)/: (\d+)$", text, re.M)}
    assert sum(counts.values()) == len(names("claims")) + len(names("figures"))
    for source, count in counts.items():
        every = [*names("claims"), *names("figures")]
        assert sum(name.startswith(f"{source}/") for name in every) == count


@pytest.mark.parametrize("kind", ["studies", "claims", "figures", "benchmarks"])
def test_each_kind_is_listed_whole(kind, capsys):
    text = said(capsys, kind)
    first = [line.split()[0] for line in text.splitlines() if line.strip()]
    assert [word for word in first if word in names(kind)] == names(kind)
    assert json.loads(said(capsys, kind, "--json")) == cli_list.index()[kind]


def test_all_claims_take_a_line_each(capsys):
    lines = [line for line in said(capsys, "claims").splitlines() if line.strip()]
    # Beside the claims a title, the columns and a rule.
    assert len(lines) == len(names("claims")) + 3


def test_everything_in_one_document(capsys):
    assert json.loads(said(capsys, "--json")) == cli_list.index()


@pytest.mark.parametrize(
    ("kind", "prefix"),
    [
        ("claims", "min-vidal-2025/"),
        ("claims", "min-vidal-2025"),
        ("claims", "jaxbias/radius-law"),
        ("claims", "lyu-li-2020/t"),
        ("figures", "feature_averaging/"),
        ("benchmarks", "radius"),
        ("studies", "neuron"),
    ],
)
def test_a_prefix_chooses(kind, prefix, capsys):
    chosen = json.loads(said(capsys, kind, prefix, "--json"))
    wanted = [name for name in names(kind) if name.startswith(prefix)]
    assert [e["id" if kind == "claims" else "name"] for e in chosen] == wanted != []


def test_a_study_chooses_its_claims_and_statements_are_shown(capsys):
    found = json.loads(said(capsys, "claims", "feature_averaging", "--json"))
    every = [e for e in cli_list.index()["claims"] if e["study"] == "feature_averaging"]
    assert found == every != []
    text = said(capsys, "claims", "min-vidal-2025/proposition-1")
    assert "No classifier has robust error below min(K1, K2)/K" in text


@pytest.mark.parametrize(
    ("words", "helps"),
    [
        ("claims min-vidal-2027", "jaxbias list claims min-vidal-2025"),
        ("claims proposition-1", "jaxbias list claims min-vidal-2025/proposition-1"),
        ("claims neuron_aligment", "jaxbias list claims neuron_alignment"),
        ("claims ###", "Try jaxbias list claims."),
        ("figures neuron_aligment", "jaxbias list figures neuron_alignment"),
        ("studies alignment", "jaxbias list studies neuron_alignment"),
        ("benchmarks X-p1", "jaxbias list benchmarks S-p1"),
        ("clams", "jaxbias list claims"),
        ("min-vidal-2025", "jaxbias list claims min-vidal-2025"),
        ("neuron_alignment", "jaxbias list studies neuron_alignment"),
        ("###", "Try jaxbias list claims."),
    ],
)
def test_what_is_not_listed_gets_one_line_that_helps(words, helps, capsys):
    assert cli.main(["list", *words.split()]) == 2
    heard = capsys.readouterr()
    assert heard.out == ""
    assert heard.err.count("\n") == 1
    assert helps in heard.err
