#!/usr/bin/env bash
# Two network namespaces as two hosts with a bad link between them (5 ms of delay, 1 % loss): four ranks, two on each, give the bits of one process.
#   tools/mpi/two_hosts.sh WITHOUT WITH      as root; Open MPI, iproute2
set -euo pipefail
cd "$(dirname "$0")/../.."
without="$1" with="$2"
link="a link of 5 ms and 1 % loss"
here="ranks-$$-a" there="ranks-$$-b"
scratch=$(mktemp -d)

remove() {
  ip netns delete "$here" 2>/dev/null || true
  ip netns delete "$there" 2>/dev/null || true
  rm -rf "$scratch"
}
trap remove EXIT

if ! ip netns add "$here" 2>/dev/null || ! ip netns add "$there"; then
  echo "two_hosts: skipped, no right to make network namespaces" >&2
  exit 0
fi
ip link add "veth$$a" netns "$here" type veth peer name "veth$$b" netns "$there"
address() { # NAMESPACE DEVICE NUMBER
  ip -n "$1" address add "10.77.0.$3/24" dev "$2"
  ip -n "$1" link set lo up
  ip -n "$1" link set "$2" up
  tc -n "$1" qdisc add dev "$2" root netem delay 5ms loss 1% || link="a good link, for this kernel has no netem"
}
address "$here" "veth$$a" 1
address "$there" "veth$$b" 2

# What Open MPI starts its daemon on another host with, in the place of ssh. A host has a name and temporary files of its own.
cat >"$scratch/agent" <<AGENT
#!/usr/bin/env bash
shift
mkdir -p "$scratch/there"
exec ip netns exec "$there" unshare --uts bash -c "hostname there; export TMPDIR=$scratch/there; \$*"
AGENT
chmod +x "$scratch/agent"

config=(configs/tiny/mlm.toml --set trainer.micro_batch_size=2)
"$without" train "${config[@]}" --run-dir "$scratch/alone" 2>/dev/null
# The link is slow, not dead: each exchange of a step takes some of its delays.
timeout -k 5 300 ip netns exec "$here" unshare --uts bash -c 'hostname here; exec "$@"' -- \
  mpirun --allow-run-as-root --bind-to none -n 4 --host 10.77.0.1:2,10.77.0.2:2 \
  --mca plm_rsh_agent "$scratch/agent" --mca btl tcp,self --mca btl_tcp_if_include 10.77.0.0/24 --mca oob_tcp_if_include 10.77.0.0/24 \
  "$with" train "${config[@]}" --run-dir "$scratch/run"
for file in model optimizer; do
  cmp "$scratch/alone/checkpoints/step-00000020/$file.safetensors" "$scratch/run/checkpoints/step-00000020/$file.safetensors"
done
echo "two_hosts: the bits of one process over $link"
