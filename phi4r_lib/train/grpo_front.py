"""What notebook 04 needs: the length-aware reward, GRPO, its journal and its figures.

Importing it loads torch and TRL. Not here: any code.
"""

from phi4r_lib.models.engine import SamplingSettings
from phi4r_lib.problems.rows import read_rows
from phi4r_lib.problems.shares import wilson
from phi4r_lib.train.callbacks import Journal, validate
from phi4r_lib.train.curves import grpo_dynamics, journal_table, reward_shape, reward_surface
from phi4r_lib.train.grpo import reward_of, run_grpo
from phi4r_lib.train.reward import LengthReward, length_scaled_accuracy, phi4_reward
