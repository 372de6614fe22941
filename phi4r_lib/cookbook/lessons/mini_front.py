"""What notebook 07 needs beside its training: sampling, evaluation, the table of the stages and figures.

Not here: any code.
"""

from phi4r_lib.cookbook.lessons.mini import ladder
from phi4r_lib.curate.draws import draw
from phi4r_lib.measure import figures, tables
from phi4r_lib.measure.evaluate import evaluate
from phi4r_lib.models.engine import SamplingSettings, open_engine
from phi4r_lib.problems.rows import read_rows, write_rows
from phi4r_lib.problems.schema import load_problems
from phi4r_lib.problems.verify import examples, judge
