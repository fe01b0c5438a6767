#!/usr/bin/env bash
# The runs of this experiment, one after the other. Each is resumable: run the script again after an interruption.
#   experiments/2026-11-ner-cpu/run.sh DATA ENCODER OWN [RUNS [BIN]]
# DATA: a folder with `conll` (eng.train, eng.testa), `wnut17` (its three files) and `litbank` (a .tsv file a document).
# ENCODER: a BERT of 512 positions in Hugging Face's form. OWN: a run or a folder of a model pretrained here. RUNS: where run
# directories go. BIN: the folder of the built program. ONLY=NAME runs those whose name begins so; STEPS=N stops after N steps.
set -euo pipefail
cd "$(dirname "$0")/../.."
data="$1" encoder="$2" own="$3" runs="${4:-runs/ner}" bin="${5:-target/release}"
experiment=experiments/2026-11-ner-cpu

. experiments/from_encoder.sh

start start-512
start start-4096 --set max_position_embeddings=4096

# CoNLL-2003: a tenth of eng.train chooses the checkpoint, eng.testa is read once.
conll=(--set task.path="$data/conll" --set task.train_file=eng.train --set 'task.validation_file=[]' --set task.test_file=eng.testa
  --set task.validation_fraction=0.1 --set 'seeds=[1,2,3]')
tune conll-encoder ner/ner "$runs/start-512" "${conll[@]}" --set trainer.max_epochs=3
tune conll-own ner/ner "$own" "${conll[@]}" --set optimizer.learning_rate=2e-4 --set trainer.max_epochs=8

# WNUT-17 in its own split.
wnut=(--set task.path="$data/wnut17" --set 'seeds=[1,2,3]' --set trainer.eval_every=100 --set trainer.max_epochs=8)
tune wnut17-encoder ner/ner "$runs/start-512" "${wnut[@]}"
tune wnut17-own ner/ner "$own" "${wnut[@]}" --set optimizer.learning_rate=2e-4

# LitBank in five folds by document: sentences, whole documents, and documents in windows of 512 tokens. An epoch of sentences
# has five times the steps of one of documents, each of which holds eight times the words: so documents take more epochs.
[ -d "$runs/litbank-folds" ] || "$experiment/folds.sh" "$data/litbank" "$runs/litbank-folds"
for fold in 1 2 3 4 5; do
  litbank=(--set task.path="$runs/litbank-folds/$fold" --set task.tags=1)
  documents=(--set task.document=file --set trainer.batch_size=1 --set trainer.micro_batch_size=1 --set trainer.max_epochs=10
    --set trainer.eval_every=60)
  tune "litbank-sentences-$fold" ner/ner "$runs/start-512" "${litbank[@]}" --set trainer.max_epochs=4 --set trainer.eval_every=200
  tune "litbank-windows-$fold" ner/ner "$runs/start-512" "${litbank[@]}" "${documents[@]}" --set data.seq_len=512 --set task.stride=128 \
    --set trainer.batch_size=4 --set trainer.micro_batch_size=4 --set trainer.eval_every=120
  tune "litbank-documents-$fold" ner/ner "$runs/start-4096" "${litbank[@]}" "${documents[@]}" --set data.seq_len=4096
done
