"""Write `crates/data/tests/fixtures/settings.json`: the files beside a tokenizer, and what transformers makes of them.

Each case is a folder: one of three vocabularies, and JSON files that add words, name special tokens or change
how texts are split. `AutoTokenizer` reads it; the rows of every text are kept, and the ids of some entries.
"""

import json
import tempfile
from pathlib import Path
from typing import Any

import tokenizers
import transformers
from transformers import AutoTokenizer, BertTokenizerFast, RobertaTokenizerFast

from fixture_file import REPOSITORY, save_json

FIXTURE = REPOSITORY / "crates/data/tests/fixtures/settings.json"
LIBRARIES = f"transformers {transformers.__version__}, tokenizers {tokenizers.__version__}"
PIECES = [
    "[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "b", "c", "cafe", "café", "Cafe", "##x", "un", "##aff",
    "##able", "日", "本", "日本",
]  # fmt: skip
NEW = len(PIECES)
WORDS = ["a new words b", "NEW Words a", "anew b", "new new b", "a <e> b", "a<e>b <f>", "a [MASK] b"]
CASES = ["Café CAFE 日本 Cafe cafe"]
SPACES = ["ab ab", " ab", "ab <mask> a", "a new b"]
BERT = {"tokenizer_class": "BertTokenizer"}


def token(content: str, **flags: bool) -> dict[str, Any]:
    usual = {"lstrip": False, "rstrip": False, "normalized": True, "single_word": False}
    return {"content": content, **usual, **flags}


def folders() -> list[dict[str, Any]]:
    """What each case has: its vocabulary (`text`, `bert`, `roberta`), further files, and texts."""
    config = "tokenizer_config.json"
    special_map = "special_tokens_map.json"
    added = "added_tokens.json"
    plain = {config: BERT}
    typed = {"__type": "AddedToken"}
    word = token("new", lstrip=True, single_word=True, special=False)
    mark = token("words", rstrip=True, normalized=False, special=True)
    cases = [
        ("text", plain | {added: {"new": NEW, "words": NEW + 1}}, WORDS),
        ("text", plain | {added: {"words": NEW + 1, "new": NEW}}, WORDS),
        ("text", plain | {added: {"new": NEW + 5, "words": NEW + 9}}, WORDS),
        ("text", {config: BERT | {"additional_special_tokens": ["words"]}, added: {"new": NEW, "words": NEW + 1}}, WORDS),
        ("text", {config: BERT | {"added_tokens_decoder": {str(NEW): word, str(NEW + 1): mark}}}, WORDS),
        ("text", {config: BERT | {"added_tokens_decoder": {str(NEW): word}}, special_map: {"pad_token": "<e>"}}, WORDS),
        ("text", {config: BERT | {"additional_special_tokens": ["<e>", "new"]}}, WORDS),
        ("text", {config: BERT | {"additional_special_tokens": [token("<e>", lstrip=True) | typed]}}, WORDS),
        ("text", plain | {special_map: {"additional_special_tokens": ["<e>", token("new", lstrip=True, normalized=False)]}}, WORDS),
        ("text", {config: BERT | {"additional_special_tokens": ["<f>"]}, special_map: {"additional_special_tokens": ["<e>"]}}, WORDS),
        ("text", {config: BERT | {"extra_special_tokens": {"end_token": "<e>"}}}, WORDS),
        ("text", {config: BERT | {"pad_token": "<e>", "cls_token": "<f>"}}, WORDS),
        ("text", plain | {special_map: {"mask_token": token("[MASK]", lstrip=True, normalized=False)}}, WORDS),
        ("bert", {config: BERT | {"additional_special_tokens": ["<e>"]}, added: {"new": NEW}}, WORDS),
        ("bert", {config: {"tokenizer_class": "PreTrainedTokenizerFast", "added_tokens_decoder": {str(NEW): word, str(NEW + 1): mark}}}, WORDS),
        ("bert", {config: {"tokenizer_class": "PreTrainedTokenizerFast", "mask_token": token("[MASK]", lstrip=True, normalized=False) | typed}}, WORDS),
        ("bert", {config: {}, special_map: {"additional_special_tokens": ["<e>"]}, "config.json": {"model_type": "bert"}}, WORDS),
    ]
    for switch in ({"do_lower_case": False}, {"strip_accents": False}, {"tokenize_chinese_chars": False},
                   {"do_lower_case": False, "strip_accents": True}, {}):  # fmt: skip
        for class_name in ("BertTokenizer", "ElectraTokenizerFast", "PreTrainedTokenizerFast"):
            cases.append(("bert", {config: {"tokenizer_class": class_name} | switch}, CASES))
        cases.append(("text", {config: BERT | switch}, CASES))
    cased = {"do_lower_case": False}
    cases += [
        ("cased", {config: BERT}, CASES),
        ("cased", {config: BERT | {"do_lower_case": True}}, CASES),
        ("cased", {config: cased, "config.json": {"model_type": "bert"}}, CASES),
        ("cased", {config: {"tokenizer_class": "PreTrainedTokenizerFast"}}, CASES),
    ]
    for class_name in ("RobertaTokenizer", "PreTrainedTokenizerFast"):
        for vocabulary in ("roberta", "prefixed"):
            for switch in ({}, {"add_prefix_space": True}, {"add_prefix_space": False}):
                cases.append((vocabulary, {config: {"tokenizer_class": class_name} | switch}, SPACES))
    for name in ("text", "bert"):
        cases.append((name, {config: BERT | {"truncation_side": "left"}}, ["a b c cafe a b", "b"]))
    return [{"vocabulary": name, "files": files, "texts": texts} for name, files, texts in cases]


def write_vocabularies() -> dict[str, str]:
    """The content of each vocabulary's file: a `vocab.txt`, or a tokenizer.json."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        text = "\n".join(PIECES) + "\n"
        (folder / "vocab.txt").write_text(text)
        names = sorted(tokenizers.pre_tokenizers.ByteLevel.alphabet())
        pieces = ["<s>", "<pad>", "</s>", "<unk>", *names, "ab", "Ġab", "<mask>"]
        (folder / "vocab.json").write_text(json.dumps({piece: id for id, piece in enumerate(pieces)}))
        (folder / "merges.txt").write_text("#version: 0.2\na b\nĠ ab\n")
        files = [str(folder / name) for name in ("vocab.json", "merges.txt")]
        vocabulary = str(folder / "vocab.txt")
        made = {
            "bert": BertTokenizerFast(vocabulary),
            "cased": BertTokenizerFast(vocabulary, do_lower_case=False),
            "roberta": RobertaTokenizerFast(*files),
            "prefixed": RobertaTokenizerFast(*files, add_prefix_space=True),
        }
        return {"text": text} | {name: one.backend_tokenizer.to_str() for name, one in made.items()}


def rows(tokenizer: Any, texts: list[str], cuts: bool) -> list[dict[str, Any]]:
    """Every text as it is, and if it `cuts` also in pairs and to two lengths."""
    found = []
    for text in texts:
        for pair in (None, texts[0]) if cuts else (None,):
            for max_length in (None, 5, 8) if cuts else (None,):
                options = {} if max_length is None else {"truncation": True, "max_length": max_length}
                encoded = tokenizer([text], None if pair is None else [pair], **options)
                arguments = {"text": text, "pair": pair, "max_length": max_length}
                found.append(arguments | {"input_ids": encoded["input_ids"][0]})
    return found


def windows(tokenizer: Any) -> dict[str, Any]:
    question, context = "a b", "a b c cafe a b a b c a b c"
    options = {"truncation": "only_second", "max_length": 10, "stride": 1}
    encoded = tokenizer([question], [context], return_overflowing_tokens=True, **options)
    return {"question": question, "context": context, "input_ids": encoded["input_ids"]}


def main() -> None:
    transformers.logging.set_verbosity_error()
    vocabularies = write_vocabularies()
    cases = folders()
    for case in cases:
        with tempfile.TemporaryDirectory() as scratch:
            folder = Path(scratch)
            name = "vocab.txt" if case["vocabulary"] == "text" else "tokenizer.json"
            (folder / name).write_text(vocabularies[case["vocabulary"]])
            for file, content in case["files"].items():
                (folder / file).write_text(json.dumps(content))
            tokenizer = AutoTokenizer.from_pretrained(scratch)
            cuts = "truncation_side" in case["files"]["tokenizer_config.json"]
            case["rows"] = rows(tokenizer, case.pop("texts"), cuts)
            case["windows"] = windows(tokenizer) if cuts else None
            case["entries"] = tokenizer.convert_ids_to_tokens(range(len(tokenizer)))[NEW - 2 :][-6:]
            case["vocab_size"] = len(tokenizer)
    save_json(FIXTURE, {"libraries": LIBRARIES, "vocabularies": vocabularies, "cases": cases})


if __name__ == "__main__":
    main()
