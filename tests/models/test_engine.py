"""What is true of every engine: found by name or import path, and it says whether it can seed."""

import sys

import pytest

from phi4r_lib.models.engine import EngineError, EngineSpec, open_engine
from phi4r_lib.problems.named import UnknownNameError

OWN = """
class Echo:
    seedable = True
    def __init__(self, spec): self.name = spec.model

class Silent:
    def __init__(self, spec): self.name = spec.model
"""


@pytest.fixture
def own(tmp_path, monkeypatch):
    """A module outside the package with two engines, importable by its name."""
    (tmp_path / "own_engines.py").write_text(OWN)
    monkeypatch.syspath_prepend(str(tmp_path))
    yield
    sys.modules.pop("own_engines", None)


def test_an_import_path_opens_an_engine_of_ones_own(own):
    engine = open_engine(EngineSpec(kind="own_engines:Echo", model="m"))
    assert (engine.name, engine.seedable) == ("m", True)


def test_an_engine_that_does_not_say_whether_it_can_seed_is_refused(own):
    with pytest.raises(EngineError, match="seedable = True"):
        open_engine(EngineSpec(kind="own_engines:Silent", model="m"))


@pytest.mark.parametrize("kind", ["vlm", "own_engines", ":Echo", "own_engines:"])
def test_a_name_of_no_engine_is_refused_before_anything_is_imported(kind):
    with pytest.raises(ValueError, match="there is no engine"):
        EngineSpec(kind=kind, model="m")


def test_a_module_that_is_not_there_is_named():
    with pytest.raises(UnknownNameError, match="PYTHONPATH"):
        open_engine(EngineSpec(kind="no_such_module_here:Engine", model="m"))
