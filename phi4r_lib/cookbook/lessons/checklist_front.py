"""What notebook 08 needs: the domain and its work, the gates, the rule for scaling, the cards, and how an answer is judged.

Importing it loads no torch. Not here: any code.
"""

from phi4r_lib.cookbook.lessons import cards
from phi4r_lib.cookbook.lessons.checklist import Gates
from phi4r_lib.cookbook.lessons.domain_run import Domain
from phi4r_lib.measure import promotion
from phi4r_lib.problems import verify
from phi4r_lib.problems.schema import Problem
