"""Compare the ids of our tokenizer with those of Python's, line by line.

    cargo build --release --workspace --example encode
    python check_tokenizer.py [--random-lines N] [--encoder PATH] FOLDER [TEXT...]

FOLDER holds a spiece.model, a vocab.txt, or a vocab.json with merges.txt. The lines are those of the
TEXT files and N more that are put together from accents, scripts, emoji, control characters, odd white
space and special tokens. Special tokens are never added. What ours is compared with:

- spiece.model: `AlbertTokenizer` of transformers. It cleans a text (white space to single blanks, `` and
  '' to ", NFKD without accents, lower case), splits it at special tokens, has the `sentencepiece` package
  encode the parts, and keeps a number and the comma after it apart. Then that package's own `encode` of
  the whole cleaned line, and `AlbertTokenizerFast` as transformers makes it of a spiece.model;
- vocab.txt: `BertTokenizerFast`; vocab.json: `RobertaTokenizerFast`;
- all: our tokenizer.json in Python's `tokenizers`.

Lines may differ for the reasons listed with each (see `oracles`); they are counted by reason. One JSON
line a comparison goes to stdout, and the exit status is 1 if any line differs for no known reason.
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
from typing import Any, NamedTuple

import tokenizers
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


Excuse = Callable[[str, list[int]], bool]


class Oracle(NamedTuple):
    """A tokenizer of Python's, and why a line and its ids may differ from ours, by reason."""

    name: str
    encode: Callable[[str], list[int]]
    excuses: dict[str, Excuse]


def oracles(encoder: Path, folder: Path) -> list[Oracle]:
    def plain(tokenizer: Any) -> Callable[[str], list[int]]:
        return lambda line: tokenizer.encode(line, add_special_tokens=False)

    def fast(name: str, *files: str) -> Oracle:
        tokenizer = getattr(transformers, name)(*(str(folder / file) for file in files), **settings)
        return Oracle(name, plain(tokenizer), {})

    printed = subprocess.run([encoder, folder, "json"], stdout=subprocess.PIPE, check=True).stdout
    ours = tokenizers.Tokenizer.from_str(printed.decode())
    found = [Oracle("our tokenizer.json", lambda line: plain(ours)(line).ids, {})]
    settings = {}
    if (folder / "tokenizer_config.json").is_file():
        settings = json.loads((folder / "tokenizer_config.json").read_text())
    settings.pop("tokenizer_class", None)
    if (folder / "vocab.txt").is_file():
        return [*found, fast("BertTokenizerFast", "vocab.txt")]
    if (folder / "vocab.json").is_file():
        return [*found, fast("RobertaTokenizerFast", "vocab.json", "merges.txt")]

    slow = transformers.AlbertTokenizer(str(folder / "spiece.model"), **settings)
    alone = transformers.AlbertTokenizerFast(str(folder / "spiece.model"), **settings)
    pieces = slow.sp_model.id_to_piece(list(range(len(slow.sp_model))))
    symbols = [token.content for token in ours.get_added_tokens_decoder().values()]
    marks = {"marks other than accents, which ours takes off too": lambda line, _: has_marks(line)}
    of_package = {
        "special tokens, which the package reads as text": lambda line, _: any(
            symbol in line for symbol in symbols
        ),
        "a number and its comma as one piece": lambda _, ids: any(
            len(pieces[i]) > 1 and pieces[i][-1] == "," and pieces[i][-2].isdigit() for i in ids
        ),
        "a capital sigma that ends a word": lambda line, _: "\u03a3" in line,
    }
    of_fast = {
        "a blank put after user-defined symbols": lambda line, _: any(
            symbol in line for symbol in alone.get_added_vocab()
        ),
        "white space kept": lambda line, _: line != line.strip(" ▁")
        or any(letter.isspace() and letter != " " for letter in line),
    }
    return [
        *found,
        Oracle("AlbertTokenizer", plain(slow), marks),
        Oracle(
            "sentencepiece",
            lambda line: slow.sp_model.encode(slow.preprocess_text(line)),
            marks | of_package,
        ),
        Oracle("AlbertTokenizerFast", plain(alone), of_fast),
    ]


def has_marks(line: str) -> bool:
    """Vowel signs, variation selectors and the like: `AlbertTokenizer` drops only accents."""
    letters = unicodedata.normalize("NFKD", line)
    return any(unicodedata.category(c)[0] == "M" and not unicodedata.combining(c) for c in letters)


def compare(oracle: Oracle, ours: list[list[int]], lines: list[str]) -> dict[str, Any]:
    reasons: Counter[str] = Counter()
    examples = []
    for line, mine in zip(lines, ours):
        theirs = oracle.encode(line)
        if mine == theirs:
            continue
        known = (name for name, applies in oracle.excuses.items() if applies(line, theirs))
        reason = next(known, "unknown")
        reasons[reason] += 1
        if reason == "unknown":
            examples.append({"line": line[:300], "ours": mine[:60], "theirs": theirs[:60]})
    return {
        "oracle": oracle.name,
        "lines": len(lines),
        "differ": sum(reasons.values()),
        "reasons": dict(reasons),
        "examples": examples[:SHOWN],
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
    for oracle in oracles(arguments.encoder, arguments.folder):
        outcome = compare(oracle, ours, lines)
        print(json.dumps(outcome, ensure_ascii=False))
        failed |= bool(outcome["examples"])
    sys.exit(failed)


if __name__ == "__main__":
    main()
