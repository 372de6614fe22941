"""What notebook 05 needs: intervals, comparisons and power by name, the modules `figures` and `tables` whole.

Not here: any code.
"""

from phi4r_lib.measure import figures, tables
from phi4r_lib.measure.answer_table import paired, results, save_answers
from phi4r_lib.measure.comparison import equivalence, holm
from phi4r_lib.measure.coverage import one_run, several_runs
from phi4r_lib.measure.evaluate import evaluate
from phi4r_lib.measure.glossary import glossary
from phi4r_lib.measure.intervals import clopper_pearson, normal, wilson
from phi4r_lib.measure.passk import pass_curve
from phi4r_lib.measure.power import advise, neyman_ratio
from phi4r_lib.measure.published import load_published, pair_table, problems_to_separate, reread_table
from phi4r_lib.measure.sequential import run_e_values
from phi4r_lib.measure.variance import compare, decompose
from phi4r_lib.measure.verdict import verdict
from phi4r_lib.models.engine import SamplingSettings, open_engine
from phi4r_lib.problems.refusals import refusal_table
