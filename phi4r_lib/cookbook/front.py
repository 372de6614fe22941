"""What a notebook needs from the driver: its run, profiles, progress and the state of a run folder.

A front only names things; what they do stands in their modules. Not here: anything of the command line.
"""

from phi4r_lib.cookbook.pages.live import LiveTraining
from phi4r_lib.cookbook.pages.pictures import show
from phi4r_lib.cookbook.planning import plan
from phi4r_lib.cookbook.run import open_run
from phi4r_lib.cookbook.running.progress import ProgressBar
from phi4r_lib.cookbook.settings.exercises import check
from phi4r_lib.cookbook.settings.home import UserError
from phi4r_lib.cookbook.settings.profile import load_profile
