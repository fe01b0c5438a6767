# What the experiments share that start from somebody's encoder. Their run.sh reads it, once it has said what `encoder`, `runs` and
# `bin` are: a BERT of 512 positions in Hugging Face's form, where run directories go, and the folder of the built program.
# ONLY=NAME runs those whose name begins so; STEPS=N stops after N steps.

finished() { grep -qs '"ended_by": "finished"\|"best_seed"' "$1/summary.json"; }

# The encoder with its attention swapped; for longer texts with its positions repeated (max_position_embeddings).
start() { # NAME [--set key=value]...
  local name="$1"
  shift
  mkdir -p "$runs"
  [ -e "$runs/$name/config.json" ] || "$bin/nystromformer" import --from "$encoder" --output "$runs/$name" \
    --set num_landmarks=64 --set conv_kernel_size=33 "$@"
}

tune() { # NAME CONFIG START [--set key=value]...
  local name="$1" config="$2" start="$3"
  shift 3
  case "$name" in "${ONLY:-}"*) ;; *) return 0 ;; esac
  local stop=()
  if [ -n "${STEPS:-}" ]; then stop=(--set trainer.max_epochs=0 --set trainer.max_steps="$STEPS"); fi
  finished "$runs/$name" || "$bin/nystromformer" train "configs/$config.toml" --set name="$name" --set model.init_from="$start" \
    "$@" "${stop[@]}" --run-dir "$runs/$name" --resume
}
