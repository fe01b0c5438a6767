"""Bags of CIFAR-10's pictures, positive if they hold pictures of one class.

    python make_cifar_bags.py CIFAR10 OUTPUT [--class cat] [--share 0.1] [--seed 0]

CIFAR10 holds `train/CLASS/*.jpg` and `test/CLASS/*.jpg`. A picture is a vector of 192 numbers: the mean colour of each of its 8 by 8
blocks of 4 by 4 pixels. A bag has 20 to 2,000 pictures, log-uniform; of a positive bag `share` (at least one) are of the class. Bags
of the splits share no picture. OUTPUT gets `labels.csv` and `bags/N.safetensors` with `features` `[n, 192]` (U8) and `positive` `[n]`.
"""

import argparse
import csv
from pathlib import Path

import numpy as np
from PIL import Image
from safetensors.numpy import save_file

SIZES = {"train": 600, "validation": 150, "test": 300}


def pictures(folder: Path) -> tuple[np.ndarray, np.ndarray]:
    """Every picture as 192 numbers, and its class."""
    rows, names = [], []
    for path in sorted(folder.glob("*/*.jpg")):
        pixels = np.asarray(Image.open(path).convert("RGB"), dtype=np.float32)
        blocks = pixels.reshape(8, 4, 8, 4, 3).mean(axis=(1, 3))
        rows.append(blocks.reshape(-1).round().astype(np.uint8))
        names.append(path.parent.name)
    return np.stack(rows), np.array(names)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("cifar", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("--class", dest="wanted", default="automobile")
    parser.add_argument("--share", type=float, default=0.1)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    random = np.random.default_rng(options.seed)
    (options.output / "bags").mkdir(parents=True, exist_ok=True)
    train, train_names = pictures(options.cifar / "train")
    test, test_names = pictures(options.cifar / "test")
    if options.wanted not in set(train_names):
        raise SystemExit(f"no pictures of `{options.wanted}`: {sorted(set(train_names))}")
    order = random.permutation(len(train))
    held_out = order[: len(order) // 6]
    parts = {
        "train": (train, train_names, order[len(held_out):]),
        "validation": (train, train_names, held_out),
        "test": (test, test_names, np.arange(len(test))),
    }
    with open(options.output / "labels.csv", "w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["id", "label", "split"])
        number = 0
        for split, count in SIZES.items():
            vectors, names, places = parts[split]
            wanted = places[names[places] == options.wanted]
            others = places[names[places] != options.wanted]
            for index in range(count):
                size = int(np.exp(random.uniform(np.log(20), np.log(2000))).round())
                positive = index % 2 == 0
                of_class = max(1, round(options.share * size)) if positive else 0
                chosen = np.concatenate([random.choice(wanted, of_class), random.choice(others, size - of_class)])
                is_wanted = np.arange(size) < of_class
                shuffled = random.permutation(size)
                bag = {"features": vectors[chosen[shuffled]], "positive": is_wanted[shuffled].astype(np.uint8)}
                save_file(bag, options.output / f"bags/{number}.safetensors")
                table.writerow([f"bags/{number}", "positive" if positive else "negative", split])
                number += 1


if __name__ == "__main__":
    main()
