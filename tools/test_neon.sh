#!/usr/bin/env bash
# Tests the kernels on NEON, the vectors of 64-bit Arm, on any machine: compiled for aarch64 and run by qemu.
#   tools/test_neon.sh [arguments of cargo test]
# On an Arm machine `cargo test` does the same, and this is not needed.
set -euo pipefail
cd "$(dirname "$0")/.."

target=aarch64-unknown-linux-gnu
missing=()
rustup target list --installed | grep -qx "$target" || missing+=("rustup target add $target")
command -v aarch64-linux-gnu-gcc >/dev/null || missing+=("apt-get install gcc-aarch64-linux-gnu libc6-dev-arm64-cross")
command -v qemu-aarch64 >/dev/null || missing+=("apt-get install qemu-user")
if [ ${#missing[@]} -gt 0 ]; then
  echo "test_neon: this machine lacks what it needs; try:" >&2
  printf '  %s\n' "${missing[@]}" >&2
  exit 1
fi
export CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER=aarch64-linux-gnu-gcc
export CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_RUNNER="qemu-aarch64 -L /usr/aarch64-linux-gnu"
cargo test --release --locked --target "$target" -p nystromformer-kernels "$@"
