"""What notebook 01 needs: truth, the edge filter, its stopping rules and its measured quality.

One front per notebook, so that a change to rewriting leaves the results of 01 valid. Not here: any code.
"""

from phi4r_lib.curate.edge import EdgeRule, classify, find_edge, iter_edge
from phi4r_lib.curate.quality import (
    confusion_shares,
    filter_quality,
    informative,
    label_problems,
    mean,
    precision_by_share,
    proportion,
    truth_grades,
)
from phi4r_lib.curate.rubric import agreement, load_prompt, rate_problems
from phi4r_lib.curate.stopping import (
    BetaPrior,
    class_posterior,
    curtailed,
    evaluate,
    fixed_plugin,
    optimal,
    posterior_stop,
)
from phi4r_lib.curate.stopping_costs import at_equal_error, over_rates
from phi4r_lib.curate.truth import conflicts, find_truth
from phi4r_lib.curate.votes import load_recorded, vote_figures
from phi4r_lib.models.engine import SamplingSettings
from phi4r_lib.problems.answers import Grade, plurality
from phi4r_lib.problems.verify import judge
