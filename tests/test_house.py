"""The layout of the house: imports go downwards and in no circle, modules stay small enough to read."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "phi4r_lib"
# Each room may import itself and the rooms listed behind it.
BELOW = {
    "problems": set(),
    "models": {"problems"},
    "worlds": {"problems", "models"},
    "curate": {"problems", "models"},
    "train": {"problems", "models"},
    "measure": {"problems", "models"},
    "cookbook": {"problems", "models", "curate", "train", "measure"},
}
MODULES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
    for path in sorted(PACKAGE.rglob("*.py"))
}


def imported(path: Path) -> set[str]:
    """Modules of the package that a file imports, anywhere in it."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("phi4r_lib"):
            names = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= {name if name in MODULES else node.module for name in names}
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names if alias.name.startswith("phi4r_lib")}
    return found


GRAPH = {name: imported(path) - {name} for name, path in MODULES.items()}


def test_every_import_names_a_module_that_exists():
    beside = [path for folder in ("tests", "benchmarks") for path in (ROOT / folder).rglob("*.py")]
    assert {target for targets in (*GRAPH.values(), *map(imported, beside)) for target in targets} <= set(MODULES)


@pytest.mark.parametrize("room", BELOW)
def test_imports_go_downwards(room):
    allowed = BELOW[room] | {room}
    upward = {
        f"{name} imports {target}"
        for name, targets in GRAPH.items()
        if name.startswith(f"phi4r_lib.{room}")
        for target in targets
        if target != "phi4r_lib" and target.split(".")[1] not in allowed
    }
    assert not upward


def test_no_imports_in_a_circle():
    done: set[str] = set()

    def visit(name: str, path: tuple[str, ...]) -> None:
        assert name not in path, " -> ".join((*path[path.index(name) :], name))
        if name not in done:
            for target in GRAPH[name]:
                visit(target, (*path, name))
            done.add(name)

    for name in GRAPH:
        visit(name, ())


def test_modules_are_at_most_350_lines():
    long = {
        name: count for name, path in MODULES.items() if (count := path.read_text(encoding="utf-8").count("\n")) > 350
    }
    assert not long


def test_a_room_is_known():
    assert {path.name for path in PACKAGE.iterdir() if (path / "__init__.py").exists()} == set(BELOW)


def place(module: str) -> str:
    """The room of the cookbook that a module stands in, or the module itself at its door."""
    path = MODULES[module]
    return path.parent.name if path.parent.parent.name == "cookbook" else path.stem


def test_no_rooms_of_the_cookbook_in_a_circle():
    inside = {name: targets for name, targets in GRAPH.items() if name.startswith("phi4r_lib.cookbook.")}
    above: dict[str, set[str]] = {place(name): set() for name in inside}
    for name, targets in inside.items():
        above[place(name)] |= {place(target) for target in targets if target in inside} - {place(name)}
    while free := {name for name, below in above.items() if not below & set(above)}:
        above = {name: below for name, below in above.items() if name not in free}
    assert not above


@pytest.mark.parametrize(
    "path", sorted((PACKAGE / "cookbook").glob("**/__init__.py")), ids=lambda path: path.parent.name
)
def test_a_room_of_the_cookbook_says_its_idea_and_nothing_else(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    assert ast.get_docstring(tree) and len(tree.body) == 1
