"""Write `crates/tables/tests/fixtures/tables.json`: the arithmetic of `nystromformer table`, by NumPy and SciPy in float64.

Singular values and least errors by rank by `numpy.linalg.svd`, attention and the Nyström method from the paper's equations,
slopes by `numpy.polyfit`, Student's t by SciPy.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from fixture_file import TABLES_FIXTURES, save_json

Array = NDArray[np.float64]


def softmax(scores: Array) -> Array:
    """Of each row."""
    exponentials = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return exponentials / exponentials.sum(axis=-1, keepdims=True)


def scores(query: Array, key: Array) -> Array:
    """Of queries and keys."""
    return query @ key.T / np.sqrt(query.shape[1])


def svd_case(about: str, matrix: Array) -> dict[str, Any]:
    """Singular values, and the error of the truncated decomposition at every rank, as matrices and not as sums of values."""
    left, values, right = np.linalg.svd(matrix, full_matrices=False)
    errors = [
        float(np.linalg.norm(matrix - (left[:, :rank] * values[:rank]) @ right[:rank]) / np.linalg.norm(matrix))
        for rank in range(len(values) + 1)
    ]
    return {
        "about": about,
        "rows": matrix.shape[0],
        "columns": matrix.shape[1],
        "values": matrix.ravel().tolist(),
        "singular_values": values.tolist(),
        "errors": errors,
    }


def inverse(kernel: Array, iterations: int) -> Array:
    """The paper's iteration."""
    identity = np.eye(len(kernel))
    z = kernel.T / (np.abs(kernel).sum(axis=0).max() * np.abs(kernel).sum(axis=1).max())
    for _ in range(iterations):
        az = kernel @ z
        z = 0.25 * z @ (13 * identity - az @ (15 * identity - az @ (7 * identity - az)))
    return z


def nystrom_case(seed: int, seq_len: int, head_dim: int, landmarks: int, iterations: int) -> dict[str, Any]:
    """Errors of matrix and output with means over segments, and with tokens that are listed."""
    draws = np.random.default_rng(seed)
    query, key, value = (draws.normal(size=(seq_len, head_dim)) for _ in range(3))
    exact = softmax(scores(query, key))
    tokens = np.sort(draws.choice(seq_len, landmarks, replace=False))
    lengths = [seq_len // landmarks + (i >= landmarks - seq_len % landmarks) for i in range(landmarks)]
    ends = np.cumsum(lengths)[:-1]

    def errors(of_queries: Array, of_keys: Array) -> list[float]:
        middle = inverse(softmax(scores(of_queries, of_keys)), iterations)
        found = softmax(scores(query, of_keys)) @ middle @ softmax(scores(of_queries, key))
        pairs = ((found, exact), (found @ value, exact @ value))
        return [float(np.linalg.norm(a - b) / np.linalg.norm(b)) for a, b in pairs]

    means = [np.stack([part.mean(axis=0) for part in np.split(x, ends)]) for x in (query, key)]
    return {
        "seq_len": seq_len,
        "head_dim": head_dim,
        "landmarks": landmarks,
        "iterations": iterations,
        "query": query.ravel().tolist(),
        "key": key.ravel().tolist(),
        "value": value.ravel().tolist(),
        "tokens": tokens.tolist(),
        "segment_means": errors(*means),
        "listed_tokens": errors(query[tokens], key[tokens]),
    }


def growth_case(seed: int) -> dict[str, Any]:
    """The slope of each of two noisy power laws, and where the straight lines between their points cross last."""
    draws = np.random.default_rng(seed)
    lengths = 2.0 ** np.arange(8, 15)
    linear = 1e-6 * lengths * np.exp(draws.normal(scale=0.05, size=7))
    quadratic = 8e-10 * lengths**2 * np.exp(draws.normal(scale=0.05, size=7))
    gaps = np.log(linear) - np.log(quadratic)
    last = int(np.flatnonzero(gaps >= 0)[-1])
    crossing = np.exp(np.interp(0.0, [gaps[last + 1], gaps[last]], np.log([lengths[last + 1], lengths[last]])))
    slope = [float(np.polyfit(np.log(lengths), np.log(curve), 1)[0]) for curve in (linear, quadratic)]
    return {
        "lengths": lengths.tolist(),
        "linear": linear.tolist(),
        "quadratic": quadratic.tolist(),
        "slopes": slope,
        "crossover": float(crossing),
    }


def interval_case(values: list[float]) -> dict[str, Any]:
    """Mean and half of the 95 % interval."""
    low, high = stats.t.interval(0.95, len(values) - 1, loc=np.mean(values), scale=stats.sem(values))
    return {"values": values, "mean": float(np.mean(values)), "half_width": float((high - low) / 2)}


def main() -> None:
    """Write the file."""
    draws = np.random.default_rng(11)
    attention = softmax(scores(*(draws.normal(size=(20, 4)) for _ in range(2))))
    orthogonal = [np.linalg.qr(draws.normal(size=(14, 14)))[0] for _ in range(2)]
    graded = orthogonal[0] @ np.diag(10.0 ** -np.arange(14)) @ orthogonal[1]
    low_rank = draws.normal(size=(15, 3)) @ draws.normal(size=(3, 11))
    degrees = [*range(1, 31), 60, 120]
    save_json(
        TABLES_FIXTURES / "tables.json",
        {
            "singular_values": [
                svd_case("attention of 20 tokens", attention),
                svd_case("more rows than columns", draws.normal(size=(13, 6))),
                svd_case("more columns than rows", draws.normal(size=(6, 13))),
                svd_case("from 1 to 1e-13", graded),
                svd_case("rank 3", low_rank),
            ],
            "nystrom": [nystrom_case(1, 30, 4, 6, 6), nystrom_case(2, 23, 5, 4, 2), nystrom_case(3, 16, 8, 16, 20)],
            "growth": [growth_case(seed) for seed in (4, 5)],
            "two_sided": {"degrees": degrees, "t": [float(stats.t.ppf(0.975, d)) for d in degrees]},
            "intervals": [
                interval_case([0.71, 0.74, 0.69]),
                interval_case([0.5, 0.5001]),
                interval_case(draws.normal(size=9).tolist()),
            ],
        },
    )


if __name__ == "__main__":
    main()
