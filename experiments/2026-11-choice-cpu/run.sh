#!/usr/bin/env bash
# The runs of this experiment, one after the other. Each is resumable: run the script again after an interruption.
#   experiments/2026-11-choice-cpu/run.sh DATA ENCODER [RUNS [BIN]]
# DATA: a folder with `copa` (dev.jsonl, test.jsonl) and `csqa` (dev_rand_split.jsonl). ENCODER: a BERT of 512 positions in Hugging
# Face's form. RUNS: where run directories go. BIN: the folder of the built program. ONLY=NAME runs those whose name begins so;
# STEPS=N stops after N steps.
set -euo pipefail
cd "$(dirname "$0")/../.."
data="$1" encoder="$2" runs="${3:-runs/choice}" bin="${4:-target/release}"

. experiments/from_encoder.sh

start start-512
start start-exact --set attention=softmax --set conv_kernel_size=0

tune copa-softmax choice/choice_copa "$runs/start-exact" --set task.path="$data/copa"
tune copa-nystrom choice/choice_copa "$runs/start-512" --set task.path="$data/copa"

csqa="$data/csqa/dev_rand_split.jsonl"
tune csqa-softmax choice/choice_csqa "$runs/start-exact" --set task.path="$csqa"
tune csqa-nystrom choice/choice_csqa "$runs/start-512" --set task.path="$csqa"
