"""What notebook 09 needs: memory by formula, the plan of a profile, the kept records.

Importing it loads no torch. Not here: any code.
"""

from phi4r_lib.cookbook.planning.costs import load_costs
from phi4r_lib.cookbook.planning.estimate import Estimator
from phi4r_lib.cookbook.planning.outlook import lines
from phi4r_lib.cookbook.planning.pilot import Pilot
from phi4r_lib.cookbook.planning.records import measured, record
from phi4r_lib.train.memory import grpo_parts, kv_bytes, parameters, plain_shape, sft_parts
from phi4r_lib.train.settings import LaunchSettings, SftSettings
