"""What notebook 01 needs: the edge filter, its stopping rules, what they cost and how good they are, as modules.

A front of its own, so that a change to rewriting leaves the
results of both valid. Not here: any code.
"""

from phi4r_lib.curate import edge, quality, rubric, stopping, stopping_costs, votes
