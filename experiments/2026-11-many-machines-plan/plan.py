"""How efficient BERT-base's pretraining would be on many GPUs: arithmetic, nothing is run. Prints the tables of README.md."""

from math import log2

PARAMETERS = 124.7e6
FLOP_PER_TOKEN = 0.57e9  # forwards and backwards, 512 tokens a sequence
TOKENS = 16_384  # of each GPU in a micro-batch
GPU = 989e12 * 0.40  # H100, bf16, at 40 % of what it says
BACKWARD = 2 / 3  # share of a micro-batch in which finished gradients may travel
LATENCY = 20e-6  # of a message, seconds
HOST = 25e9  # bytes a second between GPU and host, each way
NODE = 8  # GPUs of a node, which sum within it as fast as the first network
NETWORKS = {"8 × 400G a node": 370e9, "1 × 100G a node": 11e9}  # bytes a second of a node that sums use


def micro_batch(tokens=TOKENS):
    return tokens * FLOP_PER_TOKEN / GPU


def all_reduce(gpus, bandwidth, width):
    if gpus <= NODE:
        bandwidth = NETWORKS["8 × 400G a node"]
    return 2 * (1 - 1 / gpus) * PARAMETERS * width / bandwidth + 2 * log2(gpus) * LATENCY


def efficiency(gpus, bandwidth, width, micro_batches, overlaps, staged):
    compute = micro_batches * micro_batch()
    talk = all_reduce(gpus, bandwidth, width)
    if staged:
        talk += 2 * PARAMETERS * 4 / HOST
    exposed = max(0.0, talk - BACKWARD * micro_batch()) if overlaps else talk
    return compute / (compute + exposed)


def main():
    print(f"micro-batch: {micro_batch() * 1e3:.1f} ms\n")
    for name, bandwidth in NETWORKS.items():
        print(f"| {name} | all-reduce, f32 · bf16, ms | as it is, 1 · 8 micro-batches | bf16 wire | on the device, no overlap | with overlap, f32 · bf16 | 8 micro-batches, with overlap |")
        print("|---|---|---|---|---|---|---|")
        for gpus in (8, 64, 256, 1000):
            share = lambda *how: f"{100 * efficiency(gpus, bandwidth, *how):.0f} %"
            times = [1e3 * all_reduce(gpus, bandwidth, width) for width in (4, 2)]
            print(
                f"| {gpus} | {times[0]:.1f} · {times[1]:.1f} | {share(4, 1, False, True)} · {share(4, 8, False, True)} | {share(2, 1, False, True)} "
                f"| {share(4, 1, False, False)} | {share(4, 1, True, False)} · {share(2, 1, True, False)} | {share(4, 8, True, False)} |"
            )
        print()
    print("| 256 sequences a step in all | 8 | 64 | 256 |\n|---|---|---|---|")
    for name, bandwidth in NETWORKS.items():
        cells = []
        for gpus in (8, 64, 256):
            compute = micro_batch(256 * 512 / gpus)
            exposed = max(0.0, all_reduce(gpus, bandwidth, 2) - BACKWARD * compute)
            cells.append(f"{100 * compute / (compute + exposed):.0f} %")
        print(f"| {name} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
