"""Imports only point down the floors of the building, and stay in the right rooms."""

import ast
import pathlib
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).parents[1]
PACKAGE = ROOT / "jaxbias"
FLOORS = [
    {
        "_axes",
        "_checks",
        "_draws",
        "_files",
        "_format",
        "_paths",
        "_precision",
        "citations",
    },
    {"data", "networks", "losses"},
    {"dynamics"},
    {"observables", "robustness"},
    {"theory"},
    {"results"},
    {"plots"},
    {"reports"},
    {"experiments"},
    {"sweeps"},
    {"studies", "verification", "benchmarks", "verbs"},
    {"cli", "__main__"},
]
FLOOR = {room: height for height, rooms in enumerate(FLOORS) for room in rooms}
EXTRAS = {"tyro", "rich", "plotly", "sklearn", "dask", "distributed"}
EXTRAS |= {"torch", "foolbox"}
DIFFRAX = {"jaxbias.dynamics.reference", "jaxbias.benchmarks.baselines.diffrax_solve"}
PRIVATE_JAX = ("jax._src", "jax.core", "jax.experimental")


def modules() -> dict[str, pathlib.Path]:
    """Every module of the package by its dotted name."""
    found = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        found[".".join(parts).removesuffix(".__init__")] = path
    return found


def imports(source: str, top_level: bool = False) -> set[str]:
    """Dotted names that a module imports, anywhere in it or only when it loads."""
    tree = ast.parse(source)
    nodes = list(ast.walk(tree))
    if top_level:
        inside = {
            child
            for node in nodes
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
            for child in ast.walk(node)
        }
        nodes = [node for node in nodes if node not in inside]
    names = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def room(name: str) -> str | None:
    """The room that a dotted name of this package lies in."""
    parts = name.split(".")
    if parts[0] != "jaxbias" or len(parts) == 1:
        return None
    return "cli" if parts[1].startswith("cli") else parts[1]


def arrows_up(name: str, source: str) -> list[str]:
    """Imports of a module that point to a higher floor than its own."""
    home = room(name)
    if home is None:
        return []
    return [
        f"{name} -> {target}"
        for target in sorted(imports(source))
        if (there := room(target)) is not None
        and FLOOR.get(there, -1) > FLOOR.get(home, -1)
    ]


def test_imports_only_point_down():
    found = modules()
    assert {room(name) for name in found} - {None} <= set(FLOOR), "a room has no floor"
    assert not [a for name, path in found.items() for a in arrows_up(name, _text(path))]


@pytest.mark.parametrize(
    ("home", "source", "caught"),
    [
        ("jaxbias.data.clusters", "from jaxbias.networks import two_layer", False),
        ("jaxbias.sweeps.run", "from jaxbias.results.store import write", False),
        (
            "jaxbias.dynamics.flow",
            "def f():\n    import jaxbias.observables.rank",
            True,
        ),
        ("jaxbias.results.store", "from jaxbias import plots", True),
        ("jaxbias.theory.growth", "from jaxbias.sweeps.run import sweep", True),
        ("jaxbias.sweeps.run", "from jaxbias.verification.run import verify", True),
        ("jaxbias.studies.one", "from jaxbias.cli_tables import table", True),
    ],
)
def test_a_planted_arrow_up_is_caught(home, source, caught):
    assert bool(arrows_up(home, source)) is caught


def test_rooms_keep_what_they_import():
    for name, path in modules().items():
        everywhere = imports(_text(path))
        on_load = {target.split(".")[0] for target in imports(_text(path), True)}
        allowed = {"tyro"} if name == "jaxbias.cli_arguments" else set()
        assert not on_load & EXTRAS - allowed, f"{name} needs an extra on import"
        assert not [t for t in everywhere if t.startswith(PRIVATE_JAX)], name
        if room(name) == "theory":
            outside = {target.split(".")[0] for target in everywhere}
            third = outside - sys.stdlib_module_names - {"jaxbias"}
            assert third <= {"numpy", "scipy", "jaxtyping"}, f"{name} imports {third}"
        if "diffrax" in {target.split(".")[0] for target in everywhere}:
            assert name in DIFFRAX, f"{name} imports diffrax"


def _text(path: pathlib.Path) -> str:
    return path.read_text("utf-8")


def loaded_after(statement: str, packages: tuple[str, ...]) -> list[str]:
    """Which packages a fresh interpreter holds after a statement."""
    probe = (
        f"{statement}\nimport sys\nprint([p for p in {packages!r} if p in sys.modules])"
    )
    answer = subprocess.run(
        [sys.executable, "-c", probe], capture_output=True, text=True, check=True
    )
    return ast.literal_eval(answer.stdout.splitlines()[-1])


def _load_all(prefix: str) -> str:
    return "; ".join(f"import {n}" for n in modules() if room(n) == prefix)


@pytest.mark.parametrize("place", ["results", "plots", "theory", "cli"])
def test_rooms_that_never_load_jax(place):
    assert loaded_after(_load_all(place), ("jax", "flax", "equinox")) == []


def test_the_probe_sees_jax_where_it_is_used():
    assert loaded_after("import jaxbias.losses", ("jax",)) == ["jax"]


def test_listing_the_studies_loads_no_jax():
    statement = "from jaxbias.studies import STUDIES; assert STUDIES"
    assert loaded_after(statement, ("jax",)) == []


def test_the_suite_alone_needs_no_more_than_the_compute_floors():
    needed = "__main__ suite table worker workloads prepared ours".split()
    needed += [f"baselines.{n}" for n in ("torch_recipe", "diffrax_reduced")]
    statement = "; ".join(f"import jaxbias.benchmarks.{name}" for name in needed)
    beyond = ("xarray", "h5netcdf", "matplotlib", "tyro", "torch")
    assert loaded_after(statement, beyond) == []


def test_importing_the_package_has_no_side_effect():
    everything = "\n".join(f"import {name}" for name in modules())
    probe = (
        "import jax\n"
        "before = dict(jax.config.values)\n"
        f"{everything}\n"
        "assert jax.live_arrays() == [], jax.live_arrays()\n"
        "assert jax.config.jax_enable_x64 is False\n"
        "assert dict(jax.config.values) == before\n"
    )
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout == ""
    assert loaded_after("import jaxbias; dir(jaxbias)", ("jax", "numpy")) == []
