"""What notebook 00 needs beside its run: how to ask a model and how to judge what it says. Importing it loads no torch.

Not here: any code.
"""

from phi4r_lib.models.engine import SamplingSettings
from phi4r_lib.problems.verify import Grade, final_answers, judge, verify
