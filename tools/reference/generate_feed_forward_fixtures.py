"""The gated feed-forward block as transformers computes it, with gradients.

    widened(x) = act(dense(x)) * gate(x)

is what T5 (`feed_forward_proj="gated-gelu"`: `wi_0` is activated, `wi_1` multiplies) and ModernBERT
(`Wi` gives both halves, the first of which is activated) have between their linear layers. Both
classes compute it here, and must agree.
"""

from typing import Any

import torch
import transformers
from transformers import ModernBertConfig, T5Config
from transformers.models.modernbert.modeling_modernbert import ModernBertMLP
from transformers.models.t5.modeling_t5 import T5DenseGatedActDense

from fixture_file import MODEL_FIXTURES, save_json

LIBRARIES = f"torch {torch.__version__.split('+')[0]}, transformers {transformers.__version__}"
HIDDEN, INNER = 5, 7
SHAPE = (2, 3, HIDDEN)
ACTS = ("gelu_new", "gelu", "relu", "silu", "tanh")


def drawn(shape: tuple[int, ...], generator: torch.Generator) -> torch.Tensor:
    """Numbers that are float32 numbers, in double precision."""
    return (0.8 * torch.randn(shape, generator=generator)).double().requires_grad_()


def by_t5(act: str, tensors: dict[str, torch.Tensor], x: torch.Tensor) -> torch.Tensor:
    """T5's block, with biases and without its last layer."""
    config = T5Config(
        d_model=HIDDEN, d_ff=INNER, feed_forward_proj="gated-gelu", dropout_rate=0.0
    )
    config.dense_act_fn = act
    block = T5DenseGatedActDense(config).double().eval()
    names = {"wi_0": "dense", "wi_1": "gate"}
    for theirs, ours in names.items():
        layer = torch.nn.Linear(HIDDEN, INNER).double()
        del layer.weight, layer.bias
        layer.weight, layer.bias = tensors[f"{ours}.weight"], tensors[f"{ours}.bias"]
        setattr(block, theirs, layer)
    block.wo = torch.nn.Linear(INNER, INNER, bias=False).double()
    block.wo.weight.data = torch.eye(INNER, dtype=torch.float64)
    return block(x)


def by_modernbert(act: str, tensors: dict[str, torch.Tensor], x: torch.Tensor) -> torch.Tensor:
    """The same by ModernBERT's block."""
    config = ModernBertConfig(
        hidden_size=HIDDEN,
        intermediate_size=INNER,
        hidden_activation=act,
        mlp_bias=True,
        mlp_dropout=0.0,
    )
    block = ModernBertMLP(config).double().eval()
    with torch.no_grad():
        block.Wi.weight.copy_(torch.cat([tensors["dense.weight"], tensors["gate.weight"]]))
        block.Wi.bias.copy_(torch.cat([tensors["dense.bias"], tensors["gate.bias"]]))
    block.Wo = torch.nn.Identity()
    return block(x)


def case(act: str, generator: torch.Generator) -> dict[str, Any]:
    """Values, and the gradients of their sum by weights that differ from value to value."""
    x = drawn(SHAPE, generator)
    tensors = {
        f"{name}.{kind}": drawn(shape, generator)
        for name in ("dense", "gate")
        for kind, shape in (("weight", (INNER, HIDDEN)), ("bias", (INNER,)))
    }
    weights = drawn((*SHAPE[:2], INNER), generator).detach()
    output = by_t5(act, tensors, x)
    assert torch.allclose(output, by_modernbert(act, tensors, x), rtol=1e-12, atol=1e-12)
    inputs = {"x": x, **tensors}
    gradients = torch.autograd.grad((output * weights).sum(), list(inputs.values()))
    return {
        "hidden_act": act,
        "inputs": {name: tensor.flatten().tolist() for name, tensor in inputs.items()},
        "output": output.flatten().tolist(),
        "weights": weights.flatten().tolist(),
        "gradients": {
            name: gradient.flatten().tolist()
            for name, gradient in zip(inputs, gradients, strict=True)
        },
    }


def main() -> None:
    """Write the file."""
    generator = torch.Generator().manual_seed(29)
    content = {
        "libraries": LIBRARIES,
        "shape": list(SHAPE),
        "intermediate_size": INNER,
        "cases": [case(act, generator) for act in ACTS],
    }
    save_json(MODEL_FIXTURES / "gated_feed_forward.json", content)


if __name__ == "__main__":
    main()
