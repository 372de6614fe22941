"""What notebook 09 needs: memory by formula, the plan of a profile, the kept records, a short training.

Importing it loads torch and TRL. Not here: any code.
"""

from phi4r_lib.cookbook.planning import outlook, records
from phi4r_lib.cookbook.planning.costs import load_costs
from phi4r_lib.cookbook.planning.estimate import Estimator
from phi4r_lib.train import memory, sft
