"""A second weak model in the profile: optional, found in the repository, part of what results depend on."""

from pathlib import Path

from phi4r_lib.cookbook.folder import lineage
from phi4r_lib.cookbook.run import with_model_paths
from phi4r_lib.cookbook.settings.profile import load_profile

WEAK = {"models.weak": {"kind": "transformers", "model": "data/models/tiny-teacher"}}


def test_a_second_weak_model_is_optional_and_gets_its_full_path():
    assert with_model_paths(load_profile("smoke")).models.weak is None
    assert Path(with_model_paths(load_profile("smoke", WEAK)).models.weak.model).is_absolute()


def test_results_depend_on_the_second_weak_model():
    alone, both = (load_profile("smoke", change).model_dump() for change in ({}, WEAK))
    assert lineage.setting_mark(alone, "models.weak") != lineage.setting_mark(both, "models.weak")
    assert lineage.setting_mark(alone, "models.base") == lineage.setting_mark(both, "models.base")
