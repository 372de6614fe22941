"""What notebook 03 needs: think tokens, RoPE, packing, supervised training and its journal.

Importing it loads torch and TRL. Not here: any code.
"""

from phi4r_lib.models.engine import SamplingSettings, as_messages
from phi4r_lib.models.thinking import add_think_tokens, double_rope_base, rope_wavelengths
from phi4r_lib.problems.answers import Grade
from phi4r_lib.problems.refusals import refusal_table
from phi4r_lib.problems.rows import read_rows
from phi4r_lib.problems.shares import wilson
from phi4r_lib.problems.verify import verify_samples
from phi4r_lib.train.curves import journal_table, sft_progress
from phi4r_lib.train.packing import IGNORE, BlockCollator, encode_conversation, pack
from phi4r_lib.train.positions import chain, rope_arms
from phi4r_lib.train.sft import check_base, run_sft
