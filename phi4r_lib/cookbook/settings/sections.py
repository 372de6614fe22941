"""What a profile may contain: one pydantic model per section, unknown keys refused, types strict.

Units and origins of the values stand as comments in notebooks/profiles/*.yaml; here only types and legal ranges.
Not here: reading YAML, `extends` and overrides (profile.py).
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from phi4r_lib.models.engine import EngineSpec
from phi4r_lib.problems.foreign import check_mapping
from phi4r_lib.problems.schema import Problem
from phi4r_lib.train.settings import GrpoSettings, SftSettings

Share = Field(ge=0, le=1)
Count = Field(ge=1)


class Section(BaseModel):
    """Base of all sections: no unknown keys, no silent conversion ("yes" is not true, "12" is not 12)."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


File = Annotated[str, Field(min_length=1, max_length=1024)]
Several = Annotated[list[File], Field(min_length=1)]
Domains = Annotated[dict[str, File | Several], Field(min_length=1)]
Files = File | Several | Domains  # one file, several, or {domain: one or several}


class Data(Section):
    """Files, relative to the repository root or absolute; `map` renames the fields of foreign seeds files.

    `seeds` is a file, a list of files, or {domain: file or list}: rows that name no domain get that one.

    `guards` are problems of other domains that training must not harm, measured beside the benchmark in notebook 05.

    `votes` is a file of recorded answers (curate/votes.py), to measure a proxy truth without asking a model.

    `judges` are {name: "package.module:function"} that know what only the maker of the data knows, for measuring only: `faithful`
    says whether a made problem is what its kind promises (curate/rewrite_quality.py), `reply` of which kind a reply is.
    """

    seeds: Files
    open_seeds: File | None = None
    safety_seeds: File | None = None
    code_seeds: File | None = None
    benchmark: File
    validation: File
    planning: File | None = None
    guards: Files | None = None
    gold: File | None = None
    votes: File | None = None
    judges: dict[str, str] = Field(default_factory=dict)
    map: dict[str, str] = Field(default_factory=dict)

    @field_validator("map")
    @classmethod
    def _known(cls, mapping: dict[str, str]) -> dict[str, str]:
        check_mapping(mapping, Problem.model_fields)
        return mapping


class Models(Section):
    """The student (`base`) and the strong reference model (`teacher`).

    `weak` is a second weak model: in notebook 01 its answers take turns with the student's.
    """

    base: EngineSpec
    teacher: EngineSpec
    weak: EngineSpec | None = None


class Edge(Section):
    """Notebook 01: which seeds lie at the edge of the base model's ability."""

    limit: int | None = Field(ge=1)
    wanted: int | None = Field(None, ge=1)
    teacher_samples: int = Count
    teacher_temperature: float = Field(ge=0)
    teacher_max_tokens: int = Count
    min_share: float = Share
    lo: float = Share
    hi: float = Share
    error: float = Field(gt=0, lt=0.5)
    keep_error: float = Field(gt=0, lt=0.5)
    max_samples: int = Count
    pilot: int = Count
    batch: int = Count
    price: float = Field(ge=0, lt=1)
    temperature: float = Field(ge=0)
    max_tokens: int = Count
    label_problems: int = Field(ge=0)
    label_samples: int = Field(ge=8)
    rubric_problems: int = Field(ge=0)

    @model_validator(mode="after")
    def _ordered(self) -> Edge:
        if self.lo >= self.hi:
            raise ValueError(f"lo ({self.lo}) must be below hi ({self.hi})")
        return self


class Rewrite(Section):
    """Notebook 02: open seeds become questions with one checkable answer, and a small set becomes a larger one."""

    limit: int | None = Field(ge=1)
    samples: int = Count
    paraphrases: int = Field(ge=0)
    variants: int = Field(ge=0)
    variant_samples: int = Field(1, ge=1)
    puzzles: int = Field(ge=0)
    programs: int = Field(ge=0)
    resolves: int = Count
    min_share: float = Share
    max_similarity: float = Share
    strict: bool = True
    easy: float = Share
    easy_tries: int = Count
    temperature: float = Field(ge=0)
    max_tokens: int = Count


class Teach(Section):
    """Notebook 02: teacher traces by rejection sampling."""

    samples: int = Count
    min_share: float = Share
    keep: int = Count
    prefer: Literal["shortest", "median", "longest"]
    max_repeats: float = Share
    temperature: float = Field(ge=0)
    max_tokens: int = Count
    high_effort: int = Field(ge=0)
    high_max_tokens: int = Count
    safety_min_share: float = Share


class Mixture(Section):
    """Notebook 02: which traces and prompts training gets, in which shares."""

    traces: int = Count
    original_share: float = Share
    hard_share: float = Share
    easy_share: float = Share
    rl_edge_share: float = Share
    rl: int = Count


class Decontaminate(Section):
    """Notebook 02: overlap with the benchmarks and near-duplicates."""

    against: Several
    templates: Literal["flag", "allow"]
    encoder: File | None
    near_duplicate: float = Share
    containment: float = Share


class Variance(Section):
    """Notebook 05: independent runs of every model on the benchmark."""

    limit: int | None = Field(default=None, ge=1)
    runs: int = Field(ge=2)
    majority_samples: int = Count
    teacher_runs: int = Count
    guard_runs: int = Count
    temperature: float = Field(gt=0)
    close_temperature: float = Field(gt=0)
    top_p: float = Field(gt=0, le=1)
    top_k: int = Field(ge=0)
    max_tokens: int = Count


class Deadlines(Section):
    """How long a notebook's kernel may take to start, one of its cells to run, and a stopped training to write its checkpoint."""

    start_seconds: float = Field(default=600, gt=0)
    cell_hours: float | None = Field(default=24, gt=0)
    stop_seconds: float = Field(default=120, ge=0)  # longest wait for the checkpoint of a run that is stopped


class Profile(Section):
    """One size of the recipe: models, counts and settings of every stage; `seed` starts every random stream.

    `planned_for` says where it is meant to run, for `phi4r plan`: a profile for a CPU is never counted on a GPU (None: by size).

    `notebooks` names further folders of notebooks. Sections that those notebooks declare come on top of the ones here.
    """

    name: str = Field(min_length=1)
    seed: int = Field(ge=0, lt=2**32)  # what numpy's generators take
    planned_for: Literal["cpu", "gpu"] | None = None
    notebooks: list[str] = Field(default_factory=list)
    data: Data
    models: Models
    prompts: File
    edge: Edge
    rewrite: Rewrite
    teach: Teach
    mixture: Mixture
    decontaminate: Decontaminate
    sft: SftSettings
    grpo: GrpoSettings
    variance: Variance
    verifiers: dict[str, str | dict[str, Any]] = Field(
        default_factory=dict
    )  # {name: "package.module:Class"}, more in verify.py
    deadlines: Deadlines = Deadlines()
