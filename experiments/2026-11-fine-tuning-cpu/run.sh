#!/usr/bin/env bash
# The runs of this experiment, one after the other. Each is resumable: run the script again after an interruption.
#   experiments/2026-11-fine-tuning-cpu/run.sh CORPUS [RUNS [BIN]]
# CORPUS: a folder with the novels and the training reviews of IMDB (a text a line, `imdb_train.jsonl`). RUNS: where run
# directories go. BIN: the folder of the built commands. GLUE and IMDB are looked for where datasets/*/SOURCE.md say.
set -euo pipefail
cd "$(dirname "$0")/../.."
corpus="$1" runs="${2:-runs/fine-tuning}" bin="${3:-target/release}"

finished() { grep -qs '"ended_by": "finished"\|"best_seed"' "$1/summary.json"; }

start="$runs/pretrained"
finished "$start" || "$bin/train" configs/novels512.toml --run-dir "$start" --resume --set name=pretrained --set data.corpus="$corpus" \
  --set data.validation_fraction=0.02 --set model.type_vocab_size=2 --set model.max_position_embeddings=1024 \
  --set model.conv_kernel_size=65 --set schedule.warmup_steps=1000 --set trainer.max_steps=18000 --set trainer.batch_size=8 \
  --set trainer.micro_batch_size=8 --set trainer.eval_every=1000 --set trainer.checkpoint_every=250

# The same model without the pretraining: its tokenizer and its sizes.
scratch=(--set tokenizer.path="$(ls -d "$start"/checkpoints/step-* | tail -1)")
for key in hidden_size num_hidden_layers num_attention_heads intermediate_size num_landmarks conv_kernel_size; do
  scratch+=(--set "model.$key=$(sed -n "s/^$key = //p" "$start/config.toml")")
done
scratch+=(--set model.type_vocab_size=2 --set model.max_position_embeddings=1024)

tune() { # NAME CONFIG [--set key=value]...
  local name="$1" config="$2"
  shift 2
  finished "$runs/$name" || "$bin/train" "configs/$config.toml" --set name="$name" --set 'seeds=[1,2,3]' "$@" \
    --run-dir "$runs/$name" --resume
}

for task in sst2 cola mrpc rte stsb wnli; do
  # A small model wants a higher rate than BERT-base; the same for both starts.
  tune "$task-pretrained" "glue/$task" --set model.init_from="$start" --set optimizer.learning_rate=1e-4 --set data.seq_len=128
  tune "$task-scratch" "glue/$task" "${scratch[@]}" --set optimizer.learning_rate=1e-4 --set data.seq_len=128
done
tune sst2-softmax glue/sst2 --set model.init_from="$start" --set model.attention=softmax --set optimizer.learning_rate=1e-4 \
  --set data.seq_len=128
for length in 512 1024; do
  tune "imdb$length-pretrained" "imdb/imdb$length" --set model.init_from="$start" --set optimizer.learning_rate=1e-4 --set trainer.max_epochs=2
  tune "imdb$length-scratch" "imdb/imdb$length" "${scratch[@]}" --set optimizer.learning_rate=1e-4 --set trainer.max_epochs=2
done
tune imdb1024-softmax imdb/imdb1024 --set model.init_from="$start" --set model.attention=softmax --set optimizer.learning_rate=1e-4 \
  --set trainer.max_epochs=2
"$bin/compare" $(dirname "$runs"/*/summary.json)
models=()
for task in sst2 cola mrpc rte stsb wnli; do models+=(--model "$task=$runs/$task-pretrained"); done
"$bin/predict" glue "${models[@]}" --output "$runs/submission.zip" --fill-missing
