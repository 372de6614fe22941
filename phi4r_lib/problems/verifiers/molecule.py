"""The verifier `molecule`: chemistry with hard constraints, in the row format of ether0, as far as no predictor is needed.

The problem's `answer` is "function!:!info!:!type" as ether0's rows have it, `meta["ideal"]` a known right answer. Families
(facts from github.com/Future-House/ether0, code ours): `str_eval`, `should_not_answer_eval` (the same text, case and the
usual spellings of names aside), `rxn_eval` (also without hyphens), `valid_mol_eval` (a molecule that starts with the given
fragment), `should_answer_eval` (any valid molecule), `caption_eval` and `product_eval` (this molecule, by canonical SMILES of the largest fragment),
`formula_eval` (the formula of a known molecule, and a Morgan-2 Tanimoto similarity of at least .7 to it) and `functional_group_eval`
(formula and functional groups, named by exmol). `sol_eval` and `rxn_forward` need remote predictors and cannot be graded here.

Right: every hard constraint holds, and where the molecule is free it is a reasonable one: it sanitises, at most one small
counter-ion, and rings of 3 to 8 atoms without cumulated or triple bonds in small ones, unless the known molecule has such
(ether0 has lists of known ring systems and fingerprints; this rule is ours and more lenient). Wrong: ether0's codes, such as "invalid_mol", "wrong_formula",
"failed_constraint", "failed_ring_check"; "time", "memory" and "crash" where RDKit took too much. Partial credit: .5 for the right
formula, similarity for a product. RDKit runs in a child process with limits; what it does there stands in chemistry.py.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from importlib.util import find_spec

from phi4r_lib.problems.answers import Grade
from phi4r_lib.problems.schema import Problem
from phi4r_lib.problems.verifiers.chemistry import plain_name
from phi4r_lib.problems.verifiers.child import Child
from phi4r_lib.problems.verifiers.texts import BadCheck, one_by_one, short_answer
from phi4r_lib.problems.verify import Verdict, VerifierUnavailable

LONGEST_SMILES = 1_000  # characters
REMOTE = ("sol_eval", "rxn_forward")
UNIQUE = ("str_eval", "should_not_answer_eval", "rxn_eval", "caption_eval", "product_eval")
FAMILIES = (*UNIQUE, "valid_mol_eval", "should_answer_eval", "formula_eval", "functional_group_eval")
_TAG = re.compile(r"<answer>(.*?)</answer>", re.DOTALL)


class MoleculeVerifier:
    """The offline families of ether0; `cpu_s` seconds of processor time and `memory_mb` MiB for one answer."""

    def __init__(self, cpu_s: float = 5.0, memory_mb: int = 2048) -> None:
        absent = [name for name in ("rdkit", "exmol") if find_spec(name) is None]
        if absent:
            text = (
                f"the verifier 'molecule' needs RDKit and exmol: pip install 'phi4r[verifiers]' (no {absent[0]} here)"
            )
            raise VerifierUnavailable(text)
        self.child = Child("phi4r_lib.problems.verifiers.chemistry:Chemistry", cpu_s=cpu_s, memory_mb=memory_mb)

    def extract(self, text: str) -> str | None:
        """What stands in the last <answer> tags, else the last box or stated answer, else the last line."""
        tagged = _TAG.findall(text.rpartition("</think>")[2])
        return tagged[-1].strip() or None if tagged else short_answer(text)

    def example(self, problem: Problem) -> str | None:
        """ether0's ideal answer, for checking the problem itself."""
        ideal = problem.meta.get("ideal")
        return ideal if ideal else spec(problem)[1] if spec(problem)[0] in UNIQUE else None

    def grade(self, answers: Sequence[str], problems: Sequence[Problem]) -> list[Verdict]:
        """Verdicts by family."""
        return one_by_one(self._judge, answers, problems)

    def groups(self, answers: Sequence[str], problems: Sequence[Problem]) -> list[str | None]:
        """Canonical SMILES or the plain name where one answer is right; None where many are."""
        found: list[str | None] = []
        for answer, problem in zip(answers, problems, strict=True):
            family = spec(problem)[0]
            molecule = family in ("caption_eval", "product_eval") and len(answer) <= LONGEST_SMILES
            said = self.child.ask("canonical", answer) if molecule else None
            same = said.value if said else None
            found.append(same or (plain_name(answer) if family in UNIQUE else None))
        return found

    def _judge(self, answer: str, problem: Problem) -> Verdict:
        family, info = spec(problem)
        if family in REMOTE:
            raise BadCheck(f"{family} needs a remote predictor")
        if family not in FAMILIES:
            raise BadCheck(f"no family {family!r}; there are {', '.join(FAMILIES)}")
        if len(answer) > LONGEST_SMILES or any("\ud800" <= char <= "\udfff" for char in answer):
            return Verdict.wrong(answer, "invalid_value")
        said = self.child.ask("judge", answer.strip(), family, info)
        if said.fault:  # what RDKit stumbles over is no molecule that anybody can check; an exception is our fault
            kind = Verdict.failed if said.fault.startswith("exception") else Verdict.wrong
            return kind(answer, said.fault)
        grade, reason, score = said.value
        return Verdict(Grade(grade), answer, reason, score)


def spec(problem: Problem) -> tuple[str, str]:
    """(family, info) of a row's solution; raises BadCheck."""
    parts = (problem.answer or "").split("!:!", 2)
    if len(parts) != 3:
        raise BadCheck("the answer is no 'function!:!info!:!type'")
    return parts[0], parts[1]
