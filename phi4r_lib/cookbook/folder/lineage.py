"""What a stage's results depend on, noted while it reads, and what of that has changed since.

The lineage of a stage is a plain mapping in run.json: {part: {name: mark}} with the parts

- settings: the profile's sections that the notebook looked at (`edge`, `models.base`), not those it left alone;
- data, inputs: files of the repository and artefacts of earlier stages, by content;
- notebook, code: its code cells, and the library modules (and your own) that its kernel loaded, without their comments;
- packages: versions of the packages that this code imports.

Not here: where artefacts lie (run_folder.py) and what to do about a change (runner.py, plan.py).
"""

from __future__ import annotations

import ast
import hashlib
import importlib.util
import sys
import sysconfig
from collections.abc import Callable, Iterable, Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

import phi4r_lib
from phi4r_lib.cookbook.settings.home import home
from phi4r_lib.cookbook.settings.stages import Stage, code_of
from phi4r_lib.problems.fingerprint import file_fingerprint, remembered
from phi4r_lib.problems.fingerprint import fingerprint as mark

Lineage = dict[str, dict[str, str]]
NO_RESULT = ("name", "notebooks", "deadlines")  # keys of a profile that no result depends on
ENTERED = ("data", "models")  # sections that are read entry by entry
# Bytes up to which a file is read whole; of larger ones 64 pieces, enough to tell weights apart; ours.
WHOLE_FILE = 1 << 23
PACKAGE_ROOT = Path(phi4r_lib.__file__).parents[1]


class Reads:
    """What one open notebook has read so far; the first look counts."""

    def __init__(self) -> None:
        self.settings: set[str] = set()
        self.files: dict[str, str] = {}
        self.inputs: dict[str, str] = {}
        self.code: set[Path] = set()  # source files that ran in other processes

    def file(self, path: Path) -> None:
        """Notes a file or folder of the repository, or elsewhere."""
        self.files.setdefault(_key(path), digest(path))

    def artefact(self, name: str, path: Path) -> None:
        """Notes an artefact of a stage by its name in the run, wherever it lies."""
        self.inputs.setdefault(name, digest(path))


class Watched:
    """Stands before a profile and notes which of its sections are read."""

    def __init__(self, value: Any, reads: Reads, above: str = "") -> None:
        self._value, self._reads, self._above = value, reads, above

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        value = getattr(self._value, name)
        if name in ENTERED and not self._above:
            return Watched(value, self._reads, f"{name}.")
        fields = type(self._value).model_fields
        read = {self._above + field for field in ([name] if name in fields else fields)}
        self._reads.settings |= read - set(NO_RESULT)
        return value

    def __repr__(self) -> str:
        return repr(self._value)


def lineage_of(reads: Reads, settings: Mapping[str, Any], cells: list[str], packages: Iterable[str] = ()) -> Lineage:
    """The lineage of the running kernel: `settings` as plain data, `cells` the notebook's code when it was opened."""
    files = used_code(cells)
    beside = sorted({worker for file in files for worker in workers(file)} - set(files))
    names = {name for file in files for name in imports(file, "")} | {n for c in cells for n in _names(_parsed(c), "")}
    names = {name for name in names if name.partition(".")[0] in sys.modules}
    names |= {name for worker in beside for name in imports(worker, "")}
    return {
        "settings": {key: setting_mark(settings, key) for key in sorted(reads.settings)},
        "data": reads.files | model_marks(settings, reads.settings),
        "inputs": reads.inputs,
        "notebook": {"cells": mark(cells)},
        "code": {_code_key(file): code_mark(file) for file in sorted({*files, *beside, *reads.code})},
        "packages": versions_of(names) | {name: version for name in packages if (version := _version(name))},
    }


def changes(
    lineage: Lineage, settings: Mapping[str, Any], stage: Stage | None, locate: Callable[[str], Path]
) -> list[str]:
    """What has changed since, in words: ["settings changed (edge)", "packages changed (trl 1.16 -> 1.17)"]; [] for nothing."""
    now = {
        "notebook": {"cells": notebook_mark(stage.path)} if stage and stage.path.is_file() else lineage["notebook"],
        "settings": {key: setting_mark(settings, key) for key in lineage["settings"]},
        "data": {key: _file_now(settings, key) for key in lineage["data"]},
        "inputs": {key: digest(locate(key)) for key in lineage["inputs"]},
        "code": {key: code_mark(_code_path(key)) for key in lineage["code"]},
    }
    found = {part: [key for key in now[part] if now[part][key] != lineage[part].get(key)] for part in now}
    words = [f"{part} changed ({_few(keys)})".replace(" (cells)", "") for part, keys in found.items() if keys]
    other = {name: _version(name) for name, version in lineage["packages"].items() if _version(name) != version}
    upgrades = [f"{name} {lineage['packages'][name]} -> {version or 'absent'}" for name, version in other.items()]
    return [*words, *([f"packages changed ({_few(upgrades)})"] if upgrades else [])]


def _few(names: list[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")


def notebook_mark(path: Path) -> str:
    """A hash of a notebook's code cells: prose and outputs do not count."""
    return mark(code_of(path, exercises=False))


def setting_mark(settings: Mapping[str, Any], key: str) -> str:
    """A hash of one section, or entry of `data` and `models`; a model that lies here counts by its content instead."""
    section, _, entry = key.partition(".")
    value = settings.get(section)
    value = value.get(entry) if entry and isinstance(value, Mapping) else value
    if section == "models" and isinstance(value, Mapping) and _model_folder(value):
        value = {name: part for name, part in value.items() if name != "model"}
    return mark(value)


def model_marks(settings: Mapping[str, Any], keys: Iterable[str]) -> dict[str, str]:
    """{"models.base": digest} of the models among the read settings that lie in a folder here."""
    return {
        key: _file_now(settings, key) for key in sorted(keys) if _file_now(settings, key) and key.startswith("models.")
    }


def _model_folder(spec: Mapping[str, Any]) -> Path | None:
    path = home() / str(spec.get("model"))
    return path if path.is_dir() else None


def _file_now(settings: Mapping[str, Any], key: str) -> str:
    if not key.startswith("models."):
        return digest(home() / key)
    spec = (settings.get("models") or {}).get(key.partition(".")[2])
    folder = _model_folder(spec) if isinstance(spec, Mapping) else None
    return digest(folder) if folder else ""


def _key(path: Path) -> str:
    return str(path.relative_to(home())) if path.is_relative_to(home()) else str(path)


def digest(path: Path) -> str:
    """A hash of a file or of all files of a folder, results.json left out: it tells when a stage ran. "absent" for neither."""
    if path.is_dir():
        files = sorted(file for file in path.rglob("*") if file.is_file())
        kept = [file for file in files if file.name not in ("results.json", "results.previous.json")]
        return mark({str(file.relative_to(path)): digest(file) for file in kept})
    return _file_digest(path) if path.is_file() else "absent"


def outputs(folder: Path) -> dict[str, str]:
    """{name: digest} of the files that a stage left, hidden ones (locks, indexes) apart."""
    files = {str(path.relative_to(folder)): path for path in folder.rglob("*") if path.is_file()}
    return {
        name: digest(path)
        for name, path in sorted(files.items())
        if not any(part.startswith(".") for part in Path(name).parts)
    }


def spoilt(folder: Path, recorded: Mapping[str, str]) -> list[str]:
    """["its own files changed (model/config.json)"] where a stage's files are gone or are not those it left."""
    changed = [name for name, mark in recorded.items() if digest(folder / name) != mark]
    return [f"its own files changed ({_few(changed)})"] if changed else []


@remembered
def _file_digest(path: Path) -> str:
    size = path.stat().st_size
    if size <= WHOLE_FILE:
        return file_fingerprint(path, length=16)
    with path.open("rb") as file:
        pieces = hashlib.sha256(str(size).encode())
        for piece in range(64):
            file.seek((size - 65536) * piece // 63)
            pieces.update(file.read(65536))
        return pieces.hexdigest()[:16]


def used_code(cells: Iterable[str]) -> list[Path]:
    """Source files that a notebook's results come from: what its cells import, what these import, and what was loaded by name.

    Only modules that this process has loaded count: the library's rooms and your own, not installed packages, and not
    what only the driver (cookbook) needs. Of its lessons those count that the cells import: they are a notebook's own work.
    """
    loaded = _loaded()
    cookbook = {name: path for name, path in loaded.items() if name.startswith("phi4r_lib.cookbook")}
    rooms = {name: path for name, path in loaded.items() if name not in cookbook}
    lessons = {name: path for name, path in cookbook.items() if not _is_driver(path)}
    by_driver = _reach({target for name, path in cookbook.items() for target in imports(path, name)}, rooms)
    asked = {target for cell in cells for target in _names(_parsed(cell), "")}
    found = _reach(asked | (set(rooms) - by_driver), rooms | lessons)
    return sorted({loaded[name] for name in found})


def workers(path: Path) -> set[Path]:
    """Source files of the library that a module starts as processes of their own, named in its text as files or modules."""
    return {file for file in _named(path) if file.is_file() and not _is_driver(file)}


@remembered
def _named(path: Path) -> set[Path]:
    """What the texts of a module name as source files beside it or modules of the library, there or not."""
    tree = _parsed(path.read_text(encoding="utf-8"))
    texts = {node.value for node in ast.walk(tree) if _is_text(node)}
    files = {path.with_name(text) for text in texts if text.endswith(".py") and "/" not in text}
    return files | {PACKAGE_ROOT / f"{text.replace('.', '/')}.py" for text in texts if text.startswith("phi4r_lib.")}


def reached(module: str) -> list[Path]:
    """Source files of a module and of what it imports from the library, over any number of imports, the driver left out."""
    spec = importlib.util.find_spec(module)
    found: set[Path] = set()
    todo = [Path(spec.origin)] if spec and spec.origin else []
    while todo:
        path = todo.pop()
        found.add(path)
        names = {name for name in imports(path, "") if name.startswith("phi4r_lib.")}
        files = {PACKAGE_ROOT / f"{name.replace('.', '/')}.py" for name in names} | workers(path)
        todo += [file for file in files - found if file.is_file() and not _is_driver(file)]
    return sorted(found)


def _reach(names: Iterable[str], modules: Mapping[str, Path]) -> set[str]:
    """Those modules that the names lead to, over any number of imports."""
    found: set[str] = set()
    open_names = [name for name in names if name in modules]
    while open_names:
        name = open_names.pop()
        if name not in found:
            found.add(name)
            open_names += [target for target in imports(modules[name], name) if target in modules]
    return found


def _loaded() -> dict[str, Path]:
    """{module: source file} of the library and of your own modules in this process."""
    places = {sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")}
    found = {}
    for name, module in list(sys.modules.items()):
        path = Path(getattr(module, "__file__", None) or "")
        if name in ("__main__", "__mp_main__") or path.suffix != ".py" or not path.is_absolute() or not path.is_file():
            continue
        installed = {"site-packages", "dist-packages"} & set(path.parts) or any(map(path.is_relative_to, places))
        if name.partition(".")[0] == "phi4r_lib" or not installed:
            found[name] = path.resolve()
    return found


def _code_key(path: Path) -> str:
    return str(path.relative_to(PACKAGE_ROOT)) if path.is_relative_to(PACKAGE_ROOT / "phi4r_lib") else _key(path)


def _is_driver(path: Path) -> bool:
    return _code_key(path).startswith("phi4r_lib/cookbook/") and path.parent.name != "lessons"


def _code_path(key: str) -> Path:
    return PACKAGE_ROOT / key if key.startswith("phi4r_lib/") else home() / key


def code_mark(path: Path) -> str:
    """A hash of what a module does: comments, layout and docstrings do not count. "absent" when it is gone."""
    return _code_mark(path) if path.is_file() else "absent"


@remembered
def _code_mark(path: Path) -> str:
    source = path.read_text(encoding="utf-8", errors="replace")
    tree = _parsed(source)
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(body, list) and body and isinstance(body[0], ast.Expr) and _is_text(body[0].value):
            body[0] = ast.Pass()
    return mark(ast.dump(tree) if tree.body else source)


def _is_text(node: ast.AST) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, str)


def _parsed(source: str) -> ast.Module:
    """The syntax tree; an empty one for text that is no Python (a cell with a magic)."""
    try:
        return ast.parse(source)
    except (SyntaxError, ValueError):
        return ast.Module(body=[], type_ignores=[])


@remembered
def imports(path: Path, module: str) -> set[str]:
    """Dotted names that a module's source imports, anywhere in it."""
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]
    return _names(_parsed(path.read_text(encoding="utf-8", errors="replace")), package)


def _names(tree: ast.Module, package: str) -> set[str]:
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            above = package.rsplit(".", node.level - 1)[0] if node.level else ""
            source = ".".join(part for part in (above, node.module) if part)
            found |= {source} | {f"{source}.{alias.name}" for alias in node.names}
    return found


def versions_of(modules: Iterable[str]) -> dict[str, str]:
    """{package: version} of the installed packages, this one left out, that the modules belong to."""
    owners = metadata.packages_distributions()
    packages = {package for name in {name.partition(".")[0] for name in modules} for package in owners.get(name, ())}
    return {name: version for name in sorted(packages - {"phi4r"}) if (version := _version(name))}


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None
