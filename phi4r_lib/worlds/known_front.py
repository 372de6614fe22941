"""What notebooks need to measure the pipeline on our own worlds, where the truth is known. Not here: any code."""

from phi4r_lib.worlds.reading import is_faithful
from phi4r_lib.worlds.safety_world import reply_kind
