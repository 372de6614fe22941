"""The notebooks as an Airflow DAG through its papermill operator, one task per notebook in their order.

Put the file into Airflow's dags folder and set PHI4R_HOME to the repository; needs apache-airflow-providers-papermill. A task that
is run again goes on from what is there. Papermill calls a notebook finished that ended early, so the last task asks the run itself.
"""

import os
from datetime import datetime
from pathlib import Path

from airflow import DAG
from airflow.providers.papermill.operators.papermill import PapermillOperator
from airflow.providers.standard.operators.bash import BashOperator

HOME = Path(os.environ.get("PHI4R_HOME", "/srv/phi4r"))
PROFILE = os.environ.get("PHI4R_PROFILE", "gpu")
STAGES = ["01_edge", "02_rewrite", "03_sft", "04_grpo", "05_variance"]
PARAMETERS = {"profile": PROFILE, "out": f"runs/{PROFILE}"}

with DAG("phi4r", start_date=datetime(2026, 1, 1), schedule=None, catchup=False, default_args={"retries": 2}) as dag:
    before = None
    for stage in STAGES:
        task = PapermillOperator(
            task_id=stage,
            input_nb=str(HOME / "notebooks" / f"{stage}.ipynb"),
            output_nb=str(HOME / "runs" / PROFILE / "notebooks" / f"{stage}.ipynb"),
            parameters=PARAMETERS,
            kernel_name="python3",
        )
        if before:
            before >> task
        before = task
    check = BashOperator(
        task_id="check",
        bash_command=f"cd {HOME} && .venv/bin/phi4r run --profile {PROFILE} --from 01",  # runs what is not done; 0 when all is
    )
    before >> check
