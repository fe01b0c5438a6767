#!/usr/bin/env bash
# The tables of this folder, into DIR. Each goes on where it was broken off. An otherwise idle machine, please.
#   run.sh DIR ENCODER REVIEWS    ENCODER: the folder of a BERT-like encoder; REVIEWS: JSON lines with a `text`
set -euo pipefail
dir="$1" encoder="$2" reviews="$3"
nystromformer="${NYSTROMFORMER:-cargo run --release --bin nystromformer --}"

$nystromformer table efficiency --output "$dir/efficiency" --backward --limit-seconds 30 --lengths 256,512,1024,2048,4096,8192,16384
$nystromformer table efficiency --output "$dir/efficiency" --backward --limit-seconds 30 --lengths 65536 \
  --kinds nystrom,nystrom:num_landmarks=32,nystrom:pinv=solve,linear,linformer,performer,reformer,longformer:attention_window=256,agent

# Queries and keys of exact attention: the same encoder, with softmax attention and no convolution.
[ -d "$dir/encoder" ] || $nystromformer import --from "$encoder" --output "$dir/encoder" --set attention=softmax --set conv_kernel_size=0
$nystromformer table approximation --output "$dir/approximation" --model "$dir/encoder" --text "$reviews" --texts 4 --seq-len 512
