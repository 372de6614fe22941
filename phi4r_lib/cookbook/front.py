"""What a notebook needs from the driver: its run, profiles, progress and the state of a run folder.

A front only names things; what they do stands in their modules. Not here: anything of the command line.
"""

from phi4r_lib.cookbook.exercises import check
from phi4r_lib.cookbook.live import LiveTraining
from phi4r_lib.cookbook.pictures import show
from phi4r_lib.cookbook.plan import recorded, status_lines
from phi4r_lib.cookbook.profile import ProfileError, load_profile
from phi4r_lib.cookbook.progress import ProgressBar
from phi4r_lib.cookbook.run import MissingArtefact, open_run
from phi4r_lib.cookbook.trial import run_trial
