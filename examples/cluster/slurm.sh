#!/usr/bin/env bash
# A study on the nodes of a Slurm job: sbatch examples/cluster/slurm.sh STUDY.yaml
# If you or Slurm start the job again, the study continues where it stopped.
#SBATCH --job-name=searchlab
#SBATCH --nodes=4
#SBATCH --ntasks-per-node=1
#SBATCH --cpus-per-task=8
#SBATCH --time=1-00:00:00
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --output=searchlab-%j.log
# Two minutes before the time limit: save everything and requeue.
#SBATCH --signal=B:USR1@120
# For GPUs: --gpus-per-node=4
set -euo pipefail

study=${1:?usage: sbatch slurm.sh STUDY.yaml}
# A folder that all nodes see. The storage is SEARCHLAB_STORAGE if it is set, else SQLite in the run
# folder. While the job runs, no other machine may open the SQLite file, not even to read it: watch
# the study from this node, as README.md shows.
runs_dir=${SEARCHLAB_RUNS:-$PWD/runs}
max_restarts=20

# --- Stopping: USR1 shortly before the time limit, TERM from `scancel --batch --signal=TERM` ---
driver='' requeue=no signalled=no
end_early() {
  signalled=yes
  if [ -z "$driver" ]; then
    exit 143
  fi
  kill -TERM "$driver" 2>/dev/null || true
}
clean_up() {
  local code=$?
  # 3: a machine failed, not the study.
  if [ "$code" -eq 3 ] || { [ "$requeue" = yes ] && [ "$code" -ne 0 ]; }; then
    if [ "${SLURM_RESTART_COUNT:-0}" -lt "$max_restarts" ]; then
      scontrol requeue "$SLURM_JOB_ID"
    fi
  fi
  jobs -p | xargs -r kill 2>/dev/null || true
  rm -rf "$job_dir"
}
job_dir=$runs_dir/.slurm-$SLURM_JOB_ID
trap clean_up EXIT
trap 'requeue=yes; end_early' USR1
trap end_early TERM INT

# --- The token: without it nobody on any node can use the cluster ---
(umask 077 && mkdir -p "$job_dir" && openssl rand -hex 32 >"$job_dir/token")
chmod 600 "$job_dir/token"
export RAY_AUTH_MODE=token RAY_AUTH_TOKEN_PATH=$job_dir/token
export RAY_TMPDIR=${TMPDIR:-/tmp} RAY_USAGE_STATS_ENABLED=0

# The steps inherit the environment but do not need the database's password.
storage=${SEARCHLAB_STORAGE:-}
unset SEARCHLAB_STORAGE

# --- Ray: the head runs on the first node, as this script does ---
head=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1)
head_ip=$(getent ahostsv4 "$head" | awk 'NR == 1 { print $1 }')
address=$head_ip:$((20000 + SLURM_JOB_ID % 10000))
size=(--num-cpus="${SLURM_CPUS_PER_TASK:-1}" --num-gpus="${SLURM_GPUS_ON_NODE:-0}")
step=(srun --overlap --ntasks-per-node=1 --cpus-per-task="${SLURM_CPUS_PER_TASK:-1}")

"${step[@]}" --nodes=1 --ntasks=1 --nodelist="$head" \
  ray start --head --node-ip-address="$head_ip" --port="${address##*:}" "${size[@]}" --block &
workers=$((SLURM_JOB_NUM_NODES - 1))
if [ "$workers" -gt 0 ]; then
  "${step[@]}" --nodes="$workers" --ntasks="$workers" --exclude="$head" \
    bash -c 'until ray start "$@" --block; do sleep 5; done' ray \
    --address="$address" "${size[@]}" &
fi

python - "$address" "$SLURM_JOB_NUM_NODES" <<'PYTHON'
import sys
import time

import ray

address, wanted = sys.argv[1], int(sys.argv[2])
deadline = time.monotonic() + 300
seen = 0
while seen < wanted and time.monotonic() < deadline:
    time.sleep(2)
    try:
        ray.init(address, log_to_driver=False, logging_level="CRITICAL")
    except (ConnectionError, RuntimeError):  # the head is not up yet
        continue
    seen = sum(node["Alive"] for node in ray.nodes())
    ray.shutdown()
if seen < wanted:
    print(f"only {seen} of {wanted} nodes came up", file=sys.stderr)
    sys.exit(3)  # the code that searchlab uses if a machine failed: requeue
PYTHON

# --- The study ---
name=$(python -c 'import sys, yaml; print(yaml.safe_load(open(sys.argv[1]))["name"])' "$study")
command=(run "$study")
if [ -f "$runs_dir/$name/study.yaml" ]; then
  command=(resume "$runs_dir/$name")
fi
if [ -n "$storage" ]; then
  export SEARCHLAB_STORAGE=$storage
fi
searchlab study "${command[@]}" --address "$address" --runs-dir "$runs_dir" --quiet &
driver=$!

while :; do
  signalled=no code=0
  wait "$driver" || code=$?
  # A signal to this script interrupts `wait` while the driver still runs.
  if [ "$signalled" = no ]; then
    break
  fi
done
exit "$code"
