"""What notebook 03 needs: think tokens and RoPE, packing, losses by position, supervised training, refusals.

Importing it loads torch and TRL. Not here: any code.
"""

from phi4r_lib.models import thinking
from phi4r_lib.problems.refusals import refusal_table
from phi4r_lib.train import packing, positions, sft
