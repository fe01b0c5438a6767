#!/usr/bin/env bash
# The runs of this experiment, one after the other. Each is resumable: run the script again after an interruption.
#   experiments/2026-11-real-start-cpu/run.sh ENCODER REVIEWS GLUE IMDB RUNS [BIN]
# ENCODER: a BERT of 512 positions in Hugging Face's form. REVIEWS: texts to convert with (JSON lines). GLUE: the folder that the
# official download script writes. IMDB: `aclImdb`. RUNS: where run directories go. BIN: the folder of the built program.
# ONLY=NAME runs those whose name begins so; STEPS=N stops after N steps.
set -euo pipefail
cd "$(dirname "$0")/../.."
encoder="$1" reviews="$2" glue="$3" imdb="$4" runs="$5" bin="${6:-target/release}"
experiment=experiments/2026-11-real-start-cpu

. experiments/from_encoder.sh

start start-512
start exact-512 --set attention=softmax

# Conversion: 190 steps of 16 reviews are about a million tokens.
convert() { # NAME CONFIG LANDMARKS FROM [--set key=value]...
  local name="$1" config="$2" landmarks="$3" from="$4"
  shift 4
  tune "$name" "convert/$config" "$runs/$from" --set distill.teacher="$runs/exact-512" --set data.corpus="$reviews" \
    --set data.cache_dir="$runs/cache" --set data.validation_fraction=0.02 --set trainer.eval_examples=80 --set trainer.max_steps=190 \
    --set model.num_landmarks="$landmarks" "$@"
}
for landmarks in 64 128 32 256; do
  convert "layers-$landmarks" layers "$landmarks" start-512
  convert "network-$landmarks" network "$landmarks" "layers-$landmarks"
done
convert control-convolution convolution 64 start-512
convert control-query-key query_key 64 start-512
convert control-network-only network 64 start-512 --set trainer.max_steps=380
convert control-softmax softmax 64 exact-512

# GLUE, the checkpoint chosen by one half of the validation set, reported by the other. 5 seeds; SST-2 3 seeds, one epoch.
[ -d "$runs/glue/choose" ] || "$experiment/halves.sh" "$glue" "$runs/glue"
small=(--set 'seeds=[1,2,3,4,5]' --set optimizer.learning_rate=5e-5)
for kind in nystrom softmax; do
  from="$runs/network-64"
  [ "$kind" = softmax ] && from="$runs/exact-512"
  for task in rte:RTE mrpc:MRPC stsb:STS-B cola:CoLA; do
    tune "${task%:*}-$kind" "glue/${task%:*}" "$from" "${small[@]}" --set task.path="$runs/glue/choose/${task#*:}"
  done
  tune "sst2-$kind" glue/sst2 "$from" --set 'seeds=[1,2,3]' --set optimizer.learning_rate=5e-5 --set trainer.max_epochs=1 \
    --set task.path="$runs/glue/choose/SST-2"
done

# IMDB: a quarter of the training reviews, two epochs, 5,000 test reviews.
for length in 512 1024; do
  from=network-64 exact=exact-512
  if [ "$length" = 1024 ]; then
    from=start-1024 exact=exact-1024
    [ -e "$runs/$from/config.json" ] || "$bin/nystromformer" import --from "$runs/network-64" --output "$runs/$from" --set max_position_embeddings=1024
    start "$exact" --set attention=softmax --set max_position_embeddings=1024
  fi
  for kind in "nystrom:$from" "softmax:$exact"; do
    tune "imdb$length-${kind%:*}" "imdb/imdb$length" "$runs/${kind#*:}" --set 'seeds=[1,2,3]' --set optimizer.learning_rate=5e-5 \
      --set task.path="$imdb" --set task.max_train_samples=6250 --set task.max_eval_samples=5000 --set trainer.max_epochs=2 \
      --set trainer.eval_every=195
  done
done
