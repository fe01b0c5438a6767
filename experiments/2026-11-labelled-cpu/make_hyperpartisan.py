"""Hyperpartisan news, labelled by article, as JSON lines.

    python make_hyperpartisan.py FOLDER OUTPUT

FOLDER has `articles-training-byarticle-20181122.xml` and the ground truth beside it. OUTPUT gets
`train.jsonl`: `id`, `text` (title and article, without tags) and `hyperpartisan`, true or false.
"""

import argparse
import json
import xml.etree.ElementTree as ElementTree
from pathlib import Path


def main() -> None:
    """Write the file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("output", type=Path)
    options = parser.parse_args()
    name = "training-byarticle-20181122.xml"
    truth = ElementTree.parse(options.folder / f"ground-truth-{name}").getroot()
    labels = {article.get("id"): article.get("hyperpartisan") == "true" for article in truth}
    articles = ElementTree.parse(options.folder / f"articles-{name}").getroot()
    lines = []
    for article in articles:
        text = " ".join([article.get("title", ""), *article.itertext()])
        row = {
            "id": article.get("id"),
            "text": " ".join(text.split()),
            "hyperpartisan": labels[article.get("id")],
        }
        lines.append(json.dumps(row))
    options.output.mkdir(parents=True, exist_ok=True)
    path = options.output / "train.jsonl"
    path.write_text("\n".join(lines) + "\n")
    print(f"{path}: {len(lines)} articles, {sum(labels.values())} of them hyperpartisan")


if __name__ == "__main__":
    main()
