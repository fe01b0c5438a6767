"""The instance builder of MLM + SOP pretraining, stated in plain Python.

It follows the original step by step: one pass over a document that collects segments and makes an
instance whenever there are enough, tokens deleted one at a time. Every random choice comes from a
`Draws` that is handed in, so that another implementation can be led to the same choices.
"""

from dataclasses import dataclass

CLS, SEP, MASK = 2, 3, 4
SPECIAL = range(5)
WORD = (1 << 64) - 1


class Draws:
    """SplitMix64 (Steele et al. 2014), and the numbers drawn from its words."""

    def __init__(self, state: int) -> None:
        self.state = state

    def word(self) -> int:
        """The next 64 bits."""
        self.state = (self.state + 0x9E3779B97F4A7C15) & WORD
        mixed = self.state
        mixed = ((mixed ^ (mixed >> 30)) * 0xBF58476D1CE4E5B9) & WORD
        mixed = ((mixed ^ (mixed >> 27)) * 0x94D049BB133111EB) & WORD
        return mixed ^ (mixed >> 31)

    def unit(self) -> float:
        """A number in [0, 1)."""
        return (self.word() >> 11) / (1 << 53)

    def integer(self, lowest: int, highest: int) -> int:
        """A number from `lowest` to `highest`, both included, by Lemire's method on 32 bits."""
        count = highest - lowest + 1
        while True:
            product = (self.word() & 0xFFFFFFFF) * count
            if product % (1 << 32) >= (1 << 32) % count:
                return lowest + (product >> 32)


@dataclass
class Options:
    """What the builder is told."""

    seq_len: int
    short_seq_prob: float
    mlm_probability: float
    max_predictions: int
    vocab_size: int


@dataclass
class Instance:
    """A row, before and after masking."""

    tokens: list[int]
    token_type_ids: list[int]
    order_label: int
    masked_positions: list[int]
    masked_tokens: list[int]


def build_instances(
    document: list[list[int]],
    options: Options,
    length_draws: Draws,
    pair_draws: list[Draws],
    mask_draws: list[Draws],
) -> list[Instance]:
    """All instances of a document.

    Lengths are drawn in turn from `length_draws`; instance `i` takes its other choices from
    `pair_draws[i]` and its masks from `mask_draws[i]`.
    """
    room = options.seq_len - 3
    instances: list[Instance] = []
    chunk: list[list[int]] = []
    wanted = draw_length(room, options.short_seq_prob, length_draws)
    for number, segment in enumerate(document):
        chunk.append(segment)
        is_last = number == len(document) - 1
        if not is_last and sum(len(part) for part in chunk) < wanted:
            continue
        draws = pair_draws[len(instances)]
        swapped = False
        if len(chunk) > 1:
            split = draws.integer(1, len(chunk) - 1)
            first = [token for part in chunk[:split] for token in part]
            second = [token for part in chunk[split:] for token in part]
        else:
            swapped = True
            first = list(chunk[0])
            second = []
            for other in document[draws.integer(0, len(document) - 1) :]:
                second += other
                if len(second) >= wanted - len(first):
                    break
        if draws.unit() < 0.5:
            swapped = True
            first, second = second, first
        while len(first) + len(second) > room:
            longer = first if len(first) > len(second) else second
            del longer[0 if draws.unit() < 0.5 else -1]
        tokens = [CLS, *first, SEP, *second, SEP]
        positions, masked = mask(tokens, options, mask_draws[len(instances)])
        types = [0] * (len(first) + 2) + [1] * (len(second) + 1)
        instances.append(Instance(tokens, types, int(swapped), positions, masked))
        chunk = []
        wanted = draw_length(room, options.short_seq_prob, length_draws)
    return instances


def draw_length(room: int, short_seq_prob: float, draws: Draws) -> int:
    """The wanted length of the next chunk."""
    return draws.integer(2, room) if draws.unit() < short_seq_prob else room


def mask(tokens: list[int], options: Options, draws: Draws) -> tuple[list[int], list[int]]:
    """The chosen positions in ascending order, and the row with its masks."""
    candidates = [place for place, token in enumerate(tokens) if token not in SPECIAL]
    count = min(options.max_predictions, int(len(candidates) * options.mlm_probability))
    chosen = []
    for drawn in range(count):
        place = draws.integer(drawn, len(candidates) - 1)
        chosen.append(candidates[place])
        candidates[place] = candidates[drawn]
    chosen.sort()
    masked = list(tokens)
    for place in chosen:
        draw = draws.unit()
        if draw < 0.8:
            masked[place] = MASK
        elif draw < 0.9:
            masked[place] = draws.integer(1, options.vocab_size - 1)
    return chosen, masked
