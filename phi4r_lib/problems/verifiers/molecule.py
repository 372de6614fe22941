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
"failed_constraint", "failed_ring_check". Partial credit: .5 for the right formula, similarity for a product.
"""

from __future__ import annotations

import ast
import re
import unicodedata
from collections.abc import Callable, Sequence
from typing import Any

from phi4r_lib.problems.schema import Problem
from phi4r_lib.problems.verifiers.texts import BadCheck, one_by_one, short_answer
from phi4r_lib.problems.verify import Verdict, VerifierUnavailable

SIMILAR = 0.7
LONGEST_SMILES = 1_000  # characters; RDKit takes long for absurd ones
REMOTE = ("sol_eval", "rxn_forward")
UNIQUE = ("str_eval", "should_not_answer_eval", "rxn_eval", "caption_eval", "product_eval")
_TAG = re.compile(r"<answer>(.*?)</answer>", re.DOTALL)


class MoleculeVerifier:
    """The offline families of ether0, on RDKit and exmol."""

    def __init__(self) -> None:
        try:
            import exmol
            from rdkit import Chem, DataStructs, RDLogger
            from rdkit.Chem import rdFingerprintGenerator, rdMolDescriptors
        except ImportError as error:
            text = f"the verifier 'molecule' needs RDKit and exmol: pip install 'phi4r[verifiers]' ({error})"
            raise VerifierUnavailable(text) from None
        RDLogger.DisableLog("rdApp.*")
        self.chem, self.groups_of, self.formula = Chem, exmol.get_functional_groups, rdMolDescriptors.CalcMolFormula
        morgan = rdFingerprintGenerator.GetMorganGenerator(radius=2, fpSize=2048)
        self.similarity = lambda a, b: DataStructs.TanimotoSimilarity(
            morgan.GetFingerprint(a), morgan.GetFingerprint(b)
        )

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
            mol = self._largest(answer) if family in ("caption_eval", "product_eval") else None
            plain = plain_name(answer) if family in UNIQUE else None
            found.append(self.chem.MolToSmiles(mol) if mol is not None else plain)
        return found

    def _judge(self, answer: str, problem: Problem) -> Verdict:
        family, info = spec(problem)
        if family in REMOTE:
            raise BadCheck(f"{family} needs a remote predictor")
        judges: dict[str, Callable[[str, str], Verdict]] = {
            "str_eval": self._text, "should_not_answer_eval": self._text, "rxn_eval": self._reaction,
            "valid_mol_eval": self._completion, "should_answer_eval": self._any, "caption_eval": self._product,
            "product_eval": self._product, "formula_eval": self._formula, "functional_group_eval": self._groups,
        }  # fmt: skip
        if family not in judges:
            raise BadCheck(f"no family {family!r}; there are {', '.join(judges)}")
        if len(answer) > LONGEST_SMILES:
            return Verdict.wrong(answer, "invalid_value")
        return judges[family](answer.strip(), info)

    def _text(self, answer: str, info: str) -> Verdict:
        return (
            Verdict.right(answer) if plain_name(answer) == plain_name(info) else Verdict.wrong(answer, "wrong_answer")
        )

    def _reaction(self, answer: str, info: str) -> Verdict:
        same = _bare(answer) == _bare(info) and _bare(answer) != ""
        return Verdict.right(answer) if same else Verdict.wrong(answer, "wrong_answer")

    def _any(self, answer: str, info: str) -> Verdict:
        mol = self._mol(answer)
        return Verdict.right(answer) if mol is not None else Verdict.wrong(answer, "invalid_mol")

    def _completion(self, answer: str, info: str) -> Verdict:
        """The whole molecule, or only what follows the fragment."""
        for smiles in (answer, info + answer):
            mol = self._mol(smiles) if smiles.startswith(info) and smiles != info else None
            if mol is not None:
                fault = self._unreasonable(mol, None)
                return Verdict.wrong(answer, fault) if fault else Verdict.right(answer)
        return Verdict.wrong(answer, "invalid_mol" if self._mol(answer) is None else "failed_constraint")

    def _product(self, answer: str, info: str) -> Verdict:
        wanted, found = self._largest(info), self._largest(answer)
        if wanted is None:
            raise BadCheck(f"invalid_ground_truth {info!r}")
        if found is None:
            return Verdict.wrong(answer, "invalid_mol")
        if self.chem.MolToSmiles(found) == self.chem.MolToSmiles(wanted):
            return Verdict.right(answer)
        return Verdict.wrong(answer, "wrong_product", self.similarity(found, wanted))

    def _formula(self, answer: str, info: str) -> Verdict:
        wanted, found = self._mol(info), self._mol(answer)
        if wanted is None:
            raise BadCheck(f"invalid_ground_truth {info!r}")
        if found is None:
            return Verdict.wrong(answer, "invalid_mol")
        if self.formula(found) != self.formula(wanted):
            return Verdict.wrong(answer, "wrong_formula")
        if fault := self._unreasonable(found, wanted):
            return Verdict.wrong(answer, fault)
        near = self.similarity(found, wanted) >= SIMILAR
        return Verdict.right(answer) if near else Verdict.wrong(answer, "failed_constraint", 0.5)

    def _groups(self, answer: str, info: str) -> Verdict:
        try:
            formula, wanted = ast.literal_eval(info)
            wanted = {str(one).lower() for one in wanted}
        except (ValueError, SyntaxError, TypeError, RecursionError):
            raise BadCheck(f"invalid_ground_truth {info!r}") from None
        found = self._mol(answer)
        if found is None:
            return Verdict.wrong(answer, "invalid_mol")
        if self.formula(found) != formula:
            return Verdict.wrong(answer, "wrong_formula")
        if fault := self._unreasonable(found, None):
            return Verdict.wrong(answer, fault)
        missing = wanted - {one.lower() for one in self.groups_of(found, return_all=True)}
        return (
            Verdict.wrong(answer, f"failed_constraint: {sorted(missing)[0]}", 0.5) if missing else Verdict.right(answer)
        )

    def _mol(self, smiles: str) -> Any:
        """A molecule that sanitises and has an atom; RDKit takes an empty text, and a name after a blank, for one."""
        if not smiles or any(char.isspace() for char in smiles):
            return None
        mol = self.chem.MolFromSmiles(smiles)
        return mol if mol is not None and mol.GetNumAtoms() else None

    def _largest(self, smiles: str) -> Any:
        """The largest part; None unless every part is a molecule and at most one is more than a small counter-ion."""
        parts = [self._mol(part) for part in smiles.strip().split(".")]
        if not parts or None in parts:
            return None
        parts.sort(key=lambda mol: mol.GetNumAtoms(), reverse=True)
        return None if any(mol.GetNumHeavyAtoms() > 5 for mol in parts[1:]) or len(parts) > 2 else parts[0]

    def _unreasonable(self, mol: Any, reference: Any) -> str:
        """ether0's code for a molecule that is none in a chemist's eyes, else ""."""
        parts = sorted(self.chem.GetMolFrags(mol, asMols=True), key=lambda one: -one.GetNumAtoms())
        if len(parts) > 2 or (len(parts) == 2 and parts[1].GetNumHeavyAtoms() > 5):
            return "failed_counterion_check"
        known = self._odd_rings(reference) if reference is not None else set()
        return "failed_ring_check" if self._odd_rings(parts[0]) - known else ""

    def _odd_rings(self, mol: Any) -> set[tuple[int, bool]]:
        """(size, strained) of the rings outside 3 to 8 atoms or with a bond that cannot be there."""
        triple, double = self.chem.BondType.TRIPLE, self.chem.BondType.DOUBLE
        found = set()
        for atoms, bonds in zip(mol.GetRingInfo().AtomRings(), mol.GetRingInfo().BondRings(), strict=True):
            kinds = [mol.GetBondWithIdx(one).GetBondType() for one in bonds]
            cumulated = any(a == b == double for a, b in zip(kinds, [*kinds[1:], kinds[0]], strict=True))
            strained = len(atoms) < 8 and (triple in kinds or cumulated)
            if strained or not 3 <= len(atoms) <= 8:
                found.add((len(atoms), strained))
        return found


def spec(problem: Problem) -> tuple[str, str]:
    """(family, info) of a row's solution; raises BadCheck."""
    parts = (problem.answer or "").split("!:!", 2)
    if len(parts) != 3:
        raise BadCheck("the answer is no 'function!:!info!:!type'")
    return parts[0], parts[1]


def plain_name(text: str) -> str:
    """A chemical name without markup: superscripts, italics, useless brackets, case."""
    text = re.sub(r"\^\{([\d,]+)\}", r"^(\1)", text.strip().casefold())
    text = re.sub(r"\{([a-z])\}|~([a-z])~", lambda m: m.group(1) or m.group(2), text).replace("$", "").replace("~", "")
    text = re.sub(r"([-\d])[(\[{]([a-z0-9]+)[)\]}]-", r"\1\2-", text)
    return text.replace("^", "").replace(" ", "-")


def _bare(text: str) -> str:
    """A reaction's name without dashes and blanks."""
    plain = unicodedata.normalize("NFKC", plain_name(text))
    return "".join(char for char in plain if unicodedata.category(char) != "Pd")
