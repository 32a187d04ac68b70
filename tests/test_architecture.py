"""The plan of the house: who may import whom, and what stays free of torch."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import harness
from harness.environment import sources

PACKAGE = Path(harness.__file__).parent
FLOORS = (
    ("capabilities", "errors", "kinds", "records", "text"),
    ("forms", "registry", "samples", "statistics"),
    ("config", "environment"),
    ("artifacts", "clusters", "datasets", "measurements"),
    ("criteria", "subjects"),
    ("attributions", "ci", "console", "engines", "figures", "history"),
    ("judging", "processes", "runs"),
    ("checks", "pipeline", "report"),
    ("warming",),
    ("blaming", "nightly", "studio", "sweeps"),
    ("cli",),
)
FLOOR = {module: number for number, modules in enumerate(FLOORS) for module in modules}
WITH_TORCH = ("attributions", "blaming", "pipeline", "studio", "subjects")
"""What computes; all else is entered without torch, and so is the door of the pipeline."""

ONLY_IMPORTER = {
    "matplotlib": {"figures"},
    "PIL": {"datasets", "figures"},
    "jinja2": {"report"},
    "seaborn": {"figures"},
}


def module_of(path: Path) -> str:
    """The module, or the package of a floor, that a file belongs to."""
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imports(path: Path) -> set[str]:
    """The dotted names a module imports when it runs, those for type checkers alone left out."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    typed_only = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"
        for inner in ast.walk(node)
    }
    found: set[str] = set()
    for node in ast.walk(tree):
        if id(node) in typed_only:
            continue
        if isinstance(node, ast.Import):
            found |= {name.name for name in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path.name}: imports are absolute"
            found.add(str(node.module))
            found |= {f"{node.module}.{name.name}" for name in node.names}
    return found


FILES = sorted(path for path in PACKAGE.rglob("*.py") if path.parent != PACKAGE or path.stem[0] != "_")
MODULES = sorted({module_of(path) for path in FILES})


def test_every_module_has_its_floor() -> None:
    """No module is without a place in the plan, and the plan names none that is not there."""
    assert set(MODULES) == set(FLOOR)


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_go_downward(path: Path) -> None:
    """A module imports only from its own room, and from rooms on floors below."""
    module = module_of(path)
    for name in imports(path):
        parts = name.split(".")
        if parts[0] != "harness" or len(parts) == 1 or parts[1] not in FLOOR:
            continue
        assert FLOOR[parts[1]] < FLOOR[module] or parts[1] == module, f"{module} imports {parts[1]}"


def test_no_module_needs_itself() -> None:
    """Inside a room, too, imports go one way, those at a call among them."""
    dotted = {path: ".".join(("harness", *path.relative_to(PACKAGE).with_suffix("").parts)) for path in FILES}
    names = {path: name.removesuffix(".__init__") for path, name in dotted.items()}
    needs = {name: imports(path) & set(names.values()) - {name} for path, name in names.items()}
    for name, needed in needs.items():
        # `from harness.room import module` is the module, and not what stands in the room's own file
        needs[name] = {one for one in needed if not any(other.startswith(f"{one}.") for other in needed)}
    assert list(TopologicalSorter(needs).static_order())


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_one_module_draws_and_one_renders(path: Path) -> None:
    """Matplotlib and seaborn are imported by figures alone, Pillow by it and what reads, jinja2 by report."""
    roots = {name.split(".")[0] for name in imports(path)}
    for package, allowed in ONLY_IMPORTER.items():
        assert package not in roots or module_of(path) in allowed


def test_judging_and_rendering_never_import_torch() -> None:
    """All that works on a run directory, or begins one, loads without torch, and without pandas and scipy."""
    entered = [path for path in FILES if module_of(path) not in WITH_TORCH]
    dotted = [".".join(path.relative_to(PACKAGE).with_suffix("").parts) for path in entered]
    names = ", ".join(f"harness.{name.removesuffix('.__init__')}" for name in (*dotted, "pipeline"))
    heavy = ("torch", "torchvision", "pandas", "scipy", "seaborn")
    code = f"import sys, {names}; sys.exit(any(name in sys.modules for name in {heavy}))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.thorough
def test_what_computes_imports_nothing_that_its_digest_leaves_out() -> None:
    """A module whose source has no part in the digest of what computes is not loaded by it."""
    stages = [f"harness.pipeline.{path.stem}" for path in (PACKAGE / "pipeline").glob("*.py")]
    left_out = [f"harness.{name.replace('/', '.')}" for name in sources.ONLY_SHOWING]
    code = f"import sys, {', '.join(stages)}; print(*sys.modules)".replace(".__init__", "")
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    loaded = set(done.stdout.split())
    assert "harness.pipeline.networks" in loaded
    assert not loaded & set(left_out)


def test_help_imports_nothing_heavy() -> None:
    """The command's help loads neither numpy nor torch, pandas or matplotlib."""
    code = (
        "import sys, harness.cli; "
        "sys.exit(any(name in sys.modules for name in ('numpy', 'torch', 'pandas', 'matplotlib')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_every_module_has_tests(path: Path) -> None:
    """`harness/x.py` has its tests in `tests/test_x.py`; a room's, there or in `tests/test_room_x.py`."""
    there = {one.stem.removeprefix("test_") for one in Path(__file__).parent.glob("test_*.py")}
    parts = [part for part in path.relative_to(PACKAGE).with_suffix("").parts if part != "__init__"]
    names = {"_".join(parts[: end + 1]) for end in range(len(parts))}
    assert names & (there | {"errors"}) or path.stem == "__init__"


def test_no_module_outgrows_its_screen() -> None:
    """No module passes 400 lines: past that a second reason to exist hides in it."""
    for path in FILES:
        assert len(path.read_text(encoding="utf-8").splitlines()) <= 400, path.name


def test_the_map_of_the_house_has_every_room() -> None:
    """CONTRIBUTING names each module and folder of the package, and none that is not there."""
    page = (PACKAGE.parent / "CONTRIBUTING.md").read_text(encoding="utf-8")
    table = page.partition("| room of")[2].partition("\n\n")[0]
    told = set(re.findall(r"`(\w+)/?`", "".join(row.split("|")[1] for row in table.splitlines()[2:])))
    rooms = {path.name.removesuffix(".py") for path in PACKAGE.iterdir() if not path.name.startswith("_")}
    assert told == rooms - {"py.typed"}


def test_no_module_takes_the_place_of_a_name_of_its_room() -> None:
    """A module becomes an attribute of its package once imported: a function of that name is gone then."""
    for room in PACKAGE.rglob("__init__.py"):
        tree = ast.parse(room.read_text(encoding="utf-8"))
        names = {one.name for one in tree.body if isinstance(one, ast.FunctionDef | ast.ClassDef)}
        names |= {
            name.id
            for one in tree.body
            if isinstance(one, ast.Assign | ast.AnnAssign)
            for name in ast.walk(one)
            if isinstance(name, ast.Name) and isinstance(name.ctx, ast.Store)
        }
        modules = {path.stem for path in room.parent.iterdir() if path.suffix == ".py" or path.is_dir()}
        assert names & modules == set(), room
