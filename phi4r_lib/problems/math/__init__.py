"""Mathematical equality of answers: exact rules, formulas, and math-verify in workers that can be killed.

Why not math-verify alone (0.9)? On ordinary answers it would do: of 7,528 pairs of golds and model answers (GSM8K, MATH-500,
SVAMP, AIME 2024, eight answers each to 100 MATH problems, our benchmarks) 6,307 are two plain numbers, and on the other 1,221
it never says anything else. But a reward is searched for its holes. Of the pairs of tests/problems/answer_tables.py it refuses
263 of 547 right answers and calls 172 of 654 wrong ones right, and 80 of 660 generated pairs that sympy says are unequal
(benchmarks/unequal.py); here these are 0, 0 and 0. With our dressing and shapes but without the exact reader (reader.py,
terms.py) they are 77, 19 and 1; without the proof that two formulas differ (terms.free, values.py) 0, 30 and 1.

106 of its rules were taken out, one at a time. What decided no pair were spellings and guards of kinds that no table had (each
now has its row), guards of time (court.explosive, terms.free), signs that math-verify reads as well and that longer formulas
contain (|x|, n!, subscripts, i), and court.letters_apart, kept because math-verify takes R for r.
Not here: finding the answer in a text (answers.py).
"""
