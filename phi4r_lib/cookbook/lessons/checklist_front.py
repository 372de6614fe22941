"""What notebook 08 needs: the gates, the work between them, the cards. Importing it loads no torch.

Not here: any code.
"""

from phi4r_lib.cookbook.lessons.cards import data_card, filled_profile, model_card
from phi4r_lib.cookbook.lessons.checklist import (
    Gates,
    balance_gate,
    domain_gate,
    edge_gate,
    injection_gate,
    merge_gate,
    scale_gate,
    seeds_gate,
    taper_gate,
    watch_gate,
)
from phi4r_lib.cookbook.lessons.domain_run import (
    answers,
    ask,
    by_family,
    difference,
    domain_seeds,
    edge_table,
    estimate,
    family,
    gold_check,
    last_doubling,
    lenient,
    majority,
    make_more,
    merge_rows,
    mix_rows,
    passes,
    rates,
    solved_once,
    split,
    student,
    system_of,
    train_mix,
    unavailable,
    unreadable,
)
from phi4r_lib.curate.edge import EdgeRule, find_edge
from phi4r_lib.measure.comparison import compare
from phi4r_lib.measure.promotion import PromotionRule, decide, gain_per_doubling
from phi4r_lib.models.engine import SamplingSettings, open_engine
from phi4r_lib.problems.schema import Problem
from phi4r_lib.problems.verify import NoEquality, verify, vote
