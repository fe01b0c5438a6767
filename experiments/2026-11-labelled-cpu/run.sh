#!/usr/bin/env bash
# The runs of this experiment, one after the other. Each is resumable: run the script again after an interruption.
#   experiments/2026-11-labelled-cpu/run.sh DATA ENCODER [RUNS [BIN]]
# DATA: a folder with what `make_reuters.py`, `make_cuad.py` and `make_hyperpartisan.py` wrote, in `reuters`, `cuad` and
# `hyperpartisan`. ENCODER: a BERT of 512 positions in Hugging Face's form. RUNS: where run directories go. BIN: the folder of the
# built program. ONLY=NAME runs those whose name begins so; STEPS=N stops after N steps.
set -euo pipefail
cd "$(dirname "$0")/../.."
data="$1" encoder="$2" runs="${3:-runs/labelled}" bin="${4:-target/release}"

finished() { grep -qs '"ended_by": "finished"\|"best_seed"' "$1/summary.json"; }

# The encoder with its attention swapped; for longer texts with its positions repeated.
start() { # NAME [--set key=value]...
  local name="$1"
  shift
  [ -e "$runs/$name/config.json" ] || "$bin/nystromformer" import --from "$encoder" --output "$runs/$name" \
    --set num_landmarks=64 --set conv_kernel_size=33 "$@"
}
mkdir -p "$runs"
start start-512
start start-1024 --set max_position_embeddings=1024
start start-4096 --set max_position_embeddings=4096

tune() { # NAME CONFIG START [--set key=value]...
  local name="$1" config="$2" start="$3"
  shift 3
  case "$name" in "${ONLY:-}"*) ;; *) return 0 ;; esac
  local stop=()
  if [ -n "${STEPS:-}" ]; then stop=(--set trainer.max_epochs=0 --set trainer.max_steps="$STEPS"); fi
  finished "$runs/$name" || "$bin/nystromformer" train "configs/labelled/$config.toml" --set name="$name" \
    --set model.init_from="$runs/$start" "$@" "${stop[@]}" --run-dir "$runs/$name" --resume
}

# R90: thresholds chosen on a tenth of the training part; the test part is read once.
tune reuters labelled_topics start-512 --set task.path="$data/reuters" --set task.label=topics

# Clauses of whole contracts: one fold of five, read from their beginning, from both ends, and whole up to 4,096 tokens.
cuad=(--set task.path="$data/cuad" --set task.label=clauses --set task.folds=5 --set task.fold=1 --set trainer.max_epochs=20
  --set trainer.batch_size=8 --set trainer.micro_batch_size=2 --set trainer.eval_every=100 --set trainer.checkpoint_every=100)
tune cuad-512-head labelled_topics start-512 "${cuad[@]}" --set data.seq_len=512
tune cuad-512-head-tail labelled_topics start-512 "${cuad[@]}" --set data.seq_len=512 --set task.truncation=head_tail
tune cuad-4096 labelled_topics start-4096 "${cuad[@]}" --set data.seq_len=4096 --set trainer.micro_batch_size=1

# Ten folds, each tested on once.
hyperpartisan=(--set task.path="$data/hyperpartisan" --set task.label=hyperpartisan)
tune hyperpartisan-512 labelled_folds start-512 "${hyperpartisan[@]}" --set data.seq_len=512
tune hyperpartisan-1024 labelled_folds start-1024 "${hyperpartisan[@]}" --set data.seq_len=1024
