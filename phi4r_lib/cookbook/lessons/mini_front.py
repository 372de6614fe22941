"""What notebook 07 needs: its own questions and tables, pairs, the trainings of the four stages, the stabilisers.

Importing it loads torch and TRL. Not here: any code.
"""

from phi4r_lib.cookbook.lessons import four_stages
from phi4r_lib.train import dpo, grpo, pairs, sft, stabilisers
