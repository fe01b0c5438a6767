"""Reuters-21578 in its ModApte split, with the 90 topics that occur in both parts (R90), as JSON lines.

    python make_reuters.py FOLDER OUTPUT

FOLDER has the 22 files `reut2-*.sgm`. OUTPUT gets `train.jsonl` (7,770 documents) and `test.jsonl`
(3,019): `id`, `text` (title and body) and `topics`, a list. `--all` keeps the documents without one of
these topics, whose list is empty. The files are Latin-1.
"""

import argparse
import html
import json
import re
from pathlib import Path

DOCUMENT = re.compile(r"<REUTERS (.*?)>(.*?)</REUTERS>", re.DOTALL)
CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")
PARTS = {"TRAIN": "train", "TEST": "test"}


def field(name: str, text: str) -> str:
    """What stands between the tags of this name, if they are there."""
    found = re.search(rf"<{name}[^>]*>(.*?)</{name}>", text, re.DOTALL)
    return found.group(1) if found else ""


def plain(text: str) -> str:
    """Text without entities, tags, control characters and line breaks."""
    text = html.unescape(re.sub(r"&#\d+;", " ", re.sub(r"<[^>]*>", " ", text)))
    return " ".join(CONTROLS.sub(" ", text).split())


def documents(folder: Path) -> dict[str, list[dict[str, object]]]:
    """The documents of each part of the ModApte split."""
    parts: dict[str, list[dict[str, object]]] = {"train": [], "test": []}
    files = sorted(folder.glob("reut2-*.sgm"))
    if len(files) != 22:
        raise SystemExit(f"`{folder}` has {len(files)} files `reut2-*.sgm`, and there are 22")
    for file in files:
        for header, content in DOCUMENT.findall(file.read_text(encoding="latin-1")):
            attributes = dict(re.findall(r'(\w+)="([^"]*)"', header))
            part = PARTS.get(attributes["LEWISSPLIT"])
            if part is None or attributes["TOPICS"] != "YES":
                continue
            body, title = field("BODY", content), field("TITLE", content)
            text = f"{title} {body}" if body else field("TEXT", content)
            topics = re.findall(r"<D>(.*?)</D>", field("TOPICS", content))
            parts[part].append(
                {"id": attributes["NEWID"], "text": plain(text), "topics": sorted(set(topics))}
            )
    return parts


def main() -> None:
    """Write both files."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("--all", action="store_true", help="keep documents without a topic")
    options = parser.parse_args()
    parts = documents(options.folder)
    train, test = ({t for row in parts[part] for t in row["topics"]} for part in ("train", "test"))
    known = train & test
    options.output.mkdir(parents=True, exist_ok=True)
    for part, rows in parts.items():
        for row in rows:
            row["topics"] = [topic for topic in row["topics"] if topic in known]
        kept = [row for row in rows if options.all or row["topics"]]
        path = options.output / f"{part}.jsonl"
        path.write_text("".join(json.dumps(row) + "\n" for row in kept))
        print(f"{path}: {len(kept)} of {len(rows)} documents, {len(known)} topics")


if __name__ == "__main__":
    main()
