#!/usr/bin/env bash
# The runs of this experiment, one after the other. Each is resumable: run the script again after an interruption.
#   experiments/2026-11-labelled-cpu/run.sh DATA ENCODER [RUNS [BIN]]
# DATA: a folder with what `make_reuters.py`, `make_cuad.py` and `make_hyperpartisan.py` wrote, in `reuters`, `cuad` and
# `hyperpartisan`. ENCODER: a BERT of 512 positions in Hugging Face's form. RUNS: where run directories go. BIN: the folder of the
# built program. ONLY=NAME runs those whose name begins so; STEPS=N stops after N steps.
set -euo pipefail
cd "$(dirname "$0")/../.."
data="$1" encoder="$2" runs="${3:-runs/labelled}" bin="${4:-target/release}"

. experiments/from_encoder.sh

start start-512
start start-1024 --set max_position_embeddings=1024
start start-4096 --set max_position_embeddings=4096

# R90: thresholds chosen on a tenth of the training part; the test part is read once.
tune reuters labelled/labelled_topics "$runs/start-512" --set task.path="$data/reuters" --set task.label=topics

# Clauses of whole contracts: one fold of five, read from their beginning, from both ends, and whole up to 4,096 tokens.
cuad=(--set task.path="$data/cuad" --set task.label=clauses --set task.folds=5 --set task.fold=1 --set trainer.max_epochs=20
  --set trainer.batch_size=8 --set trainer.micro_batch_size=2 --set trainer.eval_every=100 --set trainer.checkpoint_every=100)
tune cuad-512-head labelled/labelled_topics "$runs/start-512" "${cuad[@]}" --set data.seq_len=512
tune cuad-512-head-tail labelled/labelled_topics "$runs/start-512" "${cuad[@]}" --set data.seq_len=512 --set task.truncation=head_tail
tune cuad-4096 labelled/labelled_topics "$runs/start-4096" "${cuad[@]}" --set data.seq_len=4096 --set trainer.micro_batch_size=1

# Ten folds, each tested on once.
hyperpartisan=(--set task.path="$data/hyperpartisan" --set task.label=hyperpartisan)
tune hyperpartisan-512 labelled/labelled_folds "$runs/start-512" "${hyperpartisan[@]}" --set data.seq_len=512
tune hyperpartisan-1024 labelled/labelled_folds "$runs/start-1024" "${hyperpartisan[@]}" --set data.seq_len=1024
