"""What notebook 01 needs: the edge filter, its stopping rules, what they cost and how good they are, as modules.

One front per notebook, so that a change to rewriting leaves the results of 01 valid. Not here: any code.
"""

from phi4r_lib.curate import edge, quality, rubric, stopping, stopping_costs, votes
from phi4r_lib.models.engine import SamplingSettings
from phi4r_lib.problems.answers import plurality
