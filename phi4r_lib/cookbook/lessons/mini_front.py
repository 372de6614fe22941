"""What notebook 07 needs: the four stages, pairs, the stabilisers, sampling, evaluation, the table of the stages, figures.

Importing it loads torch and TRL. Not here: any code.
"""

from phi4r_lib.cookbook.lessons import mini
from phi4r_lib.curate.draws import draw
from phi4r_lib.measure import figures, tables
from phi4r_lib.measure.evaluate import evaluate
from phi4r_lib.models.engine import SamplingSettings, open_engine
from phi4r_lib.problems.rows import read_rows, write_rows
from phi4r_lib.problems.schema import load_problems
from phi4r_lib.problems.verify import examples, judge
from phi4r_lib.train import curves, packing, stabilisers
from phi4r_lib.train.callbacks import Journal
from phi4r_lib.train.dpo import dpo_trainer, encode_pairs, run_dpo
from phi4r_lib.train.grpo import run_grpo
from phi4r_lib.train.pairs import build_pairs
from phi4r_lib.train.sft import run_sft
