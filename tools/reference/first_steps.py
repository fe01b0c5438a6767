"""Data of every kind of answer, and transformers' recipe for it: from files to padded batches.

What `run_ner`, `run_qa` and `run_swag` of transformers do to their examples, restated: labels stand on the first piece of a
word; a question is asked of overlapping windows over its context; each choice is read with what stands before it. The data
is drawn here. Words are made of syllables, so that most are several pieces.
"""

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

import torch
from tokenizers import Tokenizer
from tokenizers.models import WordPiece
from tokenizers.normalizers import BertNormalizer
from tokenizers.pre_tokenizers import BertPreTokenizer
from tokenizers.processors import TemplateProcessing
from torch.nn.functional import cross_entropy
from transformers import (
    NystromformerForMultipleChoice,
    NystromformerForQuestionAnswering,
    NystromformerForTokenClassification,
    PreTrainedModel,
    PreTrainedTokenizerFast,
)

Tensors = dict[str, torch.Tensor]
Row = dict[str, Any]

SEQ_LEN = 32
DOC_STRIDE = 6
IGNORED = -100
SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
SYLLABLES = ("ba", "lo", "mi", "ren", "tu", "sha", "ko", "vel", "dor", "ni")
FUNCTION_WORDS = ("the", "of", "in", "and", "was", "with", "to", "by", "who", "what", ".", ",", "?")
TAGS = ("B-LOC", "B-PER", "I-LOC", "I-PER", "O")


def make_tokenizer() -> PreTrainedTokenizerFast:
    """A BERT tokenizer that knows syllables, as the beginnings of words and within them."""
    entries = [*SPECIAL, *FUNCTION_WORDS, *SYLLABLES, *(f"##{syllable}" for syllable in SYLLABLES)]
    vocabulary = {entry: index for index, entry in enumerate(entries)}
    tokenizer = Tokenizer(WordPiece(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = BertPreTokenizer()
    tokenizer.post_processor = TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[(token, vocabulary[token]) for token in ("[CLS]", "[SEP]")],
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="[PAD]",
        unk_token="[UNK]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        mask_token="[MASK]",
    )


def draw_word(random: Random) -> str:
    """A word of one to three syllables."""
    return "".join(random.choice(SYLLABLES) for _ in range(random.randint(1, 3)))


def draw_words(random: Random, fewest: int, most: int) -> list[str]:
    """Words, every third of which is a function word."""
    return [
        random.choice(FUNCTION_WORDS) if random.random() < 1 / 3 else draw_word(random)
        for _ in range(random.randint(fewest, most))
    ]


def stack(rows: Sequence[Row]) -> Tensors:
    """Rows of equal length as a batch."""
    return {name: torch.tensor([row[name] for row in rows]) for name in rows[0]}


# Token classification


def draw_sentences(random: Random, count: int) -> list[dict[str, Any]]:
    """Sentences with a tag for each word; names are capitalised, and of one or two words."""
    sentences = []
    for _ in range(count):
        tokens, tags = [], []
        while len(tokens) < random.randint(4, 9):
            if random.random() < 0.3:
                kind = random.choice(("PER", "LOC"))
                name = [draw_word(random).capitalize() for _ in range(random.randint(1, 2))]
                tokens += name
                tags += [f"B-{kind}", f"I-{kind}"][: len(name)]
            else:
                tokens += draw_words(random, 1, 1)
                tags.append("O")
        sentences.append({"tokens": tokens, "ner_tags": tags})
    return sentences


def tag_rows(tokenizer: PreTrainedTokenizerFast, sentences: Iterable[dict[str, Any]]) -> list[Row]:
    """A row for each sentence; the first piece of a word has its tag, others have none."""
    rows = []
    for sentence in sentences:
        encoding = tokenizer(
            sentence["tokens"],
            is_split_into_words=True,
            truncation=True,
            max_length=SEQ_LEN,
            padding="max_length",
        )
        labels, before = [], None
        for word in encoding.word_ids():
            is_first = word is not None and word != before
            labels.append(TAGS.index(sentence["ner_tags"][word]) if is_first else IGNORED)
            before = word
        rows.append({**encoding, "labels": labels})
    return rows


# Question answering


def draw_articles(random: Random, count: int) -> dict[str, Any]:
    """SQuAD's nesting: two questions of each context, some of which are longer than a window."""
    articles = []
    for number in range(count):
        words = draw_words(random, 8, 30)
        context = " ".join(words)
        questions = []
        for asked in range(2):
            first = random.randrange(len(words) - 2)
            answer = " ".join(words[first : first + random.randint(1, 2)])
            start = len(" ".join(words[:first])) + (1 if first else 0)
            questions.append(
                {
                    "id": f"{number}-{asked}",
                    "question": " ".join(["what", *draw_words(random, 1, 3), "?"]),
                    "answers": [{"text": answer, "answer_start": start}],
                }
            )
        articles.append({"title": str(number), "paragraphs": [{"context": context, "qas": questions}]})
    return {"version": "1.1", "data": articles}


def span_rows(tokenizer: PreTrainedTokenizerFast, data: dict[str, Any]) -> list[Row]:
    """The windows of each question; one without its answer points at its first token."""
    rows = []
    for paragraph in (paragraph for article in data["data"] for paragraph in article["paragraphs"]):
        for question in paragraph["qas"]:
            encoding = tokenizer(
                question["question"],
                paragraph["context"],
                truncation="only_second",
                max_length=SEQ_LEN,
                stride=DOC_STRIDE,
                return_overflowing_tokens=True,
                return_offsets_mapping=True,
                padding="max_length",
            )
            answer = question["answers"][0]
            begin = answer["answer_start"]
            end = begin + len(answer["text"])
            for window in range(len(encoding["input_ids"])):
                of_context = [
                    place
                    for place, sequence in enumerate(encoding.sequence_ids(window))
                    if sequence == 1
                ]
                offsets = encoding["offset_mapping"][window]
                inside = offsets[of_context[0]][0] <= begin and offsets[of_context[-1]][1] >= end
                starts = [place for place in of_context if offsets[place][0] <= begin]
                ends = [place for place in of_context if offsets[place][1] >= end]
                row = {
                    name: encoding[name][window]
                    for name in ("input_ids", "token_type_ids", "attention_mask")
                }
                row["start_positions"] = starts[-1] if inside else 0
                row["end_positions"] = ends[0] if inside else 0
                rows.append(row)
    return rows


# Multiple choice


def draw_questions(random: Random, count: int) -> list[dict[str, Any]]:
    """SWAG's columns, with two to four endings; some contexts are longer than a row."""
    questions = []
    for _ in range(count):
        endings = [" ".join(draw_words(random, 1, 4)) for _ in range(random.randint(2, 4))]
        question = {
            "sent1": " ".join(draw_words(random, 3, 18)),
            "sent2": " ".join(draw_words(random, 1, 2)),
        }
        question |= {f"ending{place}": ending for place, ending in enumerate(endings)}
        questions.append(question | {"label": random.randrange(len(endings))})
    # A file of JSON lines names its columns by its first rows: one of them has all endings.
    questions.sort(key=lambda question: "ending3" not in question)
    return questions


def choice_rows(
    tokenizer: PreTrainedTokenizerFast, questions: Iterable[dict[str, Any]]
) -> list[Row]:
    """For each question a row an ending: its context beside the beginning and the ending."""
    rows = []
    for question in questions:
        endings = [text for name, text in question.items() if name.startswith("ending")]
        encoding = tokenizer(
            [question["sent1"]] * len(endings),
            [f"{question['sent2']} {ending}" for ending in endings],
            truncation=True,
            max_length=SEQ_LEN,
            padding="max_length",
        )
        rows.append({**encoding, "labels": question["label"]})
    return rows


def choice_loss(model: PreTrainedModel, rows: Sequence[Row]) -> torch.Tensor:
    """The mean cross-entropy of each question's own scores: transformers' head takes no ragged batch."""
    names = ("input_ids", "token_type_ids", "attention_mask")
    batch = {
        name: torch.tensor([values for row in rows for values in row[name]])[:, None]
        for name in names
    }
    scores = model(**batch).logits.flatten().split([len(row["input_ids"]) for row in rows])
    losses = [
        cross_entropy(score[None], torch.tensor([row["labels"]]))
        for score, row in zip(scores, rows, strict=True)
    ]
    return torch.stack(losses).mean()


def own_loss(model: PreTrainedModel, rows: Sequence[Row]) -> torch.Tensor:
    """The loss that the model computes itself."""
    return model(**stack(rows)).loss


def json_lines(values: Iterable[Any]) -> str:
    """An object a line."""
    return "".join(json.dumps(value) + "\n" for value in values)


@dataclass(frozen=True)
class Recipe:
    """A task of ours, and transformers' way from its data to the loss of a batch."""

    name: str
    model: type[PreTrainedModel]
    file: str
    draw: Callable[[Random, int], Any]
    write: Callable[[Any], str]
    rows: Callable[[PreTrainedTokenizerFast, Any], list[Row]]
    loss: Callable[[PreTrainedModel, Sequence[Row]], torch.Tensor]
    count: int
    labels: tuple[str, ...] = ()

    def make(self, seed: int, tokenizer: PreTrainedTokenizerFast, folder: Path) -> list[Row]:
        """Draws the data, writes its file into `folder`, and reads it as transformers does."""
        data = self.draw(Random(seed), self.count)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / self.file).write_text(self.write(data))
        return self.rows(tokenizer, data)


RECIPES = (
    Recipe(
        "ner",
        NystromformerForTokenClassification,
        "train.jsonl",
        draw_sentences,
        json_lines,
        tag_rows,
        own_loss,
        40,
        TAGS,
    ),
    Recipe(
        "qa",
        NystromformerForQuestionAnswering,
        "train.json",
        draw_articles,
        lambda data: json.dumps(data, indent=1) + "\n",
        span_rows,
        own_loss,
        16,
    ),
    Recipe(
        "choice",
        NystromformerForMultipleChoice,
        "train.jsonl",
        draw_questions,
        json_lines,
        choice_rows,
        choice_loss,
        30,
    ),
)
