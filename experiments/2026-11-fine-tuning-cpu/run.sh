#!/usr/bin/env bash
# The runs of this experiment, one after the other. Each is resumable: run the script again after an interruption.
#   experiments/2026-11-fine-tuning-cpu/run.sh CORPUS [RUNS [BIN]]
# CORPUS: a folder with the novels and the training reviews of IMDB (a text a line, `imdb_train.jsonl`). RUNS: where run
# directories go. BIN: the folder of the built program. GLUE and IMDB are looked for where datasets/*/SOURCE.md say.
set -euo pipefail
cd "$(dirname "$0")/../.."
corpus="$1" runs="${2:-runs/fine-tuning}" bin="${3:-target/release}"
export RAYON_NUM_THREADS=1 # a thread a run: two of them at a time get more out of two cores than one after the other

finished() { grep -qs '"ended_by": "finished"\|"best_seed"' "$1/summary.json"; }

# The pretrained start, in two parts: the first was stopped after 3,844 of the 18,000 steps that its rate was made for (SIGTERM),
# the second goes on from its weights, with a rate that falls to nothing.
pretrain() { # NAME [--set key=value]...
  local name="$1"
  shift
  finished "$runs/$name" || "$bin/nystromformer" train configs/novels512.toml --set name="$name" --set data.corpus="$corpus" \
    --set data.validation_fraction=0.02 --set model.type_vocab_size=2 --set model.max_position_embeddings=1024 \
    --set model.conv_kernel_size=65 --set trainer.batch_size=8 --set trainer.micro_batch_size=8 "$@" \
    --run-dir "$runs/$name" --resume
}
start="$runs/pretrained"
# Its other half of the schedule is never reached: stop it at 3,844 with a signal.
[ -e "$runs/first-part/checkpoints/step-00003844" ] || finished "$start" ||
  pretrain first-part --set schedule.warmup_steps=1000 --set trainer.max_steps=18000 --set trainer.eval_every=1000
pretrain pretrained --set model.init_from="$runs/first-part/checkpoints/step-00003844" --set seed=1 --set optimizer.learning_rate=4e-4 \
  --set schedule.warmup_steps=100 --set trainer.max_steps=3500 --set trainer.eval_every=500 --set trainer.checkpoint_every=250

# The same model without the pretraining: its tokenizer and its sizes.
scratch=(--set tokenizer.path="$(ls -d "$start"/checkpoints/step-* | tail -1)")
for key in hidden_size num_hidden_layers num_attention_heads intermediate_size num_landmarks conv_kernel_size; do
  scratch+=(--set "model.$key=$(sed -n "s/^$key = //p" "$start/config.toml")")
done
scratch+=(--set model.type_vocab_size=2 --set model.max_position_embeddings=1024)

tune() { # NAME CONFIG [--set key=value]...
  local name="$1" config="$2"
  shift 2
  # A small model wants a higher rate than BERT-base; the same for both starts.
  finished "$runs/$name" || "$bin/nystromformer" train "configs/$config.toml" --set name="$name" --set 'seeds=[1,2,3]' \
    --set optimizer.learning_rate=1e-4 "$@" --run-dir "$runs/$name" --resume
}

# Steps are cut to what hours allow: half an epoch of SST-2, 3 epochs of the others (WNLI 4), a quarter of an epoch of IMDB.
for task in wnli sst2 cola stsb mrpc rte; do
  steps=(--set data.seq_len=128 --set trainer.max_epochs=3)
  if [ $task = wnli ]; then steps=(--set data.seq_len=128 --set trainer.max_epochs=4); fi
  if [ $task = sst2 ]; then steps=(--set data.seq_len=128 --set trainer.max_epochs=0 --set trainer.max_steps=1000 --set trainer.eval_every=250); fi
  tune "$task-pretrained" "glue/$task" "${steps[@]}" --set model.init_from="$start"
  tune "$task-scratch" "glue/$task" "${steps[@]}" "${scratch[@]}"
  if [ $task = sst2 ]; then
    tune sst2-softmax glue/sst2 "${steps[@]}" --set model.init_from="$start" --set model.attention=softmax
  fi
done

# Every fifth review of the test set, 2,500 of each class: measuring all takes as long as the training.
fifth="$runs/imdb-fifth/aclImdb" full=datasets/imdb/data/aclImdb
if [ ! -e "$fifth" ]; then
  mkdir -p "$fifth"/test/{neg,pos}
  ln -s "$PWD/$full/train" "$fifth"/train
  for class in neg pos; do
    for review in $(ls $full/test/$class | sort -n | awk 'NR % 5 == 1'); do ln $full/test/$class/$review "$fifth"/test/$class/; done
  done
fi
steps=(--set task.path="$runs/imdb-fifth" --set trainer.max_epochs=0 --set trainer.max_steps=200 --set trainer.eval_every=100)
for length in 512 1024; do
  tune "imdb$length-pretrained" "imdb/imdb$length" "${steps[@]}" --set model.init_from="$start"
  tune "imdb$length-scratch" "imdb/imdb$length" "${steps[@]}" "${scratch[@]}"
done
tune imdb1024-softmax imdb/imdb1024 "${steps[@]}" --set model.init_from="$start" --set model.attention=softmax
# Does a higher rate help the drawn weights?
tune imdb512-scratch-1e-3 imdb/imdb512 "${steps[@]}" "${scratch[@]}" --set optimizer.learning_rate=1e-3 --set 'seeds=[1]'

"$bin/nystromformer" compare $(dirname "$runs"/*/summary.json)
models=()
for task in sst2 cola mrpc rte stsb wnli; do models+=(--model "$task=$runs/$task-pretrained"); done
"$bin/nystromformer" predict glue "${models[@]}" --output "$runs/submission.zip" --fill-missing
