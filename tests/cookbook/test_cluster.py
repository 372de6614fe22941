"""The files for clusters: Slurm's scripts on a Slurm of one host, the manifest against a schema, cron's line by running it."""

import json
import os
import re
import shlex
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

import jsonschema
import pytest
import yaml
from test_budget import TRAIN, waited, write_traces

from phi4r_lib.cookbook.cli import main
from phi4r_lib.cookbook.planning.costs import FILE
from phi4r_lib.cookbook.settings.profile import load_profile

ROOT = Path(__file__).parents[2]
CLUSTER = ROOT / "notebooks" / "profiles" / "cluster"
RESULTS = "run.write_results('{0}', {{'n': 1}})"
NEEDED = ("slurmctld", "slurmd", "munged", "sbatch", "srun", "scontrol")
HERE = all(shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin") for name in NEEDED) and os.geteuid() == 0
slurm_here = pytest.mark.skipif(not HERE, reason="no Slurm here: as root, apt-get install slurm-wlm munge")


def free_port():
    with socket.socket() as one:
        one.bind(("", 0))
        return one.getsockname()[1]


@pytest.fixture(scope="module")
def slurm(tmp_path_factory):
    """A Slurm of one host with its own munge, in a temporary folder; gone afterwards."""
    folder = Path(os.path.realpath(tmp_path_factory.mktemp("slurm")))
    for place in (folder, *folder.parents[:2]):
        place.chmod(0o755)
    host = socket.gethostname().partition(".")[0]
    config = folder / "slurm.conf"
    config.write_text(
        f"ClusterName=here\nSlurmctldHost={host}\nSlurmctldPort={free_port()}\nSlurmdPort={free_port()}\n"
        f"SlurmUser=root\nSlurmdUser=root\nAuthType=auth/munge\nAuthInfo=socket={folder}/munge.socket\nCredType=cred/munge\n"
        f"StateSaveLocation={folder}/state\nSlurmdSpoolDir={folder}/spool\nSlurmctldPidFile={folder}/ctld.pid\n"
        f"SlurmdPidFile={folder}/d.pid\nSlurmctldLogFile={folder}/ctld.log\nSlurmdLogFile={folder}/d.log\n"
        "ProctrackType=proctrack/linuxproc\nTaskPlugin=task/none\nSelectType=select/cons_tres\nSelectTypeParameters=CR_CPU\n"
        f"MpiDefault=none\nReturnToService=2\nJobRequeue=1\nNodeName={host} CPUs={os.cpu_count()} State=UNKNOWN\n"
        "PartitionName=all Nodes=ALL Default=YES MaxTime=INFINITE State=UP\n"
    )
    for name in ("state", "spool"):
        (folder / name).mkdir()
    key = folder / "munge.key"
    key.write_bytes(os.urandom(128))
    key.chmod(0o600)
    environment = os.environ | {"SLURM_CONF": str(config), "PATH": f"{os.environ['PATH']}:/usr/sbin"}
    munge = ["--force", f"--key-file={key}", f"--socket={folder}/munge.socket", f"--pid-file={folder}/munge.pid"]
    munge += [f"--log-file={folder}/munge.log", f"--seed-file={folder}/munge.seed", "--foreground"]
    commands = (["munged", *munge], ["slurmctld", "-D", "-f", str(config)], ["slurmd", "-D", "-f", str(config)])
    daemons = []
    try:
        for command in commands:
            with (folder / f"{command[0]}.out").open("w") as out:
                daemons.append(
                    subprocess.Popen(command, env=environment, stdout=out, stderr=out, start_new_session=True)
                )
            time.sleep(1.5)
        idle = ["sinfo", "-h", "-o", "%T"]
        ready = waited(
            lambda: "idle" in subprocess.run(idle, env=environment, capture_output=True, text=True).stdout, 600
        )
        logs = "".join((folder / f"{command[0]}.out").read_text()[-800:] for command in commands)
        assert ready, logs
        yield environment
    finally:
        for daemon in reversed(daemons):
            daemon.terminate()
            try:
                daemon.wait(20)
            except subprocess.TimeoutExpired:
                daemon.kill()
                daemon.wait()


@pytest.fixture
def job(house, shared_base_dir, slurm):
    """A house with a notebook that trains; `submit(script, launch, passes)` gives job number and log."""
    write_traces(house.root / "traces.jsonl")
    house.notebook("03_train.ipynb", TRAIN, RESULTS.format("03_train"))
    command = house.root / "phi4r"
    command.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m phi4r_lib.cookbook.cli "$@"\n')
    command.chmod(0o755)
    settings = {
        "learning_rate": 1e-4, "batch_size": 2, "block": 64, "warmup_steps": 1, "weight_decay": 0.0,
        "eval_every": 100_000, "eval_problems": 1,
    }  # fmt: skip
    environment = slurm | {
        "PHI4R": str(command),
        "PHI4R_HOME": str(house.root),
        "PROFILE": "cpu",
        "PYTHONPATH": str(ROOT),
    }
    environment |= {"PHI4R_CLUSTER": str(CLUSTER), "OMP_NUM_THREADS": "1"}

    def submit(script, launch, passes):
        facts = {"base": str(shared_base_dir), "traces": str(house.root / "traces.jsonl")}
        facts["settings"] = settings | {"launch": launch, "passes": passes}
        (house.root / "job.json").write_text(json.dumps(facts))
        here = [
            "--nodes=1",
            "--ntasks=2",
            "--ntasks-per-node=2",
            "--cpus-per-task=1",
            "--gpus-per-node=0",
            "--overcommit",
        ]
        sent = subprocess.run(
            ["sbatch", "--parsable", *here, str(CLUSTER / script)], env=environment, cwd=house.root, capture_output=True, text=True,
        )  # fmt: skip
        assert sent.returncode == 0, sent.stderr
        return sent.stdout.strip(), house.root / f"phi4r-{sent.stdout.strip()}.log"

    return submit


def shown(slurm, number, *words):
    done = subprocess.run(["scontrol", "show", "job", number], env=slurm, capture_output=True, text=True)
    return all(word in done.stdout for word in words)


@slurm_here
@pytest.mark.slow
def test_the_script_for_many_nodes_trains_in_two_tasks(house, job, slurm):
    """srun starts a torchrun in each of two tasks; they meet as two hosts would, and the model is written once."""
    launch = {"processes": 1, "hosts": 2, "prefix": "srun --overlap --overcommit --ntasks=2", "port": free_port()}
    number, log = job("slurm_many_nodes.sbatch", launch, 4.0)
    assert waited(lambda: shown(slurm, number, "JobState=COMPLETED") or shown(slurm, number, "JobState=FAILED"), 900)
    text = log.read_text()
    assert shown(slurm, number, "ExitCode=0:0"), text[-3000:]
    assert "03_train" in text and "done in" in text and "\r" not in text and "\x1b" not in text
    out = house.root / "runs/cpu/03_train"
    assert (out / "model/model.safetensors").exists() and json.loads((out / "results.json").read_text())["n"] == 1
    steps = [json.loads(line)["step"] for line in (out / "metrics.jsonl").read_text().splitlines()]
    assert steps == list(range(1, len(steps) + 1))  # one process writes


@slurm_here
@pytest.mark.slow
def test_a_job_that_is_asked_to_end_goes_back_into_the_queue(house, job, slurm):
    number, log = job("slurm_one_node.sbatch", {"processes": 1}, 4000.0)
    metrics = house.root / "runs/cpu/03_train/training/metrics.jsonl"
    try:
        assert waited(lambda: metrics.is_file() and metrics.read_text().count("\n") > 20, 900), log.read_text()
        subprocess.run(["scancel", "--signal=TERM", "--batch", number], env=slurm, check=True)
        assert waited(lambda: shown(slurm, number, "Requeue=1 Restarts=1"), 600), log.read_text()
        assert "asked to end (SIGTERM); run the same command to go on from here" in log.read_text()
        assert list((house.root / "runs/cpu/03_train/training/checkpoints").glob("checkpoint-*/whole.json"))
    finally:
        subprocess.run(["scancel", number], env=slurm)
    assert waited(lambda: shown(slurm, number, "JobState=CANCELLED"), 600)


CELL = """
def measure(cell):
    with open(cell.options["log"], "a") as file:
        file.write(cell.key + chr(10))
    return {}
"""


@slurm_here
@pytest.mark.slow
def test_an_array_shares_the_cells_of_a_sweep(house, slurm, tmp_path):
    """Two tasks of an array, one sweep of two arms and two seeds: every cell once, by one of them."""
    (house.root / "array_cells.py").write_text(CELL)
    (house.root / "runs/start/01_edge").mkdir(parents=True)
    (house.root / "runs/start/01_edge/results.json").write_text("{}")
    log = house.root / "log"
    sweep = {"name": "two", "start": "runs/start", "cell": "array_cells:measure", "seeds": 2, "equal": "nothing"}
    sweep |= {"common": {"log": str(log)}, "arms": {"plain": {}, "other": {}}}
    (house.root / "sweep.yaml").write_text(yaml.safe_dump(sweep))
    command = house.root / "phi4r"
    command.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m phi4r_lib.cookbook.cli "$@"\n')
    command.chmod(0o755)
    environment = slurm | {"PHI4R": str(command), "PHI4R_HOME": str(house.root), "PHI4R_CLUSTER": str(CLUSTER)}
    environment |= {"PYTHONPATH": f"{ROOT}{os.pathsep}{house.root}", "OMP_NUM_THREADS": "1"}
    options = ["--array=1-2", "--cpus-per-task=1", "--gpus-per-node=0", "--wait"]
    script = [str(CLUSTER / "slurm_sweep.sbatch"), "sweep.yaml"]
    done = subprocess.run(
        ["sbatch", *options, *script], env=environment, cwd=house.root, capture_output=True, text=True, timeout=300
    )
    logs = "".join(path.read_text() for path in house.root.glob("phi4r-sweep-*.log"))
    assert done.returncode == 0, done.stderr + logs
    assert sorted(log.read_text().split()) == ["other-1", "other-2", "plain-1", "plain-2"]
    assert logs.count("2 of 2") + logs.count("[2/2]") >= 2


@pytest.mark.parametrize("script", ["slurm_one_node.sbatch", "slurm_many_nodes.sbatch", "slurm_sweep.sbatch", "job.sh"])
def test_scripts_are_sound_shell_and_warn_before_the_profile_s_patience_ends(script):
    text = (CLUSTER / script).read_text()
    assert subprocess.run(["bash", "-n", CLUSTER / script]).returncode == 0
    warned = re.search(r"--signal=B:TERM@(\d+)", text)
    if warned:
        profile = {"slurm_many_nodes.sbatch": "phi4", "slurm_one_node.sbatch": "gpu"}.get(script, "cpu")
        assert int(warned[1]) >= load_profile(profile).deadlines.stop_seconds
        assert "--requeue" in text and "--open-mode=append" in text


JOB = {
    "type": "object",
    "required": ["apiVersion", "kind", "metadata", "spec"],
    "additionalProperties": False,
    "properties": {
        "apiVersion": {"const": "batch/v1"},
        "kind": {"const": "Job"},
        "metadata": {"required": ["name"], "properties": {"name": {"pattern": "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"}}},
        "spec": {
            "required": ["template"],
            "additionalProperties": False,
            "properties": {
                "backoffLimit": {"type": "integer", "minimum": 0},
                "podFailurePolicy": {
                    "required": ["rules"],
                    "properties": {
                        "rules": {
                            "items": {
                                "required": ["action"],
                                "additionalProperties": False,
                                "properties": {
                                    "action": {"enum": ["FailJob", "FailIndex", "Ignore", "Count"]},
                                    "onExitCodes": {
                                        "required": ["operator", "values"],
                                        "additionalProperties": False,
                                        "properties": {
                                            "containerName": {"type": "string"},
                                            "operator": {"enum": ["In", "NotIn"]},
                                            "values": {
                                                "items": {"type": "integer", "minimum": 1}, "minItems": 1, "uniqueItems": True,
                                            },
                                        },
                                    },
                                    "onPodConditions": {"items": {"required": ["type"]}},
                                },
                            }
                        }
                    },
                },
                "template": {
                    "required": ["spec"],
                    "properties": {
                        "spec": {
                            "required": ["containers", "restartPolicy"],
                            "additionalProperties": False,
                            "properties": {
                                "restartPolicy": {"const": "Never"},  # what podFailurePolicy asks for
                                "terminationGracePeriodSeconds": {"type": "integer", "minimum": 1},
                                "containers": {
                                    "minItems": 1,
                                    "items": {
                                        "required": ["name", "image"],
                                        "additionalProperties": False,
                                        "properties": {
                                            "name": {"type": "string"},
                                            "image": {"type": "string", "pattern": ".+:.+"},
                                            "workingDir": {"type": "string", "pattern": "^/"},
                                            "command": {"type": "array", "items": {"type": "string"}},
                                            "env": {"items": {"required": ["name"]}},
                                            "resources": {"properties": {"limits": {"type": "object"}}},
                                            "volumeMounts": {"items": {"required": ["name", "mountPath"]}},
                                        },
                                    },
                                },
                                "volumes": {"items": {"required": ["name"]}},
                            },
                        }
                    },
                },
            },
        },
    },
}  # fmt: skip


def test_the_kubernetes_job_has_the_fields_of_batch_v1():
    manifest = yaml.safe_load((CLUSTER / "kubernetes.yaml").read_text())
    jsonschema.validate(manifest, JOB)
    pod = manifest["spec"]["template"]["spec"]
    container = pod["containers"][0]
    assert {mount["name"] for mount in container["volumeMounts"]} == {volume["name"] for volume in pod["volumes"]}
    assert pod["terminationGracePeriodSeconds"] >= load_profile("gpu").deadlines.stop_seconds
    rules = [rule["onExitCodes"] for rule in manifest["spec"]["podFailurePolicy"]["rules"] if "onExitCodes" in rule]
    assert all(rule["containerName"] == container["name"] for rule in rules)
    assert [rule["values"] for rule in rules] == [[2, 3], [75]]
    assert all("value" in entry or "secretKeyRef" in entry["valueFrom"] for entry in container["env"])


def test_the_ray_profile_is_valid_and_samples_on_a_cluster():
    profile = load_profile(CLUSTER / "ray.yaml")
    assert profile.models.base.kind == "ray" and profile.models.base.options["address"] == "auto"
    assert profile.models.teacher.kind == "openai" and profile.grpo == load_profile("gpu").grpo


def test_cron_s_command_runs(house, capsys):
    (line,) = [line for line in (CLUSTER / "crontab").read_text().splitlines() if line and line[0] != "#"]
    minute, hour, *rest = line.split(maxsplit=5)
    assert (minute, hour, rest[:3]) == ("0", "1", ["*", "*", "*"])
    words = shlex.split(rest[3].partition(">>")[0])
    command = words[words.index(".venv/bin/phi4r") + 1 :]
    assert command == ["run", "--profile", "gpu", "--budget", "8h"]
    house.notebook("01_edge.ipynb", RESULTS.format("01_edge"))
    assert main(["run", "--profile", "cpu", *command[3:]]) == 0


def test_the_airflow_dag_names_the_notebooks_in_their_order():
    text = (CLUSTER / "airflow_dag.py").read_text()
    compile(text, "airflow_dag.py", "exec")
    stages = re.search(r"STAGES = (\[.*?\])", text)[1]
    assert json.loads(stages) == [path.stem for path in sorted((ROOT / "notebooks").glob("0[1-5]_*.ipynb"))]


@pytest.mark.parametrize("stage", ["01_edge", "02_rewrite"])
def test_an_airflow_task_s_command_runs_its_notebook_alone(house, capsys, stage):
    (line,) = [line for line in (CLUSTER / "airflow_dag.py").read_text().splitlines() if "command = f" in line]
    command = eval(line.partition("=")[2], {"PROFILE": "cpu", "stage": stage}).split()
    assert command[0] == ".venv/bin/phi4r"
    for name in ("01_edge", "02_rewrite"):
        house.notebook(f"{name}.ipynb", RESULTS.format(name))
    assert main(command[1:]) == 0
    assert [path.parent.name for path in (house.root / "runs/cpu").glob("*/results.json")] == [stage]


def test_every_file_is_named_in_the_page_beside_it():
    page = (CLUSTER / "README.md").read_text()
    for path in CLUSTER.iterdir():
        assert path.name in page or path.name == "README.md", path.name
    assert (ROOT / FILE).parent == CLUSTER
