"""What notebook 09 needs: memory by formula, the plan of a profile, the kept records, a short training.

Importing it loads torch and TRL. Not here: any code.
"""

from phi4r_lib.cookbook.planning.costs import load_costs
from phi4r_lib.cookbook.planning.estimate import Estimator
from phi4r_lib.cookbook.planning.outlook import lines
from phi4r_lib.cookbook.planning.pilot import Pilot
from phi4r_lib.cookbook.planning.records import measured, record
from phi4r_lib.train.curves import journal_table
from phi4r_lib.train.memory import grpo_parts, kv_bytes, parameters, plain_shape, sft_parts
from phi4r_lib.train.settings import LaunchSettings, SftSettings
from phi4r_lib.train.sft import run_sft
