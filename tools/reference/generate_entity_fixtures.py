"""Write `crates/tasks/tests/fixtures/entities.json`: what seqeval computes of tags.

`scores`: precision, recall and F1 of entities, over all types and of each, in seqeval's default mode
and in strict mode with IOB2, and the share of right tags; of drawn tags, many of which no tagger
should give, such as an `I-` that goes on with nothing.

`schemes`: sentences in IOB1, IOB2 and IOBES (BILOU likewise), well formed, with the entities that
seqeval reads from them under that scheme.
"""

import random
import warnings
from collections.abc import Sequence
from typing import Any

from seqeval.metrics import accuracy_score, classification_report
from seqeval.metrics.sequence_labeling import precision_recall_fscore_support
from seqeval.metrics.v1 import precision_recall_fscore_support as strict_scores
from seqeval.scheme import BILOU, IOB1, IOB2, IOBES, Token, Tokens

from fixture_file import TASKS_FIXTURES, save_json

TYPES = ["LOC", "ORG", "PER", "creative-work", "A"]
Sentences = list[list[str]]
KEYS = ["precision", "recall", "f1"]


def report(references: Sentences, predictions: Sentences, strict: bool) -> dict[str, Any]:
    """Scores over all types and of each."""
    options: dict[str, Any] = {"zero_division": 0}
    if strict:
        micro = strict_scores(references, predictions, average="micro", scheme=IOB2, **options)
        options |= {"mode": "strict", "scheme": IOB2}
    else:
        micro = precision_recall_fscore_support(references, predictions, average="micro", **options)
    try:
        rows = classification_report(references, predictions, output_dict=True, **options)
    except ValueError:  # seqeval cannot write a report without any entity
        rows = {}
    averages = ("micro avg", "macro avg", "weighted avg")
    types = {
        kind: {
            "precision": float(row["precision"]),
            "recall": float(row["recall"]),
            "f1": float(row["f1-score"]),
            "support": int(row["support"]),
        }
        for kind, row in rows.items()
        if kind not in averages
    }
    # Without any entity numpy's mean of nothing is NaN; what seqeval's `zero_division` says is 0.
    values = [float(value) if types else 0.0 for value in micro[:3]]
    return {"micro": dict(zip(KEYS, values, strict=True)), "types": types}


def case(about: str, references: Sentences, predictions: Sentences) -> dict[str, Any]:
    """A case of scores."""
    return {
        "about": about,
        "references": [" ".join(tags) for tags in references],
        "predictions": [" ".join(tags) for tags in predictions],
        "accuracy": float(accuracy_score(references, predictions)),
        "default": report(references, predictions, strict=False),
        "strict": report(references, predictions, strict=True),
    }


def drawn_tags(source: random.Random, length: int, types: Sequence[str]) -> list[str]:
    """Tags of IOB2 without a rule."""
    return [
        "O" if source.random() < 0.4 else f"{source.choice('BI')}-{source.choice(types)}"
        for _ in range(length)
    ]


def well_formed(source: random.Random, length: int, types: Sequence[str]) -> list[str]:
    """Tags of IOB2 as annotators write them."""
    tags: list[str] = []
    while len(tags) < length:
        if source.random() < 0.5:
            tags.append("O")
            continue
        kind, words = source.choice(types), source.randint(1, 4)
        tags += [f"B-{kind}"] + [f"I-{kind}"] * (words - 1)
    return tags[:length]


def disturbed(source: random.Random, tags: Sequence[str], types: Sequence[str]) -> list[str]:
    """The same with some tags drawn anew, as a tagger would give them."""
    return [drawn_tags(source, 1, types)[0] if source.random() < 0.15 else tag for tag in tags]


def score_cases(source: random.Random) -> list[dict[str, Any]]:
    """Edges, then drawn ones."""

    def sentences(*tags: str) -> Sentences:
        return [sentence.split() for sentence in tags]

    cases = [
        case("all right", sentences("B-A I-A O"), sentences("B-A I-A O")),
        case("nothing there, nothing found", sentences("O O"), sentences("O O")),
        case("nothing there, one found", sentences("O O"), sentences("O B-A")),
        case("one there, nothing found", sentences("O B-A"), sentences("O O")),
        case("the wrong type", sentences("B-A I-A"), sentences("B-LOC I-LOC")),
        case("an end too early", sentences("B-A I-A O"), sentences("B-A O O")),
        case("begun with I", sentences("B-A I-A O"), sentences("I-A I-A O")),
        case("both begun with I", sentences("I-A I-A O"), sentences("I-A I-A O")),
        case("another type goes on", sentences("B-A I-LOC I-A"), sentences("B-A I-LOC I-A")),
        case("neighbours", sentences("B-A B-A I-A"), sentences("B-A I-A I-A")),
        case("a sentence ends an entity", sentences("B-A", "I-A"), sentences("B-A", "I-A")),
        case("without types", sentences("B I O B"), sentences("B I O I")),
        case("a hyphen in a type", sentences("B-creative-work O"), sentences("B-creative-work O")),
    ]
    for number in range(40):
        types = source.sample(TYPES, source.randint(1, len(TYPES)))
        lengths = [source.randint(1, 25) for _ in range(source.randint(1, 12))]
        if number % 2:
            references = [well_formed(source, length, types) for length in lengths]
            predictions = [disturbed(source, tags, types) for tags in references]
        else:
            references = [drawn_tags(source, length, types) for length in lengths]
            predictions = [drawn_tags(source, length, types) for length in lengths]
        cases.append(case(f"drawn {number}", references, predictions))
    return cases


def spans(tags: Sequence[str], scheme: type[Token]) -> list[list[Any]]:
    """The entities of a sentence: first word, the one after the last, type."""
    found = Tokens(list(tags), scheme).entities
    return [[entity.start, entity.end, entity.tag] for entity in found]


def written(entities: Sequence[Sequence[Any]], length: int, scheme: type[Token]) -> list[str]:
    """Entities in a scheme, by its definition."""
    tags = ["O"] * length
    for number, (start, end, kind) in enumerate(entities):
        before = entities[number - 1] if number else None
        for word in range(start, end):
            first, last = word == start, word == end - 1
            if scheme is IOB1:
                touches = before is not None and before[1] == start and before[2] == kind
                prefix = "B" if first and touches else "I"
            elif scheme is IOB2:
                prefix = "B" if first else "I"
            else:
                single, final = ("S", "E") if scheme is IOBES else ("U", "L")
                prefix = single if first and last else "B" if first else final if last else "I"
            tags[word] = f"{prefix}-{kind}"
    return tags


def scheme_cases(source: random.Random) -> list[dict[str, Any]]:
    """Sentences in each scheme, whose entities seqeval reads as they were drawn."""
    cases = []
    for _ in range(25):
        length = source.randint(1, 20)
        types = source.sample(TYPES, 2)
        entities = spans(well_formed(source, length, types), IOB2)
        for scheme in (IOB1, IOB2, IOBES, BILOU):
            tags = written(entities, length, scheme)
            if spans(tags, scheme) != entities:
                raise AssertionError(f"{scheme.__name__}: {tags}")
            cases.append({"scheme": scheme.__name__, "tags": " ".join(tags), "entities": entities})
    return cases


def main() -> None:
    """Write the file."""
    warnings.simplefilter("ignore")
    source = random.Random(1)
    save_json(
        TASKS_FIXTURES / "entities.json",
        {"scores": score_cases(source), "schemes": scheme_cases(source)},
    )


if __name__ == "__main__":
    main()
