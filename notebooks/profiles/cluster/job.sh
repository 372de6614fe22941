# Read by the Slurm scripts beside it: settings of the environment, and a run that goes back into the queue when it was asked to end.
export HF_HUB_OFFLINE="${HF_HUB_OFFLINE:-1}"          # nothing is fetched: models are folders, or were fetched before into HF_HOME
export HF_HUB_DISABLE_TELEMETRY=1
export OMP_NUM_THREADS="${OMP_NUM_THREADS:-${SLURM_CPUS_PER_TASK:-1}}"

run_and_requeue() {
    "$@" &
    local child=$! code=0
    trap 'kill -TERM "$child"' TERM                   # Slurm's warning: a training writes its checkpoint and ends
    wait "$child"; code=$?
    while kill -0 "$child" 2>/dev/null; do wait "$child"; code=$?; done   # a signal ends `wait` early
    if [ "$code" -eq 75 ]; then                       # asked to end: the same job once more, it goes on from there
        scontrol requeue "$SLURM_JOB_ID"
    fi
    exit "$code"
}
