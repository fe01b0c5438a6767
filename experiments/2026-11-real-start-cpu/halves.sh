#!/usr/bin/env bash
# GLUE with its validation sets cut in two: CHOOSE/TASK has the training set and the half that chooses the checkpoint, REPORT/TASK
# the half that is reported. Rows go to one and the other in turn.
#   experiments/2026-11-real-start-cpu/halves.sh GLUE DEST
# GLUE: the folder that the official download script writes. DEST gets `choose` and `report`.
set -euo pipefail
glue="$(cd "$1" && pwd)" dest="$2"
for task in CoLA MRPC RTE STS-B SST-2; do
  header=1
  [ "$task" = CoLA ] && header=0
  mkdir -p "$dest/choose/$task" "$dest/report/$task"
  ln -sf "$glue/$task/train.tsv" "$dest/choose/$task/train.tsv"
  ln -sf "$glue/$task/train.tsv" "$dest/report/$task/train.tsv"
  awk -v header="$header" 'NR <= header || (NR - header) % 2 == 1' "$glue/$task/dev.tsv" >"$dest/choose/$task/dev.tsv"
  awk -v header="$header" 'NR <= header || (NR - header) % 2 == 0' "$glue/$task/dev.tsv" >"$dest/report/$task/dev.tsv"
done
