"""What notebook 04 needs: the edge measured again, prompts at the edge, the length-aware reward, GRPO by hand and for real, its journal and figures.

Importing it loads torch and TRL. Not here: any code.
"""

from phi4r_lib.curate.edge import EdgeRule, find_edge, iter_edge
from phi4r_lib.models.chat import side_by_side
from phi4r_lib.models.engine import SamplingSettings, as_messages
from phi4r_lib.models.store import read_samples
from phi4r_lib.problems.answers import extract_answer
from phi4r_lib.problems.rows import read_rows, write_rows
from phi4r_lib.problems.shares import wilson
from phi4r_lib.train.callbacks import validate
from phi4r_lib.train.curves import journal_table, reward_shape
from phi4r_lib.train.figure7 import arms, figure7, growth, statements
from phi4r_lib.train.grpo import run_grpo
from phi4r_lib.train.lengths import branch_shares, fit_lengths, judged, reward_of
from phi4r_lib.train.one_step import encode_group, trl_loss
from phi4r_lib.train.pairs import problem_of
from phi4r_lib.train.prompts import Evidence, choose_prompts, decision_table, prior_behind
from phi4r_lib.train.reward import LengthReward, length_scaled_accuracy, phi4_reward
from phi4r_lib.train.traces import groups, show_group, show_steps
