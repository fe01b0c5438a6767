"""CUAD: which of 41 kinds of clause a contract has, as JSON lines.

    python make_cuad.py FOLDER OUTPUT

FOLDER has `master_clauses.csv` and `full_contract_txt`. OUTPUT gets `train.jsonl`: `id`, `text` (the
whole contract) and `clauses`, a list. A clause is there if the table quotes a part of the contract for
it. Names of files are compared by their lower-case letters and digits alone.
"""

import argparse
import csv
import json
import re
import unicodedata
from pathlib import Path


def key(name: str) -> str:
    """What is compared of a file's name."""
    decomposed = unicodedata.normalize("NFKD", Path(name).stem.lower())
    return re.sub(r"[^a-z0-9]", "", decomposed)


def main() -> None:
    """Write the file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("output", type=Path)
    options = parser.parse_args()
    texts = {key(path.name): path for path in (options.folder / "full_contract_txt").iterdir()}
    with open(options.folder / "master_clauses.csv", newline="", encoding="utf-8") as table:
        rows = list(csv.DictReader(table))
    answer = re.compile(r"- ?Answer$")
    clauses = [name for name in rows[0] if name != "Filename" and not answer.search(name)]
    options.output.mkdir(parents=True, exist_ok=True)
    missing, lines = [], []
    for row in rows:
        path = texts.get(key(row["Filename"]))
        if path is None:
            missing.append(row["Filename"])
            continue
        found = [name for name in clauses if row[name].strip() not in ("", "[]")]
        text = " ".join(path.read_text(encoding="utf-8").split())
        lines.append(json.dumps({"id": path.stem, "text": text, "clauses": found}))
    path = options.output / "train.jsonl"
    path.write_text("\n".join(lines) + "\n")
    print(f"{path}: {len(lines)} contracts, {len(clauses)} kinds of clause")
    if missing:
        print(f"no text for {len(missing)} rows, such as `{missing[0]}`")


if __name__ == "__main__":
    main()
