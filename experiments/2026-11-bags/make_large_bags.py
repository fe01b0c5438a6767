"""A few bags of 100,000 vectors of 512 numbers, to measure a step.

    python make_large_bags.py OUTPUT
"""

import sys
from pathlib import Path

import numpy as np

if __name__ == "__main__":
    output = Path(sys.argv[1])
    output.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(0)
    rows = ["id,label,split"]
    for number, split in enumerate(["train", "train", "validation", "validation"]):
        np.save(output / f"{number}.npy", random.standard_normal((100_000, 512), dtype=np.float32).astype(np.float16))
        rows.append(f"{number},{number % 2},{split}")
    (output / "labels.csv").write_text("\n".join(rows) + "\n")
