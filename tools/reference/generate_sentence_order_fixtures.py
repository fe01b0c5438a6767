"""Write `crates/data/tests/fixtures/sentence_order.json`: the instances of a few small documents.

Stream `kind` of instance `i` of document `d` starts at `seed + 1000000 * kind + 1000 * d + i`, where
`kind` is 0 for lengths (with `i` = 0), 1 for pairs and 2 for masks.
"""

import random
from dataclasses import asdict
from typing import Any

from fixture_file import DATA_FIXTURES, save_json
from sentence_order import Draws, Instance, Options, build_instances

LENGTHS, PAIRS, MASKS = range(3)
FIRST_WORD = 5


def stream(seed: int, kind: int, document: int, instance: int = 0) -> Draws:
    """The draws for one purpose."""
    return Draws(seed + 1_000_000 * kind + 1_000 * document + instance)


def draw_documents(
    count: int, most_segments: int, longest_segment: int, vocab_size: int, source: random.Random
) -> list[list[list[int]]]:
    """Documents of 1 to `most_segments` segments of 1 to `longest_segment` tokens."""
    return [
        [
            [
                source.randrange(FIRST_WORD, vocab_size)
                for _ in range(source.randint(1, longest_segment))
            ]
            for _ in range(source.randint(1, most_segments))
        ]
        for _ in range(count)
    ]


def case(
    seed: int, options: Options, count: int, most_segments: int, longest_segment: int
) -> dict[str, Any]:
    """The instances of `count` documents."""
    source = random.Random(seed)
    documents = draw_documents(count, most_segments, longest_segment, options.vocab_size, source)
    built: list[list[Instance]] = []
    for number, document in enumerate(documents):
        most = range(len(document))
        built.append(
            build_instances(
                document,
                options,
                stream(seed, LENGTHS, number),
                [stream(seed, PAIRS, number, instance) for instance in most],
                [stream(seed, MASKS, number, instance) for instance in most],
            )
        )
    instances = [[asdict(instance) for instance in instances] for instances in built]
    return {"seed": seed, **asdict(options), "documents": documents, "instances": instances}


def main() -> None:
    """Long and short rows, long and short segments, with and without a cap on predictions."""
    cases = [
        case(1, Options(32, 0.1, 0.15, 80, 200), 8, 12, 9),
        case(2, Options(64, 0.5, 0.15, 80, 200), 8, 30, 12),
        case(3, Options(8, 0.3, 0.5, 80, 50), 12, 6, 4),
        case(4, Options(16, 0.0, 0.9, 5, 50), 12, 4, 30),
        case(5, Options(24, 1.0, 0.3, 80, 1000), 8, 16, 10),
        case(6, Options(40, 0.1, 0.15, 80, 200), 12, 1, 60),
    ]
    save_json(DATA_FIXTURES / "sentence_order.json", {"cases": cases})


if __name__ == "__main__":
    main()
