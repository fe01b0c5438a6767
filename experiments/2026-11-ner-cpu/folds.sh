#!/usr/bin/env bash
# Five folds over LitBank's documents: FOLDS/1 … FOLDS/5, each with the folders train, validation and test.
#   experiments/2026-11-ner-cpu/folds.sh TSV FOLDS
# TSV: the folder with a file a document. Every fifth document, by name, is tested on, and the one after it chooses the checkpoint.
set -euo pipefail
tsv="$(cd "$1" && pwd)" folds="$2"
for fold in 1 2 3 4 5; do
  mkdir -p "$folds/$fold"/{train,validation,test}
  number=0
  for file in "$tsv"/*.tsv; do
    case $(((number - fold + 6) % 5)) in
      0) part=test ;;
      1) part=validation ;;
      *) part=train ;;
    esac
    ln -sf "$file" "$folds/$fold/$part/"
    number=$((number + 1))
  done
done
