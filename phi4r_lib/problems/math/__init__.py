"""Mathematical equality of answers: exact rules, formulas, and math-verify in workers that can be killed."""
