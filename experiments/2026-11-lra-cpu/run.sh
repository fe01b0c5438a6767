#!/usr/bin/env bash
# The runs of this experiment, one after the other. Each is resumable: run the script again after an interruption.
#   experiments/2026-11-lra-cpu/run.sh [RUNS [BIN]]
# RUNS: where run directories go. BIN: the folder of the built program.
set -euo pipefail
cd "$(dirname "$0")/../.."
runs="${1:-runs/lra}" bin="${2:-target/release}" lra=datasets/lra

train() { # NAME CONFIG [--set key=value]...
  local name="$1" config="$2"
  shift 2
  if grep -qs '"ended_by": "finished"' "$runs/$name/summary.json"; then return; fi
  "$bin/nystromformer" train "configs/lra/$config.toml" --set name="$name" "$@" --run-dir "$runs/$name" --resume
}

[ -e $lra/listops/data/basic_train.tsv ] || "$bin/nystromformer" generate listops --output $lra/listops/data
[ -e $lra/pathfinder/data/pathfinder32 ] || "$bin/nystromformer" generate pathfinder --output $lra/pathfinder/data --examples 50000
[ -e $lra/retrieval/data ] || "$bin/nystromformer" generate retrieval --output $lra/retrieval/data

# The paper's recipe. Softmax without dropout of probabilities: with it they would have to be held, n² of them.
train listops-nystrom-64 listops --set model.num_landmarks=64
# Its rate times ten.
train listops-lr1e-3 listops --set model.num_landmarks=64 --set optimizer.learning_rate=1e-3 --set trainer.max_steps=1500 \
  --set trainer.eval_every=250 --set schedule.pct_start=0.1

# From here on with that rate and gradients clipped, one thread a run.
export RAYON_NUM_THREADS=1
better=(--set model.num_landmarks=64 --set optimizer.learning_rate=1e-3 --set schedule.pct_start=0.1 --set trainer.max_grad_norm=1.0)
# ListOps read at its first symbol, which is the root's operator, instead of the mean of all, in batches of like length.
train listops-first listops_first
# The same without dropout, at first with no more than the first 256 symbols of each expression: an eighth of the symbols, half the time of a step.
first=(--set model.hidden_dropout_prob=0 --set model.attention_probs_dropout_prob=0 --set model.activation_dropout=0)
train listops-first-256 listops_first "${first[@]}" --set data.seq_len=256 --set trainer.max_steps=5000 --set trainer.eval_every=500 \
  --set trainer.micro_batch_size=32
train listops-first-full listops_first "${first[@]}" --set model.init_from="$runs/listops-first-256" --set optimizer.learning_rate=5e-4 \
  --set trainer.max_steps=1000 --set trainer.micro_batch_size=4
# Both ends of each expression, 64 symbols of either; then with more layers and steps.
train listops-head-tail-2-layers listops_head_tail --set model.num_hidden_layers=2 --set model.num_attention_heads=2 \
  --set trainer.max_steps=6000 --set trainer.eval_every=500
train listops-head-tail listops_head_tail
# A quarter of the paper's steps of half its batch; pictures in batches of 16 instead of 256.
train text-nystrom-64 text "${better[@]}" --set task.group_by_length=true --set trainer.max_steps=5000 --set trainer.batch_size=16 \
  --set trainer.micro_batch_size=8 --set trainer.eval_every=500
pictures=("${better[@]}" --set trainer.batch_size=16 --set trainer.max_steps=3000)
train image-nystrom-64 image "${pictures[@]}"
train pathfinder-nystrom-64 pathfinder "${pictures[@]}"
train retrieval-nystrom-64 retrieval "${better[@]}" --set trainer.batch_size=8 --set trainer.micro_batch_size=4 \
  --set trainer.max_steps=300 --set trainer.eval_every=100
# The paper's recipe with other attention, last: an hour and more each. Batches are cut into pairs of like length: less padding, the same
# batches.
train listops-nystrom-128 listops --set trainer.micro_batch_size=2
train listops-softmax listops --set model.attention=softmax --set model.attention_probs_dropout_prob=0 --set trainer.micro_batch_size=2
"$bin/nystromformer" compare $(dirname "$runs"/*/summary.json)
