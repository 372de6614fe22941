"""What notebook 02 needs: rewrites, teacher traces, the screen against benchmarks and the mixture, as modules.

One front per notebook, so that a change to the stopping rules reaches 02 only through what it reads. Not here: any code.
"""

from phi4r_lib.curate import mixture, rewrite, rewrite_quality, screen, teach
