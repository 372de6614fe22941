from importlib import metadata

from phi4r_lib.cookbook.cli import main
from phi4r_lib.cookbook.planning import doctor


def test_packages_tell_the_tested_version_from_another_and_from_none(tmp_path):
    pins = tmp_path / "constraints.txt"
    pins.write_text(f"# a comment\nPyYAML=={metadata.version('pyyaml')}\n")
    assert doctor.packages(pins).level == "ok"
    pins.write_text("PyYAML==0.1\n")
    finding = doctor.packages(pins)
    assert finding.level == "warning" and "tested 0.1" in finding.text
    pins.write_text("no-such-package-at-all==1\n")
    finding = doctor.packages(pins)
    assert finding.level == "missing" and "pip install" in finding.advice


def test_missing_models_say_how_to_get_them(house):
    findings = doctor.files("cpu")
    assert [finding.level for finding in findings] == ["missing", "missing"]
    assert "make models" in findings[1].advice


def test_threads_that_differ_from_the_cores_are_noticed(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "9999")
    assert doctor.cores().level == "warning"


def test_doctor_ends_with_a_verdict_and_its_exit_code(capsys):
    code = doctor.main()
    lines = capsys.readouterr().out.splitlines()
    assert code == (1 if any(line.startswith("missing") for line in lines) else 0)
    assert "ready" in lines[-1] if code == 0 else "to fix before a run" in lines[-1]


def test_every_finding_that_is_not_ok_gives_advice(monkeypatch):
    monkeypatch.setattr(doctor, "NEEDED_DISK_GB", 1e9)
    monkeypatch.setattr(doctor, "NEEDED_GB", 1e9)
    wrong = [finding for finding in doctor.findings() if finding.level != "ok"]
    assert len(wrong) >= 2 and all(finding.advice for finding in wrong)


def test_verifiers_are_named_with_what_they_lack(monkeypatch):
    """The server of `lean` is nowhere unless it is named; `exact` needs nothing."""
    monkeypatch.delenv("LEAN_SERVER_URL", raising=False)
    finding = doctor.verifiers()
    there, _, absent = finding.text.partition("; not here: ")
    assert "exact" in there and "lean" in absent and "LEAN_SERVER_URL" in finding.advice


def test_doctor_takes_a_profile(capsys, tmp_path):
    own = tmp_path / "own.yaml"
    own.write_text("extends: cpu\nmodels: {base: {model: ./nothing-here}}\n", encoding="utf-8")
    assert main(["doctor", "--profile", str(own)]) == 1
    assert "models.base" in capsys.readouterr().out
    assert main(["doctor", "--profile", "nonsense"]) == 2 and "unknown profile" in capsys.readouterr().err


def test_a_key_that_an_endpoint_needs_is_asked_for(monkeypatch, tmp_path):
    monkeypatch.delenv("NO_SUCH_KEY", raising=False)
    own = tmp_path / "own.yaml"
    options = "{base_url: 'http://127.0.0.1:9/v1', key_env: NO_SUCH_KEY}"
    own.write_text(
        f"extends: cpu\nmodels: {{teacher: {{kind: openai, model: m, options: {options}}}}}\n", encoding="utf-8"
    )
    (finding,) = doctor.files(str(own))
    assert finding.level == "missing" and "NO_SUCH_KEY" in finding.text
