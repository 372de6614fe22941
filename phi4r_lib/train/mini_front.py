"""What notebook 07 needs to train: the four stages, pairs, the stabilisers, and what a run shows of itself.

Importing it loads torch and TRL. Not here: any code.
"""

from phi4r_lib.train.callbacks import Journal
from phi4r_lib.train.curves import journal_table, sft_progress, smooth
from phi4r_lib.train.dpo import dpo_trainer, encode_pairs, run_dpo
from phi4r_lib.train.grpo import run_grpo
from phi4r_lib.train.packing import IGNORE, encode_conversation
from phi4r_lib.train.pairs import build_pairs
from phi4r_lib.train.sft import run_sft
from phi4r_lib.train.stabilisers import cooled, rebalanced, screen_prompts, steadiness
