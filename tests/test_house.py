"""The rules of the house that a reader cannot check at a glance."""

import pathlib
import re
import statistics
import tomllib

import pytest

ROOT = pathlib.Path(__file__).parents[1]
SOURCES = sorted((ROOT / "jaxbias").rglob("*.py"))


def lines(path: pathlib.Path) -> list[str]:
    return path.read_text("utf-8").splitlines()


def written(paths) -> int:
    """Lines that are not empty."""
    return sum(1 for path in paths for line in lines(path) if line.strip())


def test_modules_are_short():
    lengths = {path.name: len(lines(path)) for path in SOURCES}
    long = {name: length for name, length in lengths.items() if length > 400}
    assert not long, "split these"
    assert statistics.median(length for length in lengths.values() if length) < 150


def test_test_modules_are_named_apart():
    names = [path.name for path in (ROOT / "tests").rglob("test_*.py")]
    assert len(names) == len(set(names)), "pytest imports them by these names"


def test_there_is_no_room_for_leftovers():
    assert not [p for p in SOURCES if p.stem in {"utils", "helpers", "misc", "common"}]


def test_files_are_written_whole():
    """Every file is written by ``_files``, which no reader sees half done."""
    direct = re.compile(r"""\.write_(text|bytes)\(|\.open\(["'][wax]""")
    # The kernel's own switch, not a file.
    kernel = 'Path("/proc/self/clear_refs").write_text("5")'
    found = [
        f"{path.name}:{number}"
        for path in SOURCES
        if path.name != "_files.py"
        for number, line in enumerate(lines(path), 1)
        if direct.search(line) and line.strip() != kernel
    ]
    saved = [p.name for p in SOURCES if ".savefig(" in p.read_text("utf-8")]
    assert (found, saved) == ([], ["style.py"])


def test_annotations_are_not_postponed_where_shapes_are_types():
    postponed = "from __future__ import annotations"
    both = [
        p for p in SOURCES if "jaxtyping" in (t := p.read_text()) and postponed in t
    ]
    assert not both, "jaxtyping needs the annotations themselves"


def test_tests_keep_up_with_the_source():
    tests = sorted((ROOT / "tests").rglob("*.py"))
    assert written(tests) >= 0.6 * written(SOURCES)


def _names(text: str) -> set[str]:
    found = re.findall(r"^([A-Za-z0-9_.-]+)", text, re.MULTILINE)
    return {name.lower().replace("_", "-") for name in found}


@pytest.mark.parametrize("python", ["3.11", "3.12"])
def test_every_dependency_is_pinned_once_for_each_python(python):
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    asked = list(project["dependencies"])
    for extra in project["optional-dependencies"].values():
        asked += [need for need in extra if not need.startswith("jaxbias")]
    pinned = []
    for line in (ROOT / "constraints.txt").read_text().splitlines():
        pin, _, marker = line.partition(";")
        old = '"3.12"' in marker and "<" in marker
        if not line.startswith("#") and (not marker or old is (python == "3.11")):
            assert re.fullmatch(r"[A-Za-z0-9_.-]+==[0-9.]+", pin.strip()), line
            pinned.append(pin.split("==")[0])
    assert len(pinned) == len(set(pinned))
    assert _names("\n".join(asked)) <= set(pinned)


def test_versions_agree():
    import jaxbias

    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    citation = (ROOT / "CITATION.cff").read_text()
    assert project["version"] == jaxbias.__version__
    assert f"\nversion: {jaxbias.__version__}\n" in citation
    assert f"Version {jaxbias.__version__}" in jaxbias.cite("jaxbias")
    assert f"\n## {jaxbias.__version__}" in (ROOT / "CHANGELOG.md").read_text()


def test_the_public_face_is_complete():
    import jaxbias

    for name in jaxbias.__all__:
        assert getattr(jaxbias, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'gradient_flo'"):
        jaxbias.gradient_flo  # noqa: B018


def test_no_batched_lapack_inside_compiled_programs():
    # Two of them in one program wait for each other's threads (jaxlib before 0.11).
    calls = re.compile(r"\bjnp\.linalg\.(?!norm\b)(\w+)|jax\.scipy\.linalg|lax\.linalg")
    found = {
        f"{path.name}: {match[0]}"
        for path in SOURCES
        for match in calls.finditer(path.read_text("utf-8"))
    }
    # One in a program, which no other waits for.
    assert found == {"distance.py: jnp.linalg.qr", "clusters.py: jnp.linalg.qr"}
