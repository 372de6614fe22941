"""The notebooks as an Airflow DAG, one task per notebook in their order.

Put the file into Airflow's dags folder and set PHI4R_HOME to the repository. Airflow keeps its own environment: each task calls
`phi4r run` of the repository, which executes one notebook through papermill, fails unless the notebook wrote its results, and goes on from
what is there when it is tried again. A task that is stopped gets SIGTERM, so a training writes its checkpoint first.
"""

import os
from datetime import datetime

from airflow import DAG
from airflow.providers.standard.operators.bash import BashOperator

HOME = os.environ.get("PHI4R_HOME", "/srv/phi4r")
PROFILE = os.environ.get("PHI4R_PROFILE", "gpu")
STAGES = ["01_edge", "02_rewrite", "03_sft", "04_grpo", "05_variance"]

with DAG("phi4r", start_date=datetime(2026, 1, 1), schedule=None, catchup=False, default_args={"retries": 2}) as dag:
    before = None
    for stage in STAGES:
        command = f".venv/bin/phi4r run --profile {PROFILE} --only {stage[:2]}"
        task = BashOperator(task_id=stage, bash_command=command, cwd=HOME)
        if before:
            before >> task
        before = task
