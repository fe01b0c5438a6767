"""What every generator shares: where fixtures go, how they are written, how weights are drawn.

The safetensors container is written here by hand because the packaged writer orders metadata by
hash, so the same fixture would differ byte for byte between two runs.
"""

import json
import struct
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
from numpy.typing import NDArray

REPOSITORY = Path(__file__).resolve().parents[2]
MODEL_FIXTURES = REPOSITORY / "crates/model/tests/fixtures"
LEARNER_FIXTURES = REPOSITORY / "crates/learner/tests/fixtures"
INTEROP_FIXTURES = REPOSITORY / "crates/interop/tests/fixtures"
DATA_FIXTURES = REPOSITORY / "crates/data/tests/fixtures"
TASKS_FIXTURES = REPOSITORY / "crates/tasks/tests/fixtures"
TABLES_FIXTURES = REPOSITORY / "crates/tables/tests/fixtures"

FLOAT32_LIMIT = 4e-6
DTYPE_NAMES = {"float32": "F32", "float64": "F64", "int64": "I64"}


def save_tensors(
    path: Path, tensors: Mapping[str, torch.Tensor], metadata: Mapping[str, str]
) -> None:
    """Write `tensors` as a safetensors file whose bytes depend on nothing but the arguments."""
    header: dict[str, Any] = {"__metadata__": dict(sorted(metadata.items()))}
    payload: list[bytes] = []
    offset = 0
    for name in sorted(tensors):
        array: NDArray[Any] = tensors[name].detach().contiguous().numpy()
        data = array.tobytes()
        header[name] = {
            "dtype": DTYPE_NAMES[array.dtype.name],
            "shape": list(array.shape),
            "data_offsets": [offset, offset + len(data)],
        }
        payload.append(data)
        offset += len(data)
    encoded = json.dumps(header, separators=(",", ":")).encode()
    encoded += b" " * (-len(encoded) % 8)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(struct.pack("<Q", len(encoded)) + encoded + b"".join(payload))


def save_model_fixture(
    name: str,
    tensors: Mapping[str, torch.Tensor],
    config: Mapping[str, Any],
    facts: Mapping[str, Any],
) -> None:
    """Store one model case: floating tensors as F32, `config` and `facts` as JSON metadata.

    `facts` is spread over the metadata, one key each, non-strings as JSON.
    """
    stored = {
        key: tensor.float() if tensor.is_floating_point() else tensor
        for key, tensor in tensors.items()
    }
    for key, tensor in stored.items():
        if tensor.is_floating_point() and not torch.isfinite(tensor).all():
            raise ValueError(f"`{name}`: tensor `{key}` is not finite")
    metadata = {
        key: value if isinstance(value, str) else json.dumps(value) for key, value in facts.items()
    }
    metadata["config"] = json.dumps(config)
    path = MODEL_FIXTURES / f"{name}.safetensors"
    save_tensors(path, stored, metadata)
    print(f"{path.name:40} {path.stat().st_size / 1024:7.1f} KiB  {metadata['float32_error']}")


def save_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write `content` as JSON with one line for each list of plain values."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(_layout(content, 0) + "\n")
    print(f"{path.name:40} {path.stat().st_size / 1024:7.1f} KiB")


def _layout(value: Any, depth: int) -> str:
    """JSON text of `value`: indented down to, but not inside, lists of plain values."""
    inner, outer = " " * (depth + 1), " " * depth
    if isinstance(value, Mapping):
        lines = [f"{inner}{json.dumps(key)}: {_layout(v, depth + 1)}" for key, v in value.items()]
        return "{\n" + ",\n".join(lines) + f"\n{outer}}}"
    if isinstance(value, list) and any(isinstance(item, (list, Mapping)) for item in value):
        lines = [inner + _layout(item, depth + 1) for item in value]
        return "[\n" + ",\n".join(lines) + f"\n{outer}]"
    return json.dumps(value)


def randomise(parameters: Iterable[tuple[str, torch.Tensor]], generator: torch.Generator) -> None:
    """Draw every parameter so large that a wrong formula shows, biases and norms included.

    LayerNorm weights are spread around 1, everything else around 0; all are float32 values.
    """
    with torch.no_grad():
        for name, parameter in parameters:
            noise = torch.randn(parameter.shape, generator=generator)
            if name.endswith("LayerNorm.weight"):
                parameter.copy_(1.0 + 0.2 * noise)
            else:
                parameter.copy_(0.3 * noise)


def float32_error(
    exact: Mapping[str, torch.Tensor], rounded: Mapping[str, torch.Tensor]
) -> dict[str, float]:
    """Worst deviation of a float32 run from the float64 one: what rounding alone costs.

    Forward tensors are measured against their own largest value, gradients against the largest
    gradient of the case, because some (a key bias under softmax) vanish mathematically.
    Cases that rounding moves by more than `FLOAT32_LIMIT` are refused.
    """
    forward, gradient, largest_gradient = 0.0, 0.0, 0.0
    for key, reference in exact.items():
        if not reference.is_floating_point() or key.startswith("param."):
            continue
        difference = (rounded[key].double() - reference).abs().max().item()
        scale = reference.abs().max().item()
        if key.startswith("grad"):
            gradient = max(gradient, difference)
            largest_gradient = max(largest_gradient, scale)
        else:
            forward = max(forward, difference / scale)
    if largest_gradient > 0:
        gradient /= largest_gradient
    if max(forward, gradient) > FLOAT32_LIMIT:
        raise ValueError(
            f"float32 rounding moves this case by {forward:.1e} forward, {gradient:.1e} backward: "
            "too ill-conditioned to test against, draw another seed or fewer landmarks"
        )
    return {"forward": float(f"{forward:.1e}"), "gradient": float(f"{gradient:.1e}")}


def random_ids(
    shape: tuple[int, ...], vocab_size: int, pad_token_id: int, generator: torch.Generator
) -> torch.Tensor:
    """Token ids of `shape`, none of them the padding token."""
    ids = torch.randint(0, vocab_size - 1, shape, generator=generator)
    return torch.where(ids >= pad_token_id, ids + 1, ids)


def sparse_labels(
    attention_mask: torch.Tensor, vocab_size: int, generator: torch.Generator
) -> torch.Tensor:
    """Labels at about a fifth of the valid positions and at each row's first, -100 elsewhere."""
    labels = torch.randint(0, vocab_size, attention_mask.shape, generator=generator)
    chosen = torch.rand(attention_mask.shape, generator=generator) < 0.2
    first = (attention_mask.cumsum(-1) == 1) & (attention_mask == 1)
    return torch.where((attention_mask == 1) & (chosen | first), labels, -100)
