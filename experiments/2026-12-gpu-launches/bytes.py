"""Bytes that one layer of BERT-base moves in a training step, by the shapes of its tensors: composed of Burn's operations, and with kernels of our own.

    python3 experiments/2026-12-gpu-launches/bytes.py

Rules, for both alike: a launch reads each of its inputs once and writes each of its outputs once, four bytes a value. What a kernel reads again it
finds in a cache or in shared memory, and is not counted; nor is what a product reads again because its tiles are small. A view (a transpose, a part,
a reshape of what lies in order) moves nothing.

The composed layer is the Rust code of `composed.rs` and its like, operation by operation, over a small tape that knows what Burn 0.22's autodiff launches
for each (`burn-autodiff/src/ops`). Launches are counted beside, to be held against what `bench launches` counted.
"""

import argparse
import math
from dataclasses import dataclass, field


@dataclass
class Traffic:
    """Launches, and values read and written."""

    launches: int = 0
    values: int = 0

    def launch(self, *sizes):
        self.launches += 1
        self.values += sum(sizes)

    def __sub__(self, other):
        return Traffic(self.launches - other.launches, self.values - other.values)

    def copy(self):
        return Traffic(self.launches, self.values)


def size(shape):
    return math.prod(shape)


# ---------------------------------------------------------------------------------------------------------------------------------------------------
# Composed of Burn's operations.


@dataclass(eq=False)
class Tensor:
    """A tensor on the tape: its shape, and how its gradient becomes those of what it was made of."""

    shape: tuple
    order: int = 0
    parents: list = field(default_factory=list)
    backward: object = None
    # Whether its gradient is wanted, and whether its values lie in order.
    tracked: bool = True
    in_order: bool = True


class Tape:
    """Burn's operations. Each notes what it launches, and what its derivative will."""

    def __init__(self):
        self.forward = Traffic()
        self.back = Traffic()
        self.nodes = []

    def node(self, shape, parents, backward, in_order=True):
        parents_tracked = [parent for parent in parents if parent.tracked]
        made = Tensor(tuple(shape), 1 + max((p.order for p in parents), default=0), parents, backward, bool(parents_tracked), in_order)
        if made.tracked:
            self.nodes.append(made)
        return made

    # The derivative of a broadcast operand is summed over what it was spread over: one launch.
    def reduced(self, shape, target):
        if tuple(shape) != tuple(target):
            self.back.launch(size(shape), size(target))

    def unary(self, x, back_launches):
        """One launch forwards; backwards so many, each of which reads and writes a tensor of this size, the last one the gradient too."""
        self.forward.launch(size(x.shape), size(x.shape))

        def backward():
            for number in range(back_launches):
                is_last = number + 1 == back_launches
                self.back.launch(size(x.shape) * (2 if is_last else 1), size(x.shape))

        return self.node(x.shape, [x], backward)

    def mul_scalar(self, x):
        self.forward.launch(size(x.shape), size(x.shape))
        return self.node(x.shape, [x], lambda: self.back.launch(size(x.shape), size(x.shape)))

    def add_scalar(self, x):
        self.forward.launch(size(x.shape), size(x.shape))
        return self.node(x.shape, [x], lambda: None)

    def exp(self, x):
        return self.unary(x, 1)  # gradient · output

    def sqrt(self, x):
        return self.unary(x, 3)  # x^-½, / 2, · gradient

    def erf(self, x):
        return self.unary(x, 6)  # x², −, exp, · 2, / √π, · gradient

    def binary(self, a, b, back_a, back_b):
        shape = tuple(max(p, q) for p, q in zip(a.shape, b.shape))
        self.forward.launch(size(a.shape), size(b.shape), size(shape))

        def backward():
            for x, back in ((a, back_a), (b, back_b)):
                if x.tracked:
                    back(shape)
                    self.reduced(shape, x.shape)

        return self.node(shape, [a, b], backward)

    def add(self, a, b):
        return self.binary(a, b, lambda shape: None, lambda shape: None)

    def sub(self, a, b):
        return self.binary(a, b, lambda shape: None, lambda shape: self.back.launch(size(shape), size(shape)))

    def mul(self, a, b):
        return self.binary(
            a,
            b,
            lambda shape: self.back.launch(size(shape), size(b.shape), size(shape)),
            lambda shape: self.back.launch(size(shape), size(a.shape), size(shape)),
        )

    def div(self, a, b):
        def back_a(shape):
            self.back.launch(size(b.shape), size(b.shape))  # 1 / b
            self.back.launch(size(shape), size(b.shape), size(shape))

        def back_b(shape):
            self.back.launch(size(a.shape), size(a.shape))  # −a
            self.back.launch(size(b.shape), size(b.shape))  # b²
            self.back.launch(size(a.shape), size(b.shape), size(shape))
            self.back.launch(size(shape), size(shape), size(shape))

        return self.binary(a, b, back_a, back_b)

    def sum_dim(self, x, dim, is_mean=False):
        shape = list(x.shape)
        shape[dim] = 1
        self.forward.launch(size(x.shape), size(shape))

        def backward():
            self.back.launch(size(x.shape))  # ones
            if is_mean:
                self.back.launch(size(x.shape), size(x.shape))
            self.back.launch(size(shape), size(shape))  # the sum over an axis of length 1
            self.back.launch(size(x.shape), size(shape), size(x.shape))

        return self.node(shape, [x], backward)

    def mean_dim(self, x, dim):
        return self.sum_dim(x, dim, is_mean=True)

    def largest(self, x, dim, tracked=False):
        """Detached in a softmax; else by indices, which a scatter goes back by."""
        shape = list(x.shape)
        shape[dim] = 1
        self.forward.launch(size(x.shape), size(shape))
        if not tracked:
            return Tensor(tuple(shape), tracked=False)
        self.forward.launch(size(x.shape), size(shape))

        def backward():
            self.back.launch(size(x.shape))
            self.back.launch(size(shape), size(shape), size(x.shape))

        return self.node(shape, [x], backward)

    def matmul(self, a, b):
        *batch_a, rows, inner = a.shape
        *batch_b, _, columns = b.shape
        batch = [max(p, q) for p, q in zip(batch_a, batch_b)]
        shape = (*batch, rows, columns)
        self.forward.launch(size(a.shape), size(b.shape), size(shape))

        def backward():
            for x, other, full in ((a, b, (*batch, rows, inner)), (b, a, (*batch, inner, columns))):
                if x.tracked:
                    self.back.launch(size(shape), size(other.shape), size(full))
                    self.reduced(full, x.shape)

        return self.node(shape, [a, b], backward)

    def linear(self, x, weight, bias):
        rows, inputs, outputs = size(x.shape[:-1]), x.shape[-1], weight.shape[1]
        self.forward.launch(rows * inputs, inputs * outputs, rows * outputs)
        self.forward.launch(rows * outputs, outputs, rows * outputs)

        def backward():
            self.back.launch(rows * outputs, inputs * outputs, rows * inputs)
            self.back.launch(rows * outputs, rows * inputs, inputs * outputs)
            self.back.launch(rows * outputs, outputs)

        return self.node((*x.shape[:-1], outputs), [x, weight, bias], backward)

    def softmax(self, x):
        dim = len(x.shape) - 1
        weights = self.exp(self.sub(x, self.largest(x, dim)))
        return self.div(weights, self.sum_dim(weights, dim))

    def swap(self, x, first, second):
        shape = list(x.shape)
        shape[first], shape[second] = shape[second], shape[first]
        return self.node(shape, [x], lambda: None, in_order=False)

    def reshape(self, x, shape):
        """A view of what lies in order, else a copy; the same backwards, where the gradient of a copy lies in order."""
        if not x.in_order:
            self.forward.launch(size(shape), size(shape))
        return self.node(shape, [x], lambda: None)

    def narrow(self, x, dim, length):
        """A copy; backwards it is written into zeros."""
        shape = list(x.shape)
        if shape[dim] == length:
            return x
        shape[dim] = length
        self.forward.launch(size(shape), size(shape))

        def backward():
            self.back.launch(size(x.shape))
            self.back.launch(size(shape), size(shape))

        return self.node(shape, [x], backward)

    def zeros(self, shape):
        self.forward.launch(size(shape))
        return Tensor(tuple(shape), tracked=False)

    def cat(self, parts, dim):
        shape = list(parts[0].shape)
        shape[dim] = sum(part.shape[dim] for part in parts)
        for part in parts:
            self.forward.launch(size(part.shape), size(part.shape))

        def backward():
            for part in parts:
                if part.tracked:
                    self.back.launch(size(part.shape), size(part.shape))

        return self.node(shape, parts, backward)

    def differentiate(self, output):
        """Goes back from `output`, by depth; where gradients of one tensor meet, they are added."""
        found = {id(output): 1}
        for node in sorted(self.nodes, key=lambda node: -node.order):
            if found.get(id(node)):
                node.backward()
                for parent in node.parents:
                    if parent.tracked:
                        found[id(parent)] = found.get(id(parent), 0) + 1
                        if found[id(parent)] > 1:
                            self.back.launch(2 * size(parent.shape), size(parent.shape))


@dataclass
class Sizes:
    tokens: int
    seq_len: int
    hidden: int = 768
    heads: int = 12
    inner: int = 3072
    landmarks: int = 64
    taps: int = 33
    iterations: int = 6
    dropout: bool = True

    @property
    def batch(self):
        return self.tokens // self.seq_len

    @property
    def width(self):
        return self.hidden // self.heads


def composed_inverse(tape, matrices, iterations):
    """`pinv/composed.rs`."""
    *_, count = matrices.shape
    sums = tape.sum_dim(matrices, 2)
    scale = tape.unary(tape.largest(sums, 3, tracked=True), 3)  # clamp_min: a comparison, zeros where it is true
    inverse = tape.div(tape.swap(matrices, 2, 3), scale)
    tape.forward.launch(count * count)
    identity = Tensor((1, 1, count, count), tracked=False)
    for _ in range(iterations):
        product = tape.matmul(matrices, inverse)
        inner = tape.sub(tape.mul_scalar(identity), product)
        middle = tape.sub(tape.mul_scalar(identity), tape.matmul(product, inner))
        outer = tape.sub(tape.mul_scalar(identity), tape.matmul(product, middle))
        inverse = tape.matmul(tape.mul_scalar(inverse), outer)
    return inverse


def composed_convolution(tape, value, filters, taps):
    """`convolution.rs`, `banded`."""
    batch, heads, seq_len, width = value.shape
    half = taps // 2
    rows = max(32, 1 << (taps - 2).bit_length())
    blocks = -(-seq_len // rows)
    tail = (blocks + 1) * rows - seq_len - half
    ends = [tape.zeros((batch, heads, length, width)) for length in (half, tail)]
    padded = tape.reshape(tape.cat([ends[0], value, ends[1]], 2), (batch, heads, blocks + 1, rows, width))
    columns = rows + taps - 1
    # Indices: two ranges, their difference, two comparisons, their union, a mask.
    for length in (columns, rows, rows * columns, rows * columns, rows * columns, rows * columns, rows * columns):
        tape.forward.launch(length)
    filled = tape.cat([filters, tape.zeros((heads, 1))], 1)
    tape.forward.launch(heads * rows * columns, rows * columns, heads * rows * columns)

    def chosen():
        tape.back.launch(size(filled.shape))
        tape.back.launch(heads * rows * columns, rows * columns, size(filled.shape))

    band = tape.node((1, heads, 1, rows, columns), [filled], chosen)
    output = tape.matmul(tape.narrow(band, 4, rows), tape.narrow(padded, 2, blocks))
    following = tape.narrow(tape.narrow(padded, 2, blocks), 3, taps - 1)
    output = tape.add(output, tape.matmul(tape.narrow(band, 4, taps - 1), following))
    return tape.narrow(tape.reshape(output, (batch, heads, blocks * rows, width)), 2, seq_len)


def composed_attention(tape, query, key, value):
    """`attention/mod.rs`: the fewer of both are scaled."""
    if query.shape[2] <= key.shape[2]:
        query = tape.mul_scalar(query)
    else:
        key = tape.mul_scalar(key)
    return tape.matmul(tape.softmax(tape.matmul(query, tape.swap(key, 2, 3))), value)


def composed_core(tape, inputs, filters, sizes):
    """`nystrom/composed.rs`."""
    batch, seq_len, hidden = inputs[0].shape
    heads, width, count = sizes.heads, sizes.width, sizes.landmarks

    def split(x):
        return tape.swap(tape.reshape(x, (batch, seq_len, heads, width)), 1, 2)

    def means(x):
        segments = tape.reshape(x, (batch, heads, count, seq_len // count, width))
        return tape.reshape(tape.mean_dim(segments, 3), (batch, heads, count, width))

    query, key, value = map(split, inputs)
    query_landmarks, key_landmarks = means(query), means(key)
    kernel_2 = tape.softmax(tape.matmul(tape.mul_scalar(query_landmarks), tape.swap(key_landmarks, 2, 3)))
    inverse = composed_inverse(tape, kernel_2, sizes.iterations)
    summary = composed_attention(tape, query_landmarks, key, value)
    product = tape.matmul(inverse, summary)
    context = composed_attention(tape, query, key_landmarks, product)
    context = tape.add(context, composed_convolution(tape, value, filters, sizes.taps))
    return tape.reshape(tape.swap(context, 1, 2), (batch, seq_len, hidden))


def composed_layer(sizes):
    tape = Tape()
    hidden, inner = sizes.hidden, sizes.inner
    spent = {}

    def parameter(*shape):
        return Tensor(shape)

    def linear(x, outputs):
        return tape.linear(x, parameter(x.shape[-1], outputs), parameter(outputs))

    def dropout(x):
        if not sizes.dropout:
            return x
        tape.forward.launch(size(x.shape))  # random numbers
        mask = tape.mul_scalar(Tensor(x.shape, tracked=False))
        return tape.mul(x, mask)

    def norm(x, residual):
        x = tape.add(x, residual)
        dim = len(x.shape) - 1
        centred = tape.sub(x, tape.mean_dim(x, dim))
        variance = tape.mean_dim(tape.mul(centred, centred), dim)
        normalised = tape.div(centred, tape.sqrt(tape.add_scalar(variance)))
        ones = (1,) * dim
        return tape.add(tape.mul(normalised, parameter(*ones, hidden)), parameter(*ones, hidden))

    def gelu(x):
        half = tape.mul_scalar(x)
        return tape.add(half, tape.mul(half, tape.erf(tape.mul_scalar(x))))

    x = Tensor((sizes.batch, sizes.seq_len, hidden))
    inputs = [linear(x, hidden) for _ in range(3)]
    before = tape.forward.copy()
    leaves = [Tensor(tensor.shape) for tensor in inputs]
    context = composed_core(tape, inputs, parameter(sizes.heads, sizes.taps), sizes)
    core_forward = tape.forward - before
    attended = norm(dropout(linear(context, hidden)), x)
    output = norm(dropout(linear(gelu(linear(attended, inner)), hidden)), attended)
    tape.differentiate(output)

    # The core alone, for its share.
    core = Tape()
    core.differentiate(composed_core(core, leaves, parameter(sizes.heads, sizes.taps), sizes))
    assert (core.forward.launches, core.forward.values) == (core_forward.launches, core_forward.values)
    spent["attention core"] = (core.forward, core.back)
    spent["all else"] = (tape.forward - core.forward, tape.back - core.back)
    return spent


# ---------------------------------------------------------------------------------------------------------------------------------------------------
# With kernels of our own.


def parts_of(rows, cubes):
    """`Parts::of` of `attention/cube/problem.rs`."""
    count = max(1, min(-(-1024 // max(1, cubes)), -(-rows // 128)))
    rows_of_part = max(1, -(-rows // count))
    return -(-rows // rows_of_part)


def own_core(sizes):
    """The launches of `nystrom/cube/mod.rs`, in its order."""
    forward, back = Traffic(), Traffic()
    all_heads = sizes.batch * sizes.heads
    tokens = sizes.tokens * sizes.hidden  # a tensor of tokens
    marks = all_heads * sizes.landmarks * sizes.width  # of landmarks
    squares = all_heads * sizes.landmarks**2
    filters = sizes.heads * sizes.taps
    sums = 3 * all_heads  # of columns
    of_queries, of_landmarks = 3 * all_heads * sizes.seq_len, 3 * all_heads * sizes.landmarks  # statistics
    blocks = -(-sizes.landmarks // 64)
    parts = parts_of(sizes.seq_len, all_heads * blocks)

    forward.launch(tokens, tokens, 2 * marks)  # nystrom_landmarks
    forward.launch(2 * marks, squares, sums)  # nystrom_kernel_2
    forward.launch(squares, sums, squares)  # pinv_forward
    forward.launch(marks, 2 * tokens, parts * (marks + of_landmarks))  # attention_forward, kernel 3
    forward.launch(parts * (marks + of_landmarks), squares, 2 * marks + of_landmarks)  # nystrom_product
    forward.launch(tokens, 2 * marks, tokens, of_queries)  # attention_forward, kernel 1
    forward.launch(tokens, filters, tokens, tokens)  # convolution_forward, over the output

    back.launch(tokens, 2 * marks, tokens, of_queries, tokens, of_queries)  # attention_query_gradient, kernel 1
    back.launch(tokens, 2 * marks, tokens, of_queries, parts * 2 * marks)  # attention_key_gradients, kernel 1
    back.launch(parts * 2 * marks, squares, marks, marks, squares, marks, of_landmarks)  # nystrom_product_gradients
    width = 4 * -(-sizes.landmarks // 4)
    iterates = 2 * sizes.iterations * all_heads * width**2  # written and read back
    back.launch(squares, sums, squares, iterates, squares)  # pinv_backward
    back.launch(marks, 2 * tokens, marks, of_landmarks, parts * marks)  # attention_query_gradient, kernel 3
    back.launch(marks, 2 * tokens, marks, of_landmarks, 2 * tokens)  # attention_key_gradients, kernel 3
    back.launch(2 * squares, sums, 2 * marks, parts * marks, marks, 2 * marks)  # nystrom_landmark_gradients
    back.launch(tokens, 2 * tokens, 2 * marks, tokens, filters, 3 * tokens)  # nystrom_token_gradients
    parts_of_row = max(1, min(-(-64 // sizes.batch), -(-sizes.seq_len // 128)))
    filter_parts = sizes.batch * parts_of_row * sizes.taps * sizes.hidden
    back.launch(tokens, tokens, filter_parts)  # convolution_filter_parts
    back.launch(filter_parts, filters)  # convolution_filter_gradient
    return forward, back


def own_rest(sizes):
    """Products and biases are Burn's; `layer_norm`, `gelu` and `dropout` ours."""
    forward, back = Traffic(), Traffic()
    rows, hidden, inner = sizes.tokens, sizes.hidden, sizes.inner
    tokens = rows * hidden
    for inputs, outputs in [(hidden, hidden)] * 4 + [(hidden, inner), (inner, hidden)]:
        forward.launch(rows * inputs, inputs * outputs, rows * outputs)
        forward.launch(rows * outputs, outputs, rows * outputs)  # the bias
        back.launch(rows * outputs, inputs * outputs, rows * inputs)
        back.launch(rows * outputs, rows * inputs, inputs * outputs)
        back.launch(rows * outputs, outputs)
    parts = min(256, rows)
    for _ in range(2):
        if sizes.dropout:
            forward.launch(tokens, tokens)
            back.launch(tokens, tokens)
        forward.launch(2 * tokens, 2 * hidden, 2 * tokens, rows)  # layer_norm_forward of a sum
        back.launch(2 * tokens, rows, hidden, tokens, parts * 2 * hidden)  # layer_norm_backward
        back.launch(parts * 2 * hidden, 2 * hidden)  # sum_parts
    forward.launch(rows * inner, rows * inner)  # gelu_forward
    back.launch(2 * rows * inner, rows * inner)  # gelu_backward
    for _ in range(3 + 1):  # gradients of what queries, keys, values and the skip read, and of what the block and its skip read
        back.launch(2 * tokens, tokens)
    return forward, back


def own_layer(sizes):
    return {"attention core": own_core(sizes), "all else": own_rest(sizes)}


# ---------------------------------------------------------------------------------------------------------------------------------------------------


def row(name, traffic, unit):
    cells = []
    for part in (*traffic, None):
        both = Traffic(sum(t.launches for t in traffic), sum(t.values for t in traffic)) if part is None else part
        cells.append(f"{both.values / unit:.0f} T ({both.launches})")
    total = sum(t.values for t in traffic) * 4 / 1e9
    return f"| {name} | " + " | ".join(cells) + f" | {total:.2f} GB |"


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--tokens", type=int, default=16384, help="of a micro-batch")
    arguments = arguments.parse_args()
    print(f"{arguments.tokens:,} tokens; T is a tensor of tokens, {arguments.tokens * 768 * 4 / 1e6:.0f} MB; launches in brackets\n")
    for seq_len in (512, 4096):
        sizes = Sizes(arguments.tokens, seq_len)
        unit = sizes.tokens * sizes.hidden
        print(f"| {seq_len:,} tokens a row | forward | backward | both | |\n|---|---|---|---|---|")
        for name, layer in (("before", composed_layer(sizes)), ("now", own_layer(sizes))):
            for part, traffic in layer.items():
                print(row(f"{name}: {part}", traffic, unit))
            sums = [Traffic(sum(t[i].launches for t in layer.values()), sum(t[i].values for t in layer.values())) for i in range(2)]
            print(row(f"{name}: a layer", sums, unit))
        print()
    small = Sizes(2 * 64, 64, hidden=16, heads=2, inner=32, landmarks=8, taps=5, dropout=False)
    for name, layer in (("before", composed_layer(small)), ("now", own_layer(small))):
        counts = [sum(t[i].launches for t in layer.values()) for i in range(2)]
        print(f"launches of a layer of the test's small model, {name}: {counts[0]} forwards, {counts[1]} backwards")


if __name__ == "__main__":
    main()
