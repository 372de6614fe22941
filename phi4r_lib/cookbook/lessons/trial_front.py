"""What notebook 06 needs: pools of rows, the trials and their estimates, the rule for scaling, majority votes, figures.

Not here: any code.
"""

from phi4r_lib.cookbook.lessons.trial import run_trial
from phi4r_lib.curate import pool
from phi4r_lib.measure import figures, promotion, trial
from phi4r_lib.measure.tables import majority
