#!/usr/bin/env bash
# The first 500 steps of the quickstart in three precisions, three seeds each, and in f32 with micro-batches of half the size, which
# changes nothing but how sums are rounded: at its own rate, and at the rate of configs/mlm512.toml. Resumable. Prints tables of differences;
# every loss goes to RUNS/losses.csv.
#   run.sh RUNS [BIN]
set -euo pipefail
cd "$(dirname "$0")/../.."
runs="$1" bin="${2:-target/release}"

tune() { # NAME SEED [--set key=value]...
  local run="$runs/$1-$2" seed="$2"
  shift 2
  "$bin/nystromformer" train configs/quickstart.toml --run-dir "$run" --resume --set seed="$seed" --set trainer.max_steps=500 \
    --set data.cache_dir="$runs/cache" "$@"
}

for seed in 0 1 2; do
  for rate in "" "1e-4"; do
    all=(${rate:+--set optimizer.learning_rate="$rate"})
    tune "f32${rate:+-$rate}" "$seed" "${all[@]}"
    tune "bf16${rate:+-$rate}" "$seed" "${all[@]}" --set trainer.precision=bf16
    tune "f16${rate:+-$rate}" "$seed" "${all[@]}" --set trainer.precision=f16
    tune "f32_halved${rate:+-$rate}" "$seed" "${all[@]}" --set trainer.micro_batch_size=8
  done
done
python3 experiments/2026-11-bf16-cpu/curves.py "$runs" 2>&1 >"$runs/losses.csv"
