"""What notebook 06 needs: pools of rows, trials, paired arms, the three variance components, additivity, the rule for scaling, and the module `figures` whole.

Not here: any code.
"""

from phi4r_lib.cookbook.lessons.trial import run_trial
from phi4r_lib.curate.pool import code_split, prompt_pool, training_pool
from phi4r_lib.measure import figures
from phi4r_lib.measure.additivity import additivity
from phi4r_lib.measure.claims import claim
from phi4r_lib.measure.evaluate import evaluate
from phi4r_lib.measure.promotion import PromotionRule, decide, gain_per_doubling, write_promotion
from phi4r_lib.measure.tables import majority
from phi4r_lib.measure.trial import compare_pairs, decompose_seeds, sentence, table
from phi4r_lib.models.engine import SamplingSettings, open_engine
from phi4r_lib.problems.rows import write_json
