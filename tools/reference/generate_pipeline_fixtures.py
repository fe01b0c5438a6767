"""Write what transformers' pipelines answer, for `crates/pipelines`.

    python generate_pipeline_fixtures.py

Every folder of `crates/pipelines/tests/fixtures` is a tiny random model with its tokenizer and
`answers.json`: cases of options, requests (in the form of our JSON lines) and transformers' answers.
Inputs go through the pipelines one by one and unpadded, unless the model reads one length only.
"""

import json
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tokenizers import ByteLevelBPETokenizer
from transformers import (
    BertTokenizerFast,
    NystromformerConfig,
    NystromformerForMaskedLM,
    NystromformerForMultipleChoice,
    NystromformerForQuestionAnswering,
    NystromformerForSequenceClassification,
    NystromformerForTokenClassification,
    NystromformerModel,
    PreTrainedModel,
    PreTrainedTokenizerFast,
    RobertaTokenizerFast,
    pipeline,
)
from transformers.utils import logging

from fixture_file import REPOSITORY, randomise

FIXTURES = REPOSITORY / "crates/pipelines/tests/fixtures"
MAX_LENGTH = 24

SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
WORDS = (
    "the a is of in and to was he she it who where what does live lives work works home cafe film "
    "good bad long short anna bob paris lyon berlin city river bank train runs near every day not "
    "i my name resume naive . , ! ? ' - 3 7"
).split()
PIECES = (
    "##s ##ed ##ing ##er ##ly ##a ##e ##n ##t ##o ##r ##l ##i ##d ##g ##u "
    "b c d f g k l m n p r s t v w"
).split()

TEXTS = [
    "The film was good.",
    "Anna lives in Paris, and Bob works near the river bank!",
    "",
    "CAFÉ résumé naïve",
    "Who? 😀 It was 東京 -- not Lyon's",
    "Bobbing trainers, cities; unknown wörds",
    " ".join(["the long train runs near the city every day"] * 6) + ".",
    "   bob   \t anna ",
]
PAIRS = [
    {"text": "Where does Anna live?", "text_pair": "Anna lives in Berlin."},
    {"text": "the city " * 12, "text_pair": "It was good. " * 5},
    {"text": "", "text_pair": "Bob"},
    {"text": "Bob", "text_pair": ""},
]
MASKED = ["Anna lives in [MASK].", "[MASK] works.", "The [MASK] was [MASK], not bad."]
SPLIT = [
    {"tokens": ["Anna", "lives", "in", "Pariser", "Cafés", "😀", "."]},
    {"tokens": ["Bob-Anna", "works,", "", "trainer"]},
]
QUESTIONS = [
    {"question": "Where does Anna live?", "context": "Anna lives in Paris, near the river."},
    {"question": "Who works?", "context": "Bob worked in the café. Anna is not home. " * 4, "id": 7},
    {
        "question": "What was naïve?",
        "context": "The résumé of Bob 😀 was naïve; Bob's film was longer, BOB was not.",
        "id": "film",
    },
    {"question": "Who?", "context": "😀"},
]
CHOICES = [
    {"prompt": "Anna lives in", "choices": ["Paris.", "the long film was good", "", "a café"]},
    {"question": "Who runs?", "choices": ["The train."]},
    {"prompt": "the river " * 10, "choices": ["it runs near the bank " * 4, "not every day"]},
]
NAMED = ["O", "B-PER", "I-PER", "B-LOC", "I-LOC"]

Case = dict[str, Any]


def word_pieces(folder: Path, max_length: int) -> BertTokenizerFast:
    """A WordPiece tokenizer over `WORDS` and `PIECES`."""
    with tempfile.TemporaryDirectory() as scratch:
        vocabulary = Path(scratch) / "vocab.txt"
        vocabulary.write_text("\n".join([*SPECIAL, *WORDS, *PIECES]) + "\n")
        tokenizer = BertTokenizerFast(vocab_file=str(vocabulary), model_max_length=max_length)
    tokenizer.save_pretrained(folder)
    return tokenizer


def byte_pairs(folder: Path, max_length: int) -> RobertaTokenizerFast:
    """A byte-level tokenizer trained on the texts above."""
    trained = ByteLevelBPETokenizer()
    special = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    corpus = TEXTS + [question["context"] for question in QUESTIONS]
    trained.train_from_iterator(corpus, vocab_size=330, special_tokens=special, show_progress=False)
    with tempfile.TemporaryDirectory() as scratch:
        trained.save_model(scratch)
        tokenizer = RobertaTokenizerFast(
            f"{scratch}/vocab.json",
            f"{scratch}/merges.txt",
            model_max_length=max_length,
            add_prefix_space=True,
        )
    tokenizer.save_pretrained(folder)
    return tokenizer


def random_model(
    architecture: type[PreTrainedModel], tokenizer: PreTrainedTokenizerFast, **settings: Any
) -> PreTrainedModel:
    """Two layers of width 16 with every parameter random; full attention unless told otherwise."""
    labels = settings.pop("labels", ["LABEL_0", "LABEL_1"])
    seed = settings.pop("seed", 1)
    config = NystromformerConfig(
        **{
            "vocab_size": len(tokenizer),
            "hidden_size": 16,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
            "intermediate_size": 24,
            "hidden_dropout_prob": 0.0,
            "attention_probs_dropout_prob": 0.0,
            "max_position_embeddings": 2 * MAX_LENGTH,
            "segment_means_seq_len": 8,
            "num_landmarks": 8,
            "conv_kernel_size": 3,
            "pad_token_id": tokenizer.pad_token_id,
            "bos_token_id": tokenizer.cls_token_id,
            "eos_token_id": tokenizer.sep_token_id,
            "id2label": dict(enumerate(labels)),
            "label2id": {label: index for index, label in enumerate(labels)},
        }
        | settings
    )
    model = architecture(config).eval()
    randomise(model.named_parameters(), torch.Generator().manual_seed(seed))
    sharpen(model)
    return model


def sharpen(model: PreTrainedModel) -> None:
    """Let what a classifier says depend on its input, not on its bias."""
    classifier = getattr(model, "classifier", None)
    last = getattr(classifier, "out_proj", classifier)
    if isinstance(last, torch.nn.Linear):
        with torch.no_grad():
            last.weight.mul_(5.0)
            last.bias.zero_()


def write(
    name: str,
    architecture: type[PreTrainedModel],
    answer: Callable[[PreTrainedModel, PreTrainedTokenizerFast], list[Case]],
    tokenize: Callable[[Path, int], PreTrainedTokenizerFast] = word_pieces,
    max_length: int = MAX_LENGTH,
    **settings: Any,
) -> None:
    """One folder: model, tokenizer, answers."""
    folder = FIXTURES / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    tokenizer = tokenize(folder, max_length)
    model = random_model(architecture, tokenizer, **settings)
    model.save_pretrained(folder)
    cases = answer(model, tokenizer)
    lines = ",\n".join(json.dumps(case, ensure_ascii=False, default=float) for case in cases)
    (folder / "answers.json").write_text(f"[\n{lines}\n]\n")
    # The same vocabulary once more; tokenizer.json has it all.
    for file in ("vocab.txt", "vocab.json", "merges.txt"):
        (folder / file).unlink(missing_ok=True)
    size = sum(file.stat().st_size for file in folder.iterdir())
    print(f"{name:20} {size / 1024:7.1f} KiB, {len(cases)} cases")


def case(options: Case, requests: list[Any], answer: Callable[[Any], Any]) -> Case:
    """Each request answered by itself."""
    return {"options": options, "requests": requests, "answers": [answer(r) for r in requests]}


def fixed(length: int) -> dict[str, Any]:
    """Settings of Nyström attention, which reads rows of one length only."""
    return {"segment_means_seq_len": length, "num_landmarks": 4, "max_length": length}


def texts(values: list[str]) -> list[Case]:
    """Requests of one text."""
    return [{"text": text} for text in values]


def fill_masks(model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast) -> list[Case]:
    """One mask and several, with the default number of candidates and another."""
    filler = pipeline("fill-mask", model=model, tokenizer=tokenizer)
    masked = [text.replace("[MASK]", tokenizer.mask_token) for text in MASKED]
    return [
        case({"top_k": top_k}, texts(masked), lambda r, k=top_k: filler(r["text"], top_k=k))
        for top_k in (5, 2)
    ]


def whole(model: PreTrainedModel) -> dict[str, Any]:
    """Of a text what the model has positions for, whatever `model_max_length` of its tokenizer is."""
    return {"truncation": True, "max_length": model.config.max_position_embeddings}


def classify(model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast) -> list[Case]:
    """Texts and pairs, cut to the model's length and, if it reads no other, padded to it.

    Without being told, this pipeline cuts nothing: `model_max_length` is not read.
    """
    classifier = pipeline("text-classification", model=model, tokenizer=tokenizer)
    is_fixed = model.config.num_landmarks != model.config.segment_means_seq_len
    padded = {"truncation": True, "padding": "max_length"}
    shape = padded if is_fixed else whole(model)
    requests = texts(TEXTS) + PAIRS
    return [
        case({"top_k": 1}, requests, lambda r: classifier(r, **shape)),
        case({"top_k": 3}, requests, lambda r: classifier(r, top_k=3, **shape)),
    ]


def name(model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast) -> list[Case]:
    """Every aggregation, cut texts and windows, words."""
    tagger = pipeline("token-classification", model=model, tokenizer=tokenizer)
    strategies = ("none", "simple", "first", "average", "max")
    # Of a byte-level tokenizer the first token of every window begins at the blank before it, and
    # an empty first entity comes twice; neither is worth repeating.
    strides = (None,) if isinstance(tokenizer, RobertaTokenizerFast) else (None, 5)
    cases = []
    for strategy in strategies:
        told = {"aggregation_strategy": strategy}
        for stride in strides if strategy != "none" else (None,):
            windows = {} if stride is None else {"stride": stride}
            options = {"aggregation": strategy} | windows
            cases.append(
                case(options, texts(TEXTS), lambda r, t=told | windows: tagger(r["text"], **t))
            )
        split = told | {"is_split_into_words": True}
        cases.append(
            case({"aggregation": strategy}, SPLIT, lambda r, t=split: tagger(r["tokens"], **t)[0])
        )
    everything = {"aggregation_strategy": "simple", "ignore_labels": []}
    options = {"aggregation": "simple", "ignore_labels": []}
    return [*cases, case(options, texts(TEXTS), lambda r: tagger(r["text"], **everything))]


def find_answers(model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast) -> list[Case]:
    """Short and long contexts, several answers, no answer."""
    finder = pipeline("question-answering", model=model, tokenizer=tokenizer)
    is_fixed = model.config.num_landmarks != model.config.segment_means_seq_len
    padding = {"padding": "max_length"} if is_fixed else {}

    def answer(request: Case, options: Case) -> Any:
        asked = {key: request[key] for key in ("question", "context")}
        found = finder(**asked, **options, **padding)
        listed = found if isinstance(found, list) else [found]
        # Where the context has fewer, transformers fills up with spans of probability 0.
        listed = [a for a in listed if a["score"] > 0 or options["top_k"] == 1]
        listed = [{"id": request["id"]} | a if "id" in request else a for a in listed]
        return listed[0] if len(listed) == 1 else listed

    every: list[Case] = [
        {"top_k": 1},
        {"top_k": 4},
        {"top_k": 3, "max_answer_len": 2},
        {"top_k": 1, "handle_impossible_answer": True},
        {"top_k": 5, "handle_impossible_answer": True, "max_answer_len": 3},
    ]
    if not is_fixed:
        every.append({"top_k": 2, "max_seq_len": 18, "doc_stride": 4})
    return [case(o, QUESTIONS, lambda r, o=o: answer(r, o)) for o in every]


def choose(model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast) -> list[Case]:
    """Every choice scored by itself, for padding would reach the convolution."""

    def answer(request: Case) -> Case:
        prompt = request.get("prompt", request.get("question"))
        logits = []
        for choice in request["choices"]:
            row = tokenizer([prompt], [choice], truncation=True, return_tensors="pt")
            with torch.no_grad():
                logits.append(model(**{k: v[None] for k, v in row.items()}).logits.item())
        scores = torch.tensor(logits, dtype=torch.float64).softmax(0)
        best = int(scores.argmax())
        return {
            "choice": best,
            "label": request["choices"][best],
            "score": scores[best].item(),
            "scores": scores.tolist(),
        }

    return [case({}, CHOICES, answer)]


def extract(model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast) -> list[Case]:
    """All hidden states, and two ways to pool them."""
    extractor = pipeline("feature-extraction", model=model, tokenizer=tokenizer)
    pools: dict[str, Callable[[list[list[float]]], Any]] = {
        "none": lambda states: states,
        "cls": lambda states: states[0],
        "mean": lambda states: np.mean(np.array(states, dtype=np.float64), axis=0).tolist(),
    }
    return [
        case(
            {"pooling": kind},
            texts(TEXTS[:4]),
            lambda r, p=pool: p(extractor(r["text"], tokenize_kwargs=whole(model))[0]),
        )
        for kind, pool in pools.items()
    ]


def main() -> None:
    """Write all folders."""
    logging.set_verbosity_error()
    torch.manual_seed(0)
    torch.set_num_threads(1)
    sequence = NystromformerForSequenceClassification
    write("fill_mask", NystromformerForMaskedLM, fill_masks)
    write("single_label", sequence, classify, labels=["bad", "good", "mixed", "none"], seed=6)
    several = {"labels": ["long", "short", "sad"], "problem_type": "multi_label_classification"}
    write("multi_label", sequence, classify, **several)
    write("regression", sequence, classify, labels=["stars", "length"], problem_type="regression")
    write("one_label", sequence, classify, labels=["good"])
    write("nystrom", sequence, classify, labels=["bad", "good", "mixed"], **fixed(16))
    write("tokens", NystromformerForTokenClassification, name, labels=NAMED, seed=21)
    write("tokens_bytes", NystromformerForTokenClassification, name, byte_pairs, labels=NAMED)
    write("qa", NystromformerForQuestionAnswering, find_answers)
    write("qa_nystrom", NystromformerForQuestionAnswering, find_answers, **fixed(32))
    write("choice", NystromformerForMultipleChoice, choose)
    write("features", NystromformerModel, extract)


if __name__ == "__main__":
    main()
