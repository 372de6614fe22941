"""What notebook 04 needs: the edge measured again, prompts at the edge, the reward, GRPO by hand and for real, a look back.

Importing it loads torch and TRL. Not here: any code.
"""

from phi4r_lib.curate import edge
from phi4r_lib.train import grpo, one_step, prompts, review, reward
