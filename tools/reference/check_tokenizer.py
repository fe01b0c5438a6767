"""Compare the ids of our tokenizer with those of Python's, line by line.

    cargo build --release --workspace --example encode
    python check_tokenizer.py FOLDER TEXT... [--random-lines N] [--encoder PATH]

FOLDER holds a spiece.model, a vocab.txt, or a vocab.json with merges.txt. The lines are those of the
TEXT files and N more that are put together from accents, scripts, emoji, control characters, odd white
space and special tokens. What is compared depends on the folder; special tokens are never added.

spiece.model, three times:
- `sentencepiece`: the package's own `encode`, after the cleaning that transformers' AlbertTokenizer
  does (white space to single blanks, `` and '' to ", NFKD without accents, lower case);
- `AlbertTokenizer` of transformers: the same, but split at special tokens first, and with a number and
  the comma after it kept apart. **This is the one that ours must equal**;
- `AlbertTokenizerFast` of transformers, built from the spiece.model.
vocab.txt: `BertTokenizerFast`. vocab.json: `RobertaTokenizerFast`.

One JSON line a comparison goes to stdout; the exit status is 1 if ours differs from what it must equal
in a line that has no excuse (see `excuse`).
"""

import argparse
import json
import random
import subprocess
import sys
import unicodedata
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import transformers

REPOSITORY = Path(__file__).resolve().parents[2]
ENCODER = REPOSITORY / "target" / "release" / "examples" / "encode"
SHOWN = 3

ALPHABETS = (
    "abcdefghijklmnopqrstuvwxyz",
    "ABCDEFGHIJKLMNOPQRSTUVWXYZ",
    "0123456789,.",
    ".,;:!?()[]{}<>\"'`-–—_/\\|@#$%^&*+=~£€",
    "àáâãäåæçèéêëìíîïñòóôõöøùúûüýÿßœŒŠšŽžİıĞğ",
    "e\u0301o\u0308n\u0303\u0323a\u030a",
    "αβγδεζηθικλμνξοπρστυφχψωΑΒΓΔΣ",
    "абвгдежзийклмнопрстуфхцчшщъыьэюяЁЙ",
    "日本語中文字漢字東京都ひらがなカタカナ한국어",
    "ﬁﬂ①②½¼²³™℃ﾊﾝｶｸＡＢＣ１２３",
    "אבגדשלוםالعربيةहिन्दीไทย",
    "😀😃👍🏽👩‍👩‍👧🇩🇪❤️",
    "\u0000\u0001\u0007\u0008\u000b\u000c\u001b\u001c\u001f\u007f\u0085\u200b\u200d\u2060\ufeff\ufffd",
    "▁▁ ``''",
)
SPACES = (" ", " ", " ", " ", "  ", "   ", "\t", "\u00a0", "\u2003", "\u3000", "\r", "")
SPECIAL = ("[MASK]", "[CLS]", "[SEP]", "<mask>", "<s>", "<unk>", "<pad>", "[UNK]", " [MASK] ", "[mask]")


def random_lines(count: int) -> list[str]:
    """Lines of random words from one or two alphabets each; every twentieth word is a special token."""
    draw = random.Random(20)
    lines = []
    for _ in range(count):
        line = draw.choice(("", "", "", " ", "\t"))
        for _ in range(draw.randint(1, 12)):
            letters = "".join(draw.sample(ALPHABETS, draw.choice((1, 1, 2))))
            length = 150 if draw.random() < 0.005 else draw.randint(1, 9)
            word = "".join(draw.choice(letters) for _ in range(length))
            line += draw.choice(SPECIAL) if draw.random() < 0.05 else word
            line += draw.choice(SPACES)
        lines.append(line)
    return lines


def our_ids(encoder: Path, folder: Path, lines: list[str]) -> list[list[int]]:
    """What the example `encode` of the data crate prints."""
    text = "".join(f"{line}\n" for line in lines).encode()
    command = [encoder, folder, "bare"]
    printed = subprocess.run(command, input=text, stdout=subprocess.PIPE, check=True).stdout
    rows = printed.decode().split("\n")[:-1]
    assert len(rows) == len(lines), f"{len(rows)} rows of ids for {len(lines)} lines"
    return [[int(number) for number in row.split()] for row in rows]


def oracles(folder: Path) -> dict[str, Callable[[str], list[int]]]:
    """Functions from a line to ids, by name; the one to equal comes first."""

    def plain(tokenizer: transformers.PreTrainedTokenizerBase) -> Callable[[str], list[int]]:
        return lambda line: tokenizer.encode(line, add_special_tokens=False)

    settings = {}
    if (folder / "tokenizer_config.json").is_file():
        settings = json.loads((folder / "tokenizer_config.json").read_text())
    settings.pop("tokenizer_class", None)
    if (folder / "spiece.model").is_file():
        model = str(folder / "spiece.model")
        slow = transformers.AlbertTokenizer(model, **settings)
        fast = transformers.AlbertTokenizerFast(vocab_file=model, **settings)
        return {
            "AlbertTokenizer": plain(slow),
            "sentencepiece": lambda line: slow.sp_model.encode(slow.preprocess_text(line)),
            "AlbertTokenizerFast": plain(fast),
        }
    if (folder / "vocab.txt").is_file():
        vocabulary = str(folder / "vocab.txt")
        return {"BertTokenizerFast": plain(transformers.BertTokenizerFast(vocabulary, **settings))}
    files = [str(folder / name) for name in ("vocab.json", "merges.txt")]
    return {"RobertaTokenizerFast": plain(transformers.RobertaTokenizerFast(*files, **settings))}


def excuse(line: str) -> str | None:
    """Why a line may differ: the tokenizers library has no other building block."""
    decomposed = unicodedata.normalize("NFKD", line)
    if any(unicodedata.category(c)[0] == "M" and not unicodedata.combining(c) for c in decomposed):
        return "marks that are not accents (vowel signs, variation selectors) are taken off too"
    if "\u03a3" in decomposed:
        return "a capital sigma at the end of a word is lower-cased to the sigma of its middle"
    return None


def compare(ours: list[list[int]], theirs: list[list[int]], lines: list[str]) -> dict[str, object]:
    differing = [index for index, pair in enumerate(zip(ours, theirs)) if pair[0] != pair[1]]
    unexcused = [index for index in differing if excuse(lines[index]) is None]
    return {
        "lines": len(lines),
        "differ": len(differing),
        "unexcused": len(unexcused),
        "excuses": dict(Counter(filter(None, (excuse(lines[index]) for index in differing)))),
        "examples": [[lines[i][:300], ours[i][:60], theirs[i][:60]] for i in unexcused[:SHOWN]],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description="Compare our ids with those of Python's tokenizers.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("texts", type=Path, nargs="*", metavar="TEXT")
    parser.add_argument("--random-lines", type=int, default=0, metavar="N")
    parser.add_argument("--encoder", type=Path, default=ENCODER, metavar="PATH")
    arguments = parser.parse_args()
    transformers.logging.set_verbosity_error()
    lines = random_lines(arguments.random_lines)
    for text in arguments.texts:
        lines += text.read_bytes().decode().removesuffix("\n").split("\n")
    ours = our_ids(arguments.encoder, arguments.folder, lines)
    failed = False
    for place, (name, encode) in enumerate(oracles(arguments.folder).items()):
        outcome = compare(ours, [encode(line) for line in lines], lines)
        print(json.dumps({"oracle": name} | outcome, ensure_ascii=False))
        failed |= place == 0 and bool(outcome["unexcused"])
    sys.exit(failed)


if __name__ == "__main__":
    main()
