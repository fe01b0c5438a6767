#!/usr/bin/env bash
# What a masked-LM loses when its exact attention is swapped and nothing is trained, by the rule for landmarks. The encoder has no
# head for masked tokens, so first one is trained, with exact attention and the upper layers. Resumable. Prints a table.
#   mlm_gap.sh ENCODER REVIEWS RUNS [BIN]
# ENCODER: a BERT of 512 positions in Hugging Face's form. REVIEWS: JSON lines with a `text`. RUNS: where run directories go.
set -euo pipefail
cd "$(dirname "$0")/../.."
encoder="$1" reviews="$2" runs="$3" bin="${4:-target/release}"
. experiments/from_encoder.sh
. experiments/2026-11-attention-family-cpu/rules.sh

start exact --set attention=softmax
tune mlm mlm_from "$runs/exact" --set tokenizer.path="$runs/exact" --set data.corpus="$reviews" --set data.cache_dir="$runs/cache" \
  --set data.validation_fraction=0.02 --set trainer.eval_examples=80 --set trainer.max_steps="${MLM_STEPS:-300}" \
  --set trainer.batch_size=8 --set trainer.micro_batch_size=4 --set schedule.warmup_steps=30 --set optimizer.learning_rate=5e-4 \
  --set trainer.freeze_layers=4 --set trainer.freeze_embeddings=true --set trainer.eval_every=100 --set trainer.checkpoint_every=100

trained=$(find "$runs/mlm/checkpoints" -mindepth 1 -maxdepth 1 -name 'step-*' | sort | tail -1)

echo "| attention | held-out loss | accuracy |"
echo "|---|---|---|"

kind=()
measure() { # NAME [--set key=value]...
  local name="$1"
  shift
  [ -e "$runs/mlm-$name/config.json" ] || "$bin/nystromformer" import --from "$trained" --output "$runs/mlm-$name" "${kind[@]}" "$@"
  [ -s "$runs/mlm-$name.json" ] || {
    "$bin/nystromformer" evaluate --model "$runs/mlm-$name" --config "$runs/mlm/config.toml" >"$runs/part"
    mv "$runs/part" "$runs/mlm-$name.json"
  }
  python3 - "$name" "$runs/mlm-$name.json" <<'PY'
import json, sys

found = json.load(open(sys.argv[2]))
print(f"| {sys.argv[1]} | {found['loss']:.4f} | {100 * found['accuracy']:.2f} |")
PY
}

measure softmax
# The convolution of a start is zero, so that landmarks alone are measured.
kind=(--set attention=nystrom --set conv_kernel_size=33)
every_rule
