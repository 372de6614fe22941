"""Profiles: YAML files that name models, counts and settings; read, merged, overridden and validated here.

A profile says `extends: base` (or cpu, or a file beside it) and gives only what differs. Files that it names count from the
repository, those that start with ./ or ../ from its own folder. Not here: what each section may hold (sections.py), YAML
itself (strict_yaml.py).
"""

from __future__ import annotations

import difflib
import json
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel, ConfigDict, ValidationError, create_model

from phi4r_lib.cookbook.settings import strict_yaml
from phi4r_lib.cookbook.settings.home import UserError, home
from phi4r_lib.cookbook.settings.limits import beyond
from phi4r_lib.cookbook.settings.sections import Profile
from phi4r_lib.cookbook.settings.stages import own_settings
from phi4r_lib.models.engine import NO_SECRETS
from phi4r_lib.models.hidden import find_secret

WHOLE = ("map", "seeds")  # mappings that a later file replaces and does not merge: nobody inherits toy seeds unseen
PATHS = ("data", "models", "prompts", "notebooks", "decontaminate")  # sections of a profile that name files and folders
ABSTRACT = "base"  # the profile that others extend: it names no data and no models


class ProfileError(UserError):
    """A profile, or an override of one, that cannot be used."""


def profile_names() -> list[str]:
    """Names of the profiles that come with the repository and can run: all but the abstract one."""
    return sorted(path.stem for path in (home() / "notebooks" / "profiles").glob("*.yaml") if path.stem != ABSTRACT)


def profile_path(name_or_path: str | os.PathLike[str]) -> Path:
    """File of a profile: a name of a shipped one, or the path of a YAML file. Raises ProfileError."""
    given = str(name_or_path)
    if given.endswith((".yaml", ".yml")):
        for path in (Path(given), home() / given):
            if path.is_file():
                return path.resolve()
        raise ProfileError(f"profile file {given} does not exist; give a YAML file or one of {_names()}")
    path = home() / "notebooks" / "profiles" / f"{given}.yaml"
    if not path.is_file():
        near = difflib.get_close_matches(given, profile_names(), n=1)
        hint = f" Did you mean '{near[0]}'?" if near else ""
        raise ProfileError(f"unknown profile '{given}'.{hint} Known profiles: {_names()}; or give a YAML file.")
    return path


def _names() -> str:
    return ", ".join(profile_names())


def read_yaml(path: Path) -> dict[str, Any]:
    """The mapping in a YAML file. Raises ProfileError with file and line."""
    if not path.is_file():  # a pipe would never end, nor would a device
        raise ProfileError(f"{path}: {'is no file' if path.exists() else 'does not exist'}; give a YAML file")
    try:
        raw = strict_yaml.read(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, strict_yaml.YamlError) as error:
        raise ProfileError(f"{path}: cannot be read as YAML: {error}") from None
    if not isinstance(raw, dict):
        raise ProfileError(f"{path}: a profile is a mapping of sections, found {type(raw).__name__}")
    return raw


def _extended(path: Path, seen: tuple[Path, ...] = ()) -> tuple[dict[str, Any], list[Path]]:
    """Merged data and the files it came from, the most general one first."""
    raw = read_yaml(path)
    raw |= {name: _from_file(raw[name], path.parent) for name in PATHS if name in raw}
    parent = raw.pop("extends", None)
    if parent is None:
        return raw, [path]
    parent_path = _parent(path, parent)
    if parent_path in (*seen, path):
        raise ProfileError(f"{path}: `extends: {parent}` goes in a circle; let one of the files extend `{ABSTRACT}`")
    base, files = _extended(parent_path, (*seen, path))
    return _merge(base, raw), [*files, path]


def _from_file(value: Any, folder: Path) -> Any:
    """The value with full paths for texts that start with ./ or ../, which count from the folder of the profile's file."""
    if isinstance(value, Mapping):
        return {key: one if key == "map" else _from_file(one, folder) for key, one in value.items()}
    if isinstance(value, list):
        return [_from_file(one, folder) for one in value]
    return str((folder / value).resolve()) if isinstance(value, str) and value.startswith(("./", "../")) else value


def _parent(path: Path, parent: Any) -> Path:
    """File that `extends` means: one beside this file, else a shipped profile; a file never means itself that way."""
    if not isinstance(parent, str):
        raise ProfileError(f"{path}: `extends` takes the name of one profile or file, found {json.dumps(parent)}")
    beside = (path.parent / (parent if parent.endswith((".yaml", ".yml")) else f"{parent}.yaml")).resolve()
    if beside.is_file() and beside != path:
        return beside
    shipped = home() / "notebooks" / "profiles" / f"{parent}.yaml"
    return path if beside == path and not shipped.is_file() else profile_path(parent)


def _merge(base: Mapping[str, Any], change: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in change.items():
        both = isinstance(value, Mapping) and isinstance(merged.get(key), Mapping) and key not in WHOLE
        before = merged.get(key)
        if both and "options" in before and value.get("kind", before.get("kind")) != before.get("kind"):
            before = {name: one for name, one in before.items() if name != "options"}  # they are another engine's
        merged[key] = _merge(before, value) if both else value
    return merged


def mapping_of(maps: Sequence[str]) -> dict[str, str]:
    """["prompt=question"] as {"prompt": "question"}; raises UserError for another form and for a field named twice."""
    mapping: dict[str, str] = {}
    for text in maps:
        ours, sign, theirs = text.partition("=")
        if not (ours and sign and theirs):
            raise UserError(f"--map {text!r}: write it as ours=theirs, for example prompt=question")
        if ours in mapping:
            raise UserError(f"--map {ours}=...: is given twice; name one field")
        mapping[ours] = theirs
    return mapping


def parse_set(text: str) -> tuple[str, Any]:
    """`edge.limit=20` as ("edge.limit", 20); the value is read as YAML (or JSON). Raises ProfileError."""
    key, sign, value = text.partition("=")
    if not sign or not key.strip():
        raise ProfileError(f"--set {text!r}: write it as section.key=value, for example edge.limit=20")
    if not value.strip():
        raise ProfileError(f"--set {text!r}: give a value; where a setting may be empty, write {key.strip()}=null")
    try:
        return key.strip(), strict_yaml.read(value)
    except strict_yaml.YamlError as error:
        raise ProfileError(f"--set {text!r}: the value cannot be read as YAML: {error}") from None


def nested(overrides: Any) -> dict[str, Any]:
    """{"edge.limit": 20} or {"edge": {"limit": 20}} as nested mappings; a YAML string (papermill -p) is read first."""
    if isinstance(overrides, str):
        try:
            overrides = strict_yaml.read(overrides) or {}
        except strict_yaml.YamlError as error:
            raise ProfileError(f"overrides {overrides!r}: cannot be read as YAML: {error}") from None
    if not isinstance(overrides, Mapping):
        raise ProfileError(f"overrides must be a mapping like {{'edge.limit': 20}}, found {overrides!r}")
    merged: dict[str, Any] = {}
    for key, value in overrides.items():
        for part in reversed(str(key).split(".")):
            value = {part: value}
        merged = _merge(merged, value)
    return merged


def known_keys(model: type[BaseModel] = Profile, prefix: str = "") -> list[str]:
    """Dotted names of every setting, for messages and `phi4r plan`."""
    keys: list[str] = []
    for name, field in model.model_fields.items():
        inner = next((kind for kind in get_args(field.annotation) if _is_section(kind)), field.annotation)
        keys += known_keys(inner, f"{prefix}{name}.") if _is_section(inner) else [prefix + name]
    return keys


def _is_section(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, BaseModel)


def profile_model(folders: Any = ()) -> type[Profile]:
    """Profile with the settings sections that notebooks declare; `folders` as in the key `notebooks`, if it is well-formed."""
    well_formed = isinstance(folders, list) and all(isinstance(folder, str) for folder in folders)
    own = own_settings(folders if well_formed else ())
    taken = sorted(set(own) & set(Profile.model_fields))
    if taken:
        raise UserError(f"section '{taken[0]}' is the library's own; a notebook's settings need another name")
    fields: Any = {section: _field(model, extra) for section, (model, extra) in own.items()}
    return create_model("Profile", __base__=Profile, **fields) if fields else Profile


def _closed(model: type[BaseModel]) -> type[BaseModel]:
    """The model with unknown keys refused, as everywhere in a profile, unless it says itself what to do with them."""
    if "extra" in model.model_config:
        return model
    return type(model.__name__, (model,), {"model_config": ConfigDict(extra="forbid"), "__module__": model.__module__})


def _field(model: type[BaseModel], extra: bool) -> tuple[Any, Any]:
    """Type and default of a notebook's section; a profile may lack the section of an extra notebook, which then cannot run."""
    closed, default = _closed(model), _default(model)
    return (closed | None, None) if extra and default is ... else (closed, default)


def _default(model: type[BaseModel]) -> Any:
    """What a profile without the section gets: the model's own defaults, or ... (required) when it has not all of them."""
    try:
        return _closed(model)()
    except ValidationError:
        return ...


def _explain(error: ValidationError, source: str, model: type[BaseModel]) -> str:
    lines, missing = [], []
    for fault in error.errors():
        key = ".".join(str(part) for part in fault["loc"]) or "profile"
        if fault["type"] == "extra_forbidden":
            near = _nearest(key, model)
            lines.append(f"unknown key '{key}'" + (f"; did you mean '{near}'?" if near else ""))
            if "." not in key and isinstance(fault["input"], Mapping):
                lines[-1] += " (settings of a notebook of your own need its folder in `notebooks`)"
        elif fault["type"] == "missing":
            missing.append(f"'{key}'")
        else:
            found = "" if fault["type"] == "value_error" else f", found {json.dumps(fault['input'], default=str)}"
            lines.append(f"'{key}': {fault['msg'].removeprefix('Value error, ')}{found}")
    if missing:
        word, what = ("keys", "them") if len(missing) > 1 else ("key", "it")
        ours = {key.strip("'").partition(".")[0] for key in missing} & {*Profile.model_fields}
        toy = (
            ", or start the file with `extends: cpu` for the toy values"
            if ours
            else ", as a notebook declares its settings"
        )
        lines.append(f"missing {word} {', '.join(missing)}; add {what}{toy}")
    return f"{source}: " + "; ".join(lines)


def _nearest(key: str, model: type[BaseModel]) -> str | None:
    keys = known_keys(model)
    keys += sorted({name.rpartition(".")[0] for name in keys} - {""})
    section, _, last = key.rpartition(".")
    siblings = [name for name in keys if name.rpartition(".")[0] == section]
    for names in (siblings, keys):
        near = difflib.get_close_matches(last, {name.rpartition(".")[2] for name in names}, n=1, cutoff=0.6)
        if near:
            return "' or '".join(name for name in names if name.rpartition(".")[2] == near[0])
    return None


def load_profile(name_or_path: str | os.PathLike[str], overrides: Any = None) -> Profile:
    """The validated profile; `overrides` are {"section.key": value}, nested or dotted, on top of the file.

    Raises ProfileError for an unknown name, unknown key (naming the nearest), missing key or wrong type.
    """
    if not isinstance(name_or_path, (str, os.PathLike)) or not str(name_or_path):
        raise ProfileError(f"profile must be a name or a YAML file, found {name_or_path!r}; known: {_names()}")
    path = profile_path(name_or_path)
    if path.stem == ABSTRACT:
        raise ProfileError(
            f"profile '{ABSTRACT}' names no data and no models; write one that says `extends: {ABSTRACT}`"
        )
    raw, _ = _extended(path)
    if raw.get("name", path.stem) != path.stem:
        raise ProfileError(f"{path}: `name` is the file's own name and cannot be set; rename the file")
    raw["name"] = path.stem
    change = nested(overrides or {})
    if "name" in change:
        raise ProfileError(
            f"profile '{path.stem}': `name` is the file's name and cannot be set; --out names a run folder"
        )
    return validate(_merge(raw, change), f"profile '{path.stem}'" + (" with overrides" if change else ""))


def validate(raw: Mapping[str, Any], source: str) -> Profile:
    """Profile from plain data; raises ProfileError that starts with `source` and lists every fault."""
    secret = find_secret(raw)
    if secret:  # profiles and parameters are stored in run.json and in the executed notebooks
        raise ProfileError(f"{source}: '{secret}': {NO_SECRETS}")
    model = profile_model(raw.get("notebooks"))
    try:
        # Through JSON, because strict JSON mode takes lists for tuples and integers for floats but "12" not for 12.
        profile = model.model_validate_json(json.dumps(raw, default=str))
    except ValidationError as error:
        raise ProfileError(_explain(error, source, model)) from None
    if fault := beyond(profile):
        raise ProfileError(f"{source}: {fault}")
    return profile


def setting_notes(name_or_path: str | os.PathLike[str]) -> dict[str, str]:
    """{"edge.limit": "problems; ours"}: the comment behind each value in the YAML, a later file of `extends` winning."""
    notes: dict[str, str] = {}
    for path in _extended(profile_path(name_or_path))[1]:
        section = ""
        for line in path.read_text(encoding="utf-8").splitlines():
            found = re.match(r"^(\s*)([A-Za-z_]\w*):(.*?)(?:\s#\s*(.*))?$", line)
            if not found:
                continue
            indent, key, _, note = found.groups()
            section = "" if not indent else section
            notes[f"{section}.{key}" if indent else key] = note or ""
            section = section if indent else key
    return notes
