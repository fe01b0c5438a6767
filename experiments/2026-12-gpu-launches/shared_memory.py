"""What the units of a cube share, and what each keeps, in every kernel of our own for GPUs, against what devices grant;
and how many landmarks each has room for.

    python3 experiments/2026-12-gpu-launches/shared_memory.py

Formulas are those of the kernels' source: `Shared::new_slice` (bytes that a cube shares), `Array::new` (values that a unit keeps; a compiler puts them
into registers where their places are known, else into memory of the unit's own), `CubeDim` (units), slices (buffers). Kernels of a unit a value, which
share and keep nothing (landmarks, gradients of tokens, convolution, GELU, dropout, gathers), are left out.
"""

from dataclasses import dataclass

# Bytes of shared memory, and units of a cube. Of WebGPU its least, and what most devices have; of Vulkan what 1.4 requires, Mesa's software adapter, and
# NVIDIA's; of CUDA what a kernel may ask for, by compute capability, which is what CubeCL asks for.
LIMITS = {
    "WebGPU, least": (16 * 1024, 256),
    "WebGPU, usual": (32 * 1024, 256),
    "Vulkan 1.4, least": (16 * 1024, 256),
    "lavapipe": (32 * 1024, 1024),
    "Vulkan, NVIDIA": (48 * 1024, 1024),
    "CUDA 8.9 (L4)": (99 * 1024, 1024),
    "CUDA 8.0 (A100)": (163 * 1024, 1024),
    "CUDA 9.0 (H100)": (227 * 1024, 1024),
}


@dataclass
class Sizes:
    name: str
    landmarks: int
    width: int
    hidden: int

    @property
    def side(self):
        """Rows of a matrix with those beyond it (`width_of`)."""
        return 4 * -(-self.landmarks // 4)


def units_for(count, most=256):
    return min(most, 1 << max(0, count - 1).bit_length())


def tile_rows(width):
    return min(64, max(4, 2048 // width // 4 * 4))


def kernels(s):
    """Name: units, bytes shared, values kept, buffers."""
    m, w, h = s.landmarks, s.width, s.hidden
    tiles = 2 * tile_rows(w) * w * 4
    inverse_units = (s.side // 4) ** 2
    rows = units_for(h)
    own = -(-h // rows)
    return {
        "nystrom_kernel_2": (units_for(m), (m * (m + 1) + m) * 4, 0, 3),
        "pinv_forward": (inverse_units, 2 * s.side**2 * 4, 5 * 16 + 24, 3),
        "pinv_backward": (inverse_units, 2 * s.side**2 * 4, 11 * 16 + 24, 6),
        "pinv_column_sums": (units_for(m), m * 4, 0, 2),
        "attention_forward": (64, tiles, 2 * w + 4, 6),
        "attention_query_gradient": (64, tiles, 3 * w, 7),
        "attention_key_gradients": (64, tiles, 4 * w, 7),
        "nystrom_product": (units_for(m * w), m * w * 4, 0, 6),
        "nystrom_product_gradients": (units_for(m * w), m * w * 4, 0, 7),
        "nystrom_landmark_gradients": (units_for(m * w), m * (m + 1) * 4, 0, 7),
        "convolution_filter_gradient": (64, 64 * 4, 0, 2),
        "layer_norm_forward": (rows, rows * 4, 0, 7),
        "layer_norm_backward": (rows, rows * 4, 2 * own, 6),
        "softmax_forward, softmax_backward": (256, 256 * 4, 0, 3),
        "cross_entropy_forward": (256, 256 * 4, 0, 4),
        "select_rows_backward": (rows, rows * 4, own, 3),
        "sum_parts": (256, 256 * 4, 0, 3),
        "norm_parts": (256, 256 * 4, 0, "tensors + 1"),
        "norm_sums": (256, 256 * 4, 0, 2),
        "adam_w_steps": (256, 0, 0, "4 · tensors"),
    }


def main():
    for sizes in (Sizes("BERT-base", 64, 64, 768), Sizes("Long Range Arena", 128, 32, 64)):
        print(f"| {sizes.name}: {sizes.landmarks} landmarks, heads {sizes.width} wide | units | bytes shared | values kept | buffers | too little on |")
        print("|---|---|---|---|---|---|")
        for name, (units, shared, kept, buffers) in kernels(sizes).items():
            lacking = [device for device, (bytes_, most) in LIMITS.items() if shared > bytes_ or units > most]
            print(f"| `{name}` | {units} | {shared:,} | {kept or ''} | {buffers} | {', '.join(lacking)} |")
        print()
    print("| device | shared | units | most landmarks, heads 64 wide |\n|---|---|---|---|")
    for device, (shared, units) in LIMITS.items():
        fits = [
            count
            for count in range(1, 257)
            if all(u <= units and b <= shared for u, b, _, _ in kernels(Sizes("", count, 64, 768)).values())
        ]
        print(f"| {device} | {shared // 1024} KiB | {units} | {max(fits)} |")


if __name__ == "__main__":
    main()
