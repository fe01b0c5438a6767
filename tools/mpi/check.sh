#!/usr/bin/env bash
# Trains the tiny configurations on several ranks: the same weights as one process, the promised exit codes, and no hang.
#   tools/mpi/check.sh WITHOUT WITH [KILLS]
# WITHOUT and WITH are programs built without and with the feature `mpi`; KILLS, how many times a rank is killed (default 3).
set -euo pipefail
cd "$(dirname "$0")/../.."
without="$1" with="$2" kills="${3:-3}"

# For Open MPI: ranks may be more than cores, and this may run in a container.
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
export OMPI_MCA_rmaps_base_oversubscribe=1 OMPI_MCA_hwloc_base_binding_policy=none OMPI_MCA_odls_base_sigkill_timeout=3
export OMPI_MCA_btl_vader_single_copy_mechanism=none

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

fail() {
  echo "mpi: $1" >&2
  [ ! -e "$scratch/log" ] || cat "$scratch/log" >&2
  exit 1
}

# Starts a training on N ranks in the background; `job` is its launcher. No hang is waited for longer than two minutes.
start() { # N RUN [train's arguments]
  local ranks="$1" run="$2"
  shift 2
  timeout --foreground -k 5 120 mpirun -n "$ranks" "$with" train "$@" --run-dir "$run" >"$scratch/log" 2>&1 &
  job=$!
}

finish() { # EXPECTED EXIT CODES, WHAT
  local code=0
  wait "$job" || code=$?
  [[ " $1 " == *" $code "* ]] || fail "$2: exit code $code, and not $1"
}

train_on() { # as `start`
  start "$@"
  finish 0 "$1 ranks"
}

# Waits until a run has so many lines of metrics.
until_steps() { # RUN LINES
  local tries=0
  until [ "$(wc -l 2>/dev/null <"$1/metrics.jsonl" || echo 0)" -ge "$2" ]; do
    tries=$((tries + 1))
    [ "$tries" -lt 600 ] || fail "no $2 steps in a minute"
    sleep 0.1
  done
}

# The process of a rank of the run that goes on in RUN.
process_of_rank() { # RANK RUN
  local process
  for process in $(pgrep -f -- "--run-dir $2\$"); do
    if tr '\0' '\n' <"/proc/$process/environ" 2>/dev/null | grep -qx "OMPI_COMM_WORLD_RANK=$1"; then
      echo "$process"
      return
    fi
  done
  fail "rank $1 is not there"
}

newest() { find "$1/checkpoints" -mindepth 1 -maxdepth 1 -name 'step-*' | sort | tail -1; }

# Weights, moments, and all metrics but the times.
same() { # RUN EXPECTED WHAT
  local file
  for file in model.safetensors optimizer.safetensors; do
    cmp "$(newest "$1")/$file" "$(newest "$2")/$file" || fail "$3: another $file"
  done
  cmp <(without_times "$1") <(without_times "$2") || fail "$3: other metrics"
}

without_times() { sed -E 's/,"(tokens_per_second|elapsed_s)":[^,}]*//g' "$1/metrics.jsonl"; }

mlm=(configs/tiny/mlm.toml --set trainer.micro_batch_size=2)
"$without" train "${mlm[@]}" --run-dir "$scratch/mlm" 2>/dev/null
for ranks in 1 2 4; do
  train_on "$ranks" "$scratch/mlm-$ranks" "${mlm[@]}"
  same "$scratch/mlm-$ranks" "$scratch/mlm" "masked tokens on $ranks ranks"
  # From two ranks on, gradients travel while the backward pass goes on.
  [ "$ranks" = 1 ] || grep -qE '`[1-9][0-9]*` of `[0-9]+` buckets' "$scratch/log" || fail "nothing was sent before the backward pass ended"
done
train_on 2 "$scratch/mlm-after" "${mlm[@]}" --set ranks.overlap=false
same "$scratch/mlm-after" "$scratch/mlm" "masked tokens without overlap"
! grep -q 'buckets' "$scratch/log" || fail "gradients were sent early without overlap"

# A task whose best model is measured on a test split, with class weights, and two seeds.
mkdir "$scratch/data"
for part in train validation test; do
  { echo "text,label"; for row in 1 2 3 4 5 6 7 8 9; do echo "paris is in france. $part,yes"; [ $((row % 3)) = 0 ] || echo "rome is in france. $row,no"; done; } \
    >"$scratch/data/$part.csv"
done
task=(configs/tiny/labelled.toml --set model.init_from="$scratch/mlm" --set task.path="$scratch/data" --set task.validation_fraction=0
  --set task.class_weights=balanced --set trainer.micro_batch_size=2 --set 'seeds=[1, 2]')
"$without" train "${task[@]}" --run-dir "$scratch/task" >/dev/null 2>&1
for ranks in 2 4; do
  train_on "$ranks" "$scratch/task-$ranks" "${task[@]}"
  for seed in 1 2; do
    same "$scratch/task-$ranks/seed-$seed" "$scratch/task/seed-$seed" "a task on $ranks ranks"
    cmp "$scratch/task-$ranks/seed-$seed/predictions/test.jsonl" "$scratch/task/seed-$seed/predictions/test.jsonl" || fail "other predictions"
  done
done

# Interrupted, and gone on with on other numbers of ranks: two, one, four. SIGTERM comes to one rank alone.
long=("${mlm[@]}" --set trainer.max_steps=150 --set trainer.eval_every=40 --set trainer.checkpoint_every=30)
"$without" train "${long[@]}" --run-dir "$scratch/long" 2>/dev/null
run="$scratch/stopped"
start 2 "$run" "${long[@]}"
until_steps "$run" 20
kill -TERM "$(process_of_rank 1 "$run")"
finish 75 "SIGTERM to rank 1"
"$without" train "${long[@]}" --run-dir "$run" --resume --set trainer.log_every=1000 >/dev/null 2>&1 &
job=$!
until_steps "$run" 60
kill -TERM "$job"
finish 75 "SIGTERM to one process"
train_on 4 "$run" "${long[@]}" --resume
same "$run" "$scratch/long" "2, 1 and 4 ranks"

# A rank that is killed ends the job at once, and nothing is lost but the interval. So many steps that no kill comes too late.
run="$scratch/killed"
longer=("${mlm[@]}" --set trainer.max_steps=1500 --set trainer.eval_every=500 --set trainer.checkpoint_every=50)
"$without" train "${longer[@]}" --run-dir "$scratch/longer" 2>/dev/null
start 2 "$run" "${longer[@]}"
for ((kill = 1; kill <= kills; kill++)); do
  until_steps "$run" $((kill * 1000 / kills))
  sleep "0.$((RANDOM % 10))"
  # The job may still be starting.
  rank=$((RANDOM % 2)) tries=0
  until victim=$(process_of_rank "$rank" "$run" 2>/dev/null); do
    tries=$((tries + 1))
    [ "$tries" -lt 100 ] || fail "there is no rank $rank for kill $kill"
    sleep 0.1
  done
  kill -KILL "$victim"
  finish "137 1" "kill -9"
  start 2 "$run" "${longer[@]}" --resume
done
finish 0 "the session after kill -9"
same "$run" "$scratch/longer" "killed $kills times"

# A rank that hangs is named, with the step.
run="$scratch/hung"
start 2 "$run" "${long[@]}" --set ranks.timeout_seconds=2
until_steps "$run" 5
kill -STOP "$(process_of_rank 1 "$run")"
finish 7 "a hung rank"
grep -q 'rank `0` waits for rank `1` in vain at step' "$scratch/log" || fail "the hung rank is not named"

# A full disk, a wrong configuration, more ranks than there is work for: one line, and the code that one process would give.
# Of the ranks alone, which then must not keep messages in files of shared memory.
# shellcheck disable=SC2016
PMIX_MCA_gds=hash OMPI_MCA_btl=tcp,self timeout -k 5 60 mpirun -n 2 bash -c 'ulimit -f 100; exec "$@"' -- \
  "$with" train "${mlm[@]}" --run-dir "$scratch/disk" >"$scratch/log" 2>&1 &
job=$!
finish 7 "a full disk"
start 2 "$scratch/wrong" "${mlm[@]}" --set trainer.max_step=3
finish 2 "a wrong key"
start 5 "$scratch/many" "${mlm[@]}"
finish 2 "more ranks than micro-batches"
[ "$(grep -c 'micro-batches' "$scratch/log")" = 1 ] || fail "an error of all is told by all"
if mpirun -n 2 "$without" train "${mlm[@]}" --run-dir "$scratch/without" >"$scratch/log" 2>&1; then fail "without MPI"; fi
grep -q 'built without MPI' "$scratch/log" || fail "a program without MPI does not say so"
echo "mpi: the same bits on 1, 2 and 4 ranks; $kills kills, a hang, a stop, a full disk: as promised"
