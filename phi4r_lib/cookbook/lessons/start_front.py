"""What notebook 00 needs beside its run: how answers are judged. Importing it loads no torch.

Not here: any code.
"""

from phi4r_lib.problems.verify import final_answers, judge, verify
