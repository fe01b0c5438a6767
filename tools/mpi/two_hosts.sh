#!/usr/bin/env bash
# Two network namespaces as two hosts with a bad link between them (5 ms of delay, 1 % loss): four ranks, two on each, give the bits of one process.
# Delay and loss are the kernel's own (netem), or those of bad_link.py where the kernel has no netem.
#   tools/mpi/two_hosts.sh WITHOUT WITH      as root; Open MPI, iproute2; without netem, python3 and /dev/net/tun
set -euo pipefail
cd "$(dirname "$0")/../.."
without="$1" with="$2"
delay=5 loss=1 # milliseconds each way, percent
here="ranks-$$-a" there="ranks-$$-b"
scratch=$(mktemp -d)

carrier=
remove() {
  [ -z "$carrier" ] || kill "$carrier" 2>/dev/null || true
  ip netns delete "$here" 2>/dev/null || true
  ip netns delete "$there" 2>/dev/null || true
  rm -rf "$scratch"
}
trap remove EXIT

if ! ip netns add "$here" 2>/dev/null || ! ip netns add "$there"; then
  echo "two_hosts: skipped, no right to make network namespaces" >&2
  exit 0
fi
address() { # NAMESPACE DEVICE NUMBER
  ip -n "$1" address add "10.77.0.$3/24" dev "$2"
  ip -n "$1" link set lo up
  ip -n "$1" link set "$2" up
}
start_carrier() {
  python3 tools/mpi/bad_link.py "$tap_one" "$tap_other" "$delay" "0.0$loss" >"$scratch/link" 2>&1 &
  carrier=$!
  until grep -q ready "$scratch/link"; do
    kill -0 "$carrier" 2>/dev/null || { carrier= && return 1; }
    sleep 0.1
  done
}
one="veth$$a" other="veth$$b" tap_one="tap$$a" tap_other="tap$$b"
ip link add "$one" netns "$here" type veth peer name "$other" netns "$there"
bad=1
if tc -n "$here" qdisc add dev "$one" root netem delay "${delay}ms" loss "$loss%" 2>/dev/null; then
  tc -n "$there" qdisc add dev "$other" root netem delay "${delay}ms" loss "$loss%"
elif start_carrier; then
  ip -n "$here" link delete "$one"
  ip link set "$tap_one" netns "$here"
  ip link set "$tap_other" netns "$there"
  one="$tap_one" other="$tap_other"
else
  bad=
fi
address "$here" "$one" 1
address "$there" "$other" 2

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
if [ -z "$bad" ]; then
  echo "two_hosts: the bits of one process, over a good link: no netem in this kernel, and no right to make devices"
  exit
fi
# The link was as bad as it was meant to be: the losses are counted.
if [ -n "$carrier" ]; then
  kill "$carrier" && wait "$carrier" || true
  counts=$(tail -1 "$scratch/link") carrier=
else
  counts=$(tc -n "$here" -s qdisc show dev "$one" | tr '\n' ' ')
fi
[[ "$counts" =~ (lost|dropped)\ [1-9] ]] || { echo "two_hosts: the link lost nothing: $counts" >&2 && exit 1; }
echo "two_hosts: the bits of one process over a link of $delay ms and $loss % loss ($counts)"
