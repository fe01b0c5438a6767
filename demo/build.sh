#!/usr/bin/env bash
# A folder with a page that fills masks with a model of yours, in the browser:
#   demo/build.sh runs/quickstart demo/output && python3 -m http.server --directory demo/output
# Needs npm, which fetches what package-lock.json names. The folder itself needs no network, and any static server can serve it.
# NYSTROMFORMER=FILE takes a program that is built already.
set -euo pipefail

fail() { # WHAT
  echo "demo/build.sh: $1" >&2
  exit 2
}

[ $# = 2 ] || fail "give two folders: demo/build.sh MODEL_DIR OUTPUT_DIR"
model=$1 output=$2
demo=$(cd "$(dirname "$0")" && pwd)
page=$demo/../crates/server/src/page
[ -e "$model" ] || fail "there is no model in \`$model\`; train one: cargo run --release --bin train -- configs/quickstart.toml"
[ ! -e "$output" ] || [ -z "$(ls -A "$output")" ] || fail "\`$output\` is not empty; name a new folder, or delete it"
command -v npm >/dev/null || fail "npm is missing; it comes with Node.js"

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

if [ -n "${NYSTROMFORMER:-}" ]; then
  program=("$NYSTROMFORMER")
else
  program=(cargo run --release --quiet --manifest-path "$demo/../Cargo.toml" --bin nystromformer --)
fi
"${program[@]}" export --format onnx --model "$model" --output "$scratch/model"
grep -q NystromformerForMaskedLM "$scratch/model/config.json" ||
  fail "\`$model\` is no masked language model, and the page fills masks; name a model that was trained to"
[ ! -e "$scratch/model/onnx/model.onnx_data" ] || fail "\`$model\` has more than 2 GB, which no browser loads; name a smaller model"

cp "$demo/package.json" "$demo/package-lock.json" "$scratch"
# No package runs code of its own here; npm compares every package with its hash.
npm ci --prefix "$scratch" --ignore-scripts --no-audit --no-fund --silent

mkdir -p "$output/vendor" "$output/model/onnx"
cp "$demo/index.html" "$demo/demo.js" "$page/page.css" "$page/views.js" "$page/icon.svg" "$output"
packages=$scratch/node_modules
cp "$packages/onnxruntime-web/dist/ort.wasm.bundle.min.mjs" "$packages/onnxruntime-web/dist/ort-wasm-simd-threaded.wasm" \
  "$packages/@huggingface/tokenizers/dist/tokenizers.min.mjs" "$output/vendor"
cp "$packages/@huggingface/tokenizers/LICENSE" "$output/vendor/tokenizers.LICENSE"
cp "$scratch/model/config.json" "$scratch/model/tokenizer.json" "$scratch/model/tokenizer_config.json" "$output/model"
cp "$scratch/model/onnx/model.onnx" "$output/model/onnx"
chmod -R u=rwX,go=rX "$output"
echo "built \`$output\`; see it: python3 -m http.server --directory $output" >&2
