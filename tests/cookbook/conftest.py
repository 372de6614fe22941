"""A house of its own for every test: profiles, tiny data files and notebooks built on the spot."""

import re
import shutil
import signal
from pathlib import Path

import nbformat
import pytest

from phi4r_lib.cookbook.settings.sections import Profile

ROOT = Path(__file__).parents[2]
KNOWN = {"extends", *Profile.model_fields}
PARAMETERS = 'profile = "cpu"\nout = "runs/cpu"\noverrides = {}'
OPEN = "from phi4r_lib.cookbook.run import open_run\nrun = open_run(profile, out, overrides)"


class House:
    """A repository in a temporary folder."""

    def __init__(self, root: Path) -> None:
        self.root = root
        shutil.copytree(ROOT / "notebooks" / "profiles", root / "notebooks" / "profiles")
        for path in (root / "notebooks" / "profiles").glob(
            "*.yaml"
        ):  # settings of notebooks that are not in this house
            sections = re.split(r"^(?=\w)", path.read_text(encoding="utf-8"), flags=re.MULTILINE)
            ours = [text for text in sections if (name := text.partition(":")[0]) in KNOWN or not name.isidentifier()]
            path.write_text("".join(ours), encoding="utf-8")
        (root / "data").mkdir()
        row = '{"id": "a", "domain": "math", "prompt": "1+1?", "source": "test", "licence": "MIT"}\n'
        (root / "data" / "seeds.jsonl").write_text(row)

    @staticmethod
    def heed_signals() -> None:
        """For `preexec_fn`: a background job inherits an ignored SIGINT, one under nohup an ignored SIGHUP; CI may be either."""
        signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.signal(signal.SIGHUP, signal.SIG_DFL)

    def notebook(
        self,
        name: str,
        *cells: str,
        needs: tuple[str, ...] = (),
        parameters: str = PARAMETERS,
        tag: str = "parameters",
        **entry,
    ) -> Path:
        """Writes a notebook: parameters, open_run, then the given cells; `needs` and `entry` go into its declaration."""
        sources = [parameters, OPEN, *cells]
        book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for source in sources])
        book.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
        book.metadata["phi4r"] = {"stage": Path(name).stem, "needs": list(needs), **entry}
        book.cells[0].metadata["tags"] = [tag]
        path = self.root / "notebooks" / name  # an absolute name leads elsewhere
        path.parent.mkdir(parents=True, exist_ok=True)
        nbformat.write(book, path)
        return path


@pytest.fixture
def house(tmp_path, monkeypatch):
    """An empty house; PHI4R_HOME points at it."""
    monkeypatch.setenv("PHI4R_HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    return House(tmp_path)
