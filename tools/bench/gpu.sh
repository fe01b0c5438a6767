#!/usr/bin/env bash
# Measures this program on the GPUs of this machine beside PyTorch: JSON lines into a file, and a table of them at the end.
#
#   tools/bench/gpu.sh [RESULTS.jsonl]       default: gpu-results.jsonl
#
# Under 8 minutes after the build, whatever hangs: each measurement has a limit of its own, and so have all together. What
# is over its limit, or was not reached, has a line that says so. The build takes some minutes more (`PROGRAM` leaves it out).
#
# Needs Linux, cargo and python3. `cuda` needs NVIDIA's driver, and CUDA's runtime compiler (libnvrtc) when it runs; `vulkan` a
# Vulkan driver. The peer needs a Python with torch for CUDA and transformers (tools/reference/requirements.txt); without it
# our own side is measured alone.
#
# Variables, with their defaults:
#   DEVICES      cuda where `nvidia-smi` answers, and vulkan      this program's devices
#   WORKLOADS    those of `bench step`, the most telling first
#   PRECISIONS   f32 bf16                                         what the program or the device refuses is said
#   STEPS        20                                               measured steps of each, after 5 more
#   PYTHON       python3                                          the peer's
#   PEER_DEVICE  cuda                                             cpu proves the script; none leaves the peer out
#   SELF_CHECK   configs/mlm512.toml                              whose widths and length the self-check has
#   LIMIT_S      60                                               seconds of one measurement
#   TOTAL_S      470                                              seconds of all
#   PROGRAM                                                       a program that is built already
#
# On Mesa's software Vulkan adapter, to prove the script and nothing else:
#   DEVICES=wgpu WORKLOADS=mlm-tiny-128 STEPS=2 SELF_CHECK=configs/tiny/mlm.toml PEER_DEVICE=cpu tools/bench/gpu.sh
#
# Exit code 1 if a self-check refuses a device, if losses differ, or if a measurement breaks off.
set -euo pipefail
results=$(realpath -m "${1:-gpu-results.jsonl}")
cd "$(dirname "$0")/../.."

devices=${DEVICES:-}
if [ -z "$devices" ]; then
  devices=vulkan
  if command -v nvidia-smi >/dev/null && nvidia-smi -L >/dev/null 2>&1; then devices="cuda vulkan"; fi
fi
if [ -z "${PROGRAM:-}" ]; then
  features=$(printf 'nystromformer-cli/%s,' $devices)
  echo "building with ${features%,}" >&2
  cargo build --release --locked --package nystromformer-cli --bin nystromformer --features "${features%,}"
  PROGRAM=${CARGO_TARGET_DIR:-target}/release/nystromformer
fi
export XDG_RUNTIME_DIR="${XDG_RUNTIME_DIR:-/tmp}"
arguments=(--program "$PROGRAM" --devices $devices --output "$results")
arguments+=(--precisions ${PRECISIONS:-f32 bf16} --steps "${STEPS:-20}")
arguments+=(--peer-python "${PYTHON:-python3}" --peer-device "${PEER_DEVICE:-cuda}")
arguments+=(--self-check "${SELF_CHECK:-configs/mlm512.toml}" --limit "${LIMIT_S:-60}" --total "${TOTAL_S:-470}")
if [ -n "${WORKLOADS:-}" ]; then arguments+=(--workloads $WORKLOADS); fi
exec python3 tools/bench/gpu.py "${arguments[@]}"
