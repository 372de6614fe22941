"""What notebook 02 needs: rewrites, teacher traces, decontamination and the mixture.

One front per notebook, so that a change to the stopping rules reaches 02 only through what it reads. Not here: any code.
"""

from phi4r_lib.curate.decontaminate import DecontaminationSettings, build_index
from phi4r_lib.curate.edge import iter_edge
from phi4r_lib.curate.evidence import uncovered
from phi4r_lib.curate.mixture import compose, overlapping, repeating, rl_rows, sft_row, where_used
from phi4r_lib.curate.quality import proportion
from phi4r_lib.curate.rewrite import check, load_task, propose, reasons
from phi4r_lib.curate.rewrite_quality import precision, removals
from phi4r_lib.curate.teach import (
    Lesson,
    TraceRow,
    drop_disagreeing,
    fresh_traces,
    leaks,
    need_kept,
    pick,
    reject,
    rewrite_lessons,
    seed_lessons,
    stored_traces,
    trace_precision,
    trace_reasons,
    truth_lessons,
)
from phi4r_lib.curate.truth import find_truth
from phi4r_lib.models.engine import SamplingSettings
from phi4r_lib.models.store import read_samples
from phi4r_lib.models.thinking import parse_thinking
from phi4r_lib.problems.answers import plurality
from phi4r_lib.problems.rows import write_rows
from phi4r_lib.problems.schema import load_problems
