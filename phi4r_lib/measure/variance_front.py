"""What notebook 05 needs, as modules: estimates from runs, how often intervals hold, power, tables, figures, the verdict.

Not here: any code.
"""

from phi4r_lib.measure import coverage, figures, power, tables, variance, verdict
