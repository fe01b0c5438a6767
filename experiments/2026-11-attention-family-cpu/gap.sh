#!/usr/bin/env bash
# How far a BERT is from itself when its attention is swapped and nothing is trained, by the rule for landmarks: the error and the
# cosine of hidden states beside exact attention, on held-out reviews of up to 512 tokens. Resumable. Prints a table.
#   gap.sh ENCODER REVIEWS RUNS [BIN]
# ENCODER: a BERT of 512 positions in Hugging Face's form. REVIEWS: JSON lines with a `text`. RUNS: where run directories go.
set -euo pipefail
cd "$(dirname "$0")/../.."
encoder="$1" reviews="$2" runs="$3" bin="${4:-target/release}"
. experiments/from_encoder.sh
. experiments/2026-11-attention-family-cpu/rules.sh

start exact --set attention=softmax

measure() { # NAME [--set key=value]...
  local name="$1"
  shift
  start "$name" "$@"
  # One step on one text, whose model nobody reads: what is measured is step 0.
  tune "at-$name" convert/network "$runs/$name" --set distill.teacher="$runs/exact" --set data.corpus="$reviews" \
    --set data.cache_dir="$runs/cache" --set data.validation_fraction=0.02 --set trainer.eval_examples=80 --set trainer.max_steps=1 \
    --set trainer.batch_size=1 --set trainer.micro_batch_size=1 --set schedule.warmup_steps=0
}

every_rule

echo "| start | cosine | error |"
echo "|---|---|---|"
for run in "$runs"/at-*/; do
  python3 - "$run" <<'PY'
import json, pathlib, sys

run = pathlib.Path(sys.argv[1])
lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
first = next(line for line in lines if line.get("step") == 0)
print(f"| {run.name[3:]} | {first['cosine']:.4f} | {first['relative_error']:.3f} |")
PY
done
