"""Write `crates/data/tests/fixtures/`: small tokenizers in three forms, and what Python makes of texts.

`bert/vocab.txt` and `roberta/{vocab.json,merges.txt}` with `encodings.json`, every field of the rows
that the fast tokenizers of transformers give: texts and pairs cut to a length, windows over a context,
words. `albert/spiece.model`, trained here by the `sentencepiece` package, with `ids.json`: lines and the
ids that transformers' AlbertTokenizer, which runs that package, gives for them.
"""

import contextlib
import io
import json
import random
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import sentencepiece
import tokenizers
import transformers
from transformers import AlbertTokenizer, BertTokenizerFast, RobertaTokenizerFast

from check_tokenizer import random_lines
from fixture_file import REPOSITORY, save_json

FIXTURES = REPOSITORY / "crates/data/tests/fixtures"
LIBRARIES = (
    f"transformers {transformers.__version__}, tokenizers {tokenizers.__version__}, "
    f"sentencepiece {sentencepiece.__version__}"
)
SEED = 4

SUBJECTS = ("the river", "a small café", "Paris", "the old captain", "my neighbour", "New York")
VERBS = ("runs along", "remembers", "isn't far from", "was painted by", "overlooks", "believes in")
OBJECTS = ("the harbour", "a naïve painter", "the station", "42 islands", "the well-known bridge")
ENDINGS = (".", "!", " (or so they say).", ", in 1977, again.", " - at noon.", "; \"really\"?")

# What a character becomes, for the table inside the SentencePiece model; the whole of the usual one,
# `nmt_nfkc`, would be 240 kB.
REWRITTEN = {
    "\t": " ", "\n": " ", "\u00a0": " ", "\u3000": " ", "\u2581": " ", "\u200b": " ", "\u0007": "",
    "\ufb01": "fi", "\u2460": "1", "\u2122": "TM", "\uff21": "A", "\u00e9": "e\u0301",
}


def sentences(count: int) -> list[str]:
    draw = random.Random(SEED)
    parts = (SUBJECTS, VERBS, OBJECTS, ENDINGS)
    rows = ([draw.choice(part) for part in parts] for _ in range(count))
    return [f"{subject} {verb} {thing}{ending}" for subject, verb, thing, ending in rows]


def write_bert(folder: Path) -> None:
    """Whole words that occur often, and all characters, at the start of a word and within."""
    text = " ".join(sentences(300)).lower().replace("é", "e").replace("ï", "i")
    for mark in ".,!?;()\"'-":
        text = text.replace(mark, f" {mark} ")
    words = Counter(text.split())
    letters = sorted({letter for word in words for letter in word})
    common = sorted(word for word, count in words.items() if count > 25 and len(word) > 1)
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    pieces = [*special, *letters, *(f"##{letter}" for letter in letters), *common]
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "vocab.txt").write_text("\n".join(pieces) + "\n")


def write_roberta(folder: Path) -> None:
    """Byte pairs merged 120 times, the most frequent pair first and of equals the first in order."""
    names = transformers.models.gpt2.tokenization_gpt2.bytes_to_unicode()
    words = Counter()
    for sentence in sentences(300):
        for word in sentence.replace(" ", "\n ").split("\n"):
            words[tuple(names[byte] for byte in word.encode())] += 1
    merges = []
    for _ in range(120):
        pairs = Counter()
        for word, count in words.items():
            for pair in zip(word, word[1:]):
                pairs[pair] += count
        best = min(pairs, key=lambda pair: (-pairs[pair], pair))
        merges.append(best)
        merged = Counter()
        for word, count in words.items():
            joined, at = [], 0
            while at < len(word):
                together = word[at : at + 2] == best
                joined.append("".join(best) if together else word[at])
                at += 1 + together
            merged[tuple(joined)] += count
        words = merged
    pieces = ["<s>", "<pad>", "</s>", "<unk>", *sorted(names.values())]
    pieces += ["".join(pair) for pair in merges] + ["<mask>"]
    folder.mkdir(parents=True, exist_ok=True)
    vocabulary = {piece: number for number, piece in enumerate(pieces)}
    (folder / "vocab.json").write_text(json.dumps(vocabulary, ensure_ascii=False) + "\n")
    lines = ["#version: 0.2", *(" ".join(pair) for pair in merges)]
    (folder / "merges.txt").write_text("\n".join(lines) + "\n")


def write_albert(folder: Path) -> None:
    """A unigram model with the special pieces of ALBERT's and a small table of rewritten characters."""
    model = io.BytesIO()
    text = [sentence.lower().replace("é", "e").replace("ï", "i") for sentence in sentences(2000)]
    text += ["abcdefghijklmnopqrstuvwxyz 0123456789 é á ñ ö , ; ? ! ' / : 日 本 α β"] * 20
    text += [f"{number}, {number}" for number in range(100)]
    # The model keeps the name of the file of rules, so that is the same in every run.
    with tempfile.TemporaryDirectory() as scratch, contextlib.chdir(scratch):
        with open("rules.tsv", "w") as rules:
            for source, target in REWRITTEN.items():
                sides = (" ".join(f"{ord(letter):X}" for letter in side) for side in (source, target))
                rules.write("\t".join(sides) + "\n")
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(text),
            model_writer=model,
            model_type="unigram",
            vocab_size=260,
            pad_id=0,
            unk_id=1,
            bos_id=-1,
            eos_id=-1,
            control_symbols=["[CLS]", "[SEP]", "[MASK]"],
            user_defined_symbols=["(", ")", '"', "-", ".", "–"],
            normalization_rule_tsv="rules.tsv",
            num_threads=1,
            hard_vocab_limit=False,
            minloglevel=2,
        )
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "spiece.model").write_bytes(model.getvalue())


def rows(encoded: transformers.BatchEncoding) -> list[dict[str, list[Any]]]:
    return [
        {
            "input_ids": row.ids,
            "token_type_ids": row.type_ids,
            "starts": [start for start, _ in row.offsets],
            "ends": [end for _, end in row.offsets],
            "word_ids": row.word_ids,
            "sequence_ids": row.sequence_ids,
        }
        for row in encoded.encodings
    ]


def cases(tokenizer: Any, word_tokenizer: Any) -> dict[str, list[dict[str, Any]]]:
    """Calls with their arguments and the rows they return."""
    first, second, third = "  Paris isn't\tnaïve", "my neighbour", " ".join(sentences(3))
    odd = "日本 😀 café e\u0301 \u200b[MASK] <mask> x"
    texts = []
    for text, pair in [
        ("", None), (first, None), (third, None), (odd, None), (first, second), (second, third),
        (third, second), (third, third), (third, odd), ("", second), (first, ""),
    ]:  # fmt: skip
        for max_length in (None, 4, 12, 13, 30):
            options = {} if max_length is None else {"truncation": True, "max_length": max_length}
            # A batch of one: called with one text, transformers takes an empty pair for none.
            row = rows(tokenizer([text], None if pair is None else [pair], **options))
            texts.append({"text": text, "pair": pair, "max_length": max_length, "rows": row})
    windows = []
    for question, context in [(second, third), (second, odd), (first, third), (second, "")]:
        for max_length, stride in [(40, 12), (45, 0), (300, 128)]:
            encoded = tokenizer(
                [question],
                [context],
                truncation="only_second",
                max_length=max_length,
                stride=stride,
                return_overflowing_tokens=True,
            )
            arguments = {"question": question, "context": context}
            arguments |= {"max_length": max_length, "stride": stride}
            windows.append(arguments | {"rows": rows(encoded)})
    words = []
    for split in [
        ["New", "York", "isn't", "far"], ["Café", "", "naïve", "日本", "😀"],
        ["[MASK]", "a[MASK]b", "<mask>", "a<mask>b", " blank", "two words"], third.split(" "), [],
    ]:  # fmt: skip
        for max_length in (None, 7):
            options = {} if max_length is None else {"truncation": True, "max_length": max_length}
            row = rows(word_tokenizer(split, is_split_into_words=True, **options))
            words.append({"words": split, "max_length": max_length, "rows": row})
    return {"texts": texts, "windows": windows, "words": words}


def main() -> None:
    write_bert(FIXTURES / "bert")
    bert = BertTokenizerFast(str(FIXTURES / "bert/vocab.txt"))
    save_json(FIXTURES / "bert/encodings.json", {"libraries": LIBRARIES, **cases(bert, bert)})

    write_roberta(FIXTURES / "roberta")
    files = [str(FIXTURES / "roberta" / name) for name in ("vocab.json", "merges.txt")]
    roberta = RobertaTokenizerFast(*files)
    prefixing = RobertaTokenizerFast(*files, add_prefix_space=True)
    expected = {"libraries": LIBRARIES, **cases(roberta, prefixing)}
    save_json(FIXTURES / "roberta/encodings.json", expected)

    write_albert(FIXTURES / "albert")
    albert = AlbertTokenizer(str(FIXTURES / "albert/spiece.model"))
    lines = [*sentences(40), *random_lines(160)]
    lines += ["", "  ", " x ", "a\tb", "(x)y", "9,9 and 1,000", "``x''", "[MASK]well-known[MASK]"]
    pairs = [[*lines[:2]], [lines[5], ""], ["", ""]]
    encoded = albert(pairs)
    expected = {
        "libraries": LIBRARIES,
        "lines": [[line, albert.encode(line, add_special_tokens=False)] for line in lines],
        "pairs": [
            {"texts": pair, "input_ids": ids, "token_type_ids": types}
            for pair, ids, types in zip(pairs, encoded["input_ids"], encoded["token_type_ids"])
        ],
    }
    save_json(FIXTURES / "albert/ids.json", expected)


if __name__ == "__main__":
    main()
