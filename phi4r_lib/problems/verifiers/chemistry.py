"""What RDKit and exmol say about a molecule, for the verifier `molecule`; run in a child process (child.py), since a hostile
SMILES can take RDKit minutes or gigabytes.

`Chemistry.judge` takes (answer, family, info) of a row of ether0 and gives (grade, reason, score). Families and rules: see
molecule.py. Not here: limits, and the row format.
"""

from __future__ import annotations

import ast
import re
import unicodedata
from collections.abc import Callable
from typing import Any

SIMILAR = 0.7
Said = tuple[str, str, float]  # "right", "wrong" or "failed"; reason; score
RIGHT: Said = ("right", "right", 1.0)


class Chemistry:
    """The judges of the families; needs RDKit and exmol."""

    def __init__(self) -> None:
        import exmol
        from rdkit import Chem, DataStructs, RDLogger
        from rdkit.Chem import rdFingerprintGenerator, rdMolDescriptors

        RDLogger.DisableLog("rdApp.*")
        self.chem, self.groups_of, self.formula = Chem, exmol.get_functional_groups, rdMolDescriptors.CalcMolFormula
        morgan = rdFingerprintGenerator.GetMorganGenerator(radius=2, fpSize=2048)
        self.similarity = lambda a, b: DataStructs.TanimotoSimilarity(
            morgan.GetFingerprint(a), morgan.GetFingerprint(b)
        )
        self.judges: dict[str, Callable[[str, str], Said]] = {
            "str_eval": self._text, "should_not_answer_eval": self._text, "rxn_eval": self._reaction,
            "valid_mol_eval": self._completion, "should_answer_eval": self._any, "caption_eval": self._product,
            "product_eval": self._product, "formula_eval": self._formula, "functional_group_eval": self._groups,
        }  # fmt: skip

    def judge(self, answer: str, family: str, info: str) -> Said:
        """The verdict of one answer; "failed" where the row's own check cannot be read."""
        return self.judges[family](answer, info)

    def canonical(self, answer: str) -> str | None:
        """Canonical SMILES of the largest part; None where the answer is no molecule."""
        mol = self._largest(answer)
        return None if mol is None else self.chem.MolToSmiles(mol)

    def _text(self, answer: str, info: str) -> Said:
        return RIGHT if plain_name(answer) == plain_name(info) else wrong("wrong_answer")

    def _reaction(self, answer: str, info: str) -> Said:
        same = _bare(answer) == _bare(info) and _bare(answer) != ""
        return RIGHT if same else wrong("wrong_answer")

    def _any(self, answer: str, info: str) -> Said:
        mol = self._mol(answer)
        return RIGHT if mol is not None else wrong("invalid_mol")

    def _completion(self, answer: str, info: str) -> Said:
        """The whole molecule, or only what follows the fragment."""
        for smiles in (answer, info + answer):
            mol = self._mol(smiles) if smiles.startswith(info) and smiles != info else None
            if mol is not None:
                fault = self._unreasonable(mol, None)
                return wrong(fault) if fault else RIGHT
        return wrong("invalid_mol" if self._mol(answer) is None else "failed_constraint")

    def _product(self, answer: str, info: str) -> Said:
        wanted, found = self._largest(info), self._largest(answer)
        if wanted is None:
            return bad(info)
        if found is None:
            return wrong("invalid_mol")
        if self.chem.MolToSmiles(found) == self.chem.MolToSmiles(wanted):
            return RIGHT
        return wrong("wrong_product", self.similarity(found, wanted))

    def _formula(self, answer: str, info: str) -> Said:
        wanted, found = self._mol(info), self._mol(answer)
        if wanted is None:
            return bad(info)
        if found is None:
            return wrong("invalid_mol")
        if self.formula(found) != self.formula(wanted):
            return wrong("wrong_formula")
        if fault := self._unreasonable(found, wanted):
            return wrong(fault)
        near = self.similarity(found, wanted) >= SIMILAR
        return RIGHT if near else wrong("failed_constraint", 0.5)

    def _groups(self, answer: str, info: str) -> Said:
        try:
            formula, wanted = ast.literal_eval(info)
            wanted = {str(one).lower() for one in wanted}
        except (ValueError, SyntaxError, TypeError, RecursionError):
            return bad(info)
        found = self._mol(answer)
        if found is None:
            return wrong("invalid_mol")
        if self.formula(found) != formula:
            return wrong("wrong_formula")
        if fault := self._unreasonable(found, None):
            return wrong(fault)
        missing = wanted - {one.lower() for one in self.groups_of(found, return_all=True)}
        return wrong(f"failed_constraint: {sorted(missing)[0]}", 0.5) if missing else RIGHT

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


def wrong(reason: str, score: float = 0.0) -> Said:
    """A wrong answer; `score` below 1 is partial credit for training."""
    return ("wrong", reason, score)


def bad(info: str) -> Said:
    """A row whose own check cannot be read."""
    return ("failed", f"bad_check: invalid_ground_truth {info!r}", 0.0)


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
