"""How well attention puts the positive pictures of positive bags first.

    nystromformer predict attention --model RUN --input-file labels.csv > maps.jsonl
    python attention_auc.py maps.jsonl FOLDER

Area under the ROC curve of each layer's and head's weights against `positive` of the bag's file, mean over the bags that have both
kinds; also of the mean over heads, and of attention that pools.
"""

import json
import sys
from collections import defaultdict
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file
from scipy.stats import rankdata


def auc(positive: np.ndarray, scores: np.ndarray) -> float:
    ranks, count = rankdata(scores), positive.sum()
    return (ranks[positive].sum() - count * (count + 1) / 2) / (count * (len(positive) - count))


def main(maps: Path, folder: Path) -> None:
    found = defaultdict(list)
    for line in open(maps):
        bag = json.loads(line)
        positive = load_file(folder / f"{bag['id']}.safetensors")["positive"].astype(bool)
        if not 0 < positive.sum() < len(positive):
            continue
        for layer in bag["attention"]:
            heads = np.array(layer["heads"])
            for head, weights in enumerate(heads):
                found[f"layer {layer['layer']} head {head}"].append(auc(positive, weights))
            found[f"layer {layer['layer']} mean"].append(auc(positive, heads.mean(axis=0)))
        if "pooling" in bag:
            found["pooling"].append(auc(positive, np.array(bag["pooling"])))
    for name, values in found.items():
        print(json.dumps({"weights": name, "bags": len(values), "auc": round(float(np.mean(values)), 4)}))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
