"""Write `crates/learner/tests/fixtures/heads/options.json`: twenty steps as in
`generate_head_training.py`, each with one of the options that training has for small and uneven data.

The start weights and batches are those of `heads/HEAD.safetensors`, which must be there. Every option
is torch's own: parameter groups of AdamW for learning rates by layer, `requires_grad_(False)` for what is
frozen, `cross_entropy` with `weight` and `label_smoothing`, `AveragedModel` for the average of weights,
here told that it has seen the first weights already.
"""

import json
from collections.abc import Iterator
from typing import Any

import torch
import torch.nn.functional as F
import transformers
from safetensors import safe_open
from torch.optim import AdamW
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from transformers import NystromformerConfig, PreTrainedModel
from transformers.utils import logging

from fixture_file import LEARNER_FIXTURES, save_json
from generate_head_training import DRIFT_LIMIT, SETTINGS, STEPS, WEIGHT_DECAY
from heads import HEADS, IGNORED, Head, Tensors

EMBEDDINGS = "nystromformer.embeddings."
LAYER = "nystromformer.encoder.layer."
# What an option must change at least in some loss, beside the steps without it.
EFFECT = 5e-3
OPTIONS: dict[str, dict[str, Any]] = {
    "layer_decay": {"layer_decay": 0.4},
    "freeze_layers": {"freeze_layers": 1},
    "freeze_all_below_the_head": {"freeze_layers": 2, "freeze_embeddings": True},
    "freeze_and_decay": {"freeze_layers": 1, "freeze_embeddings": True, "layer_decay": 0.5},
    "class_weights": {"class_weights": True},
    "label_smoothing": {"label_smoothing_factor": 0.2},
    "class_weights_and_smoothing": {"class_weights": True, "label_smoothing_factor": 0.1},
    "average": {"ema_decay": 0.8},
}
WEIGHTS = (0.25, 3.0, 1.5, 0.7, 2.0, 1.1, 0.4)


def layer_of(name: str, layers: int) -> int:
    """0 for embeddings, `layers + 1` for the head."""
    if name.startswith(EMBEDDINGS):
        return 0
    if name.startswith(LAYER):
        return int(name.removeprefix(LAYER).split(".")[0]) + 1
    return layers + 1


def groups(model: PreTrainedModel, options: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """A group for each parameter that is trained."""
    layers = model.config.num_hidden_layers
    for name, parameter in model.named_parameters():
        layer = layer_of(name, layers)
        frozen = layer <= options.get("freeze_layers", 0) if layer else False
        if frozen or (layer == 0 and options.get("freeze_embeddings", False)):
            parameter.requires_grad_(False)
            continue
        rate = options.get("layer_decay", 1.0) ** (layers + 1 - layer)
        plain = name.endswith("bias") or "LayerNorm" in name
        decay = 0.0 if plain else WEIGHT_DECAY
        yield {"params": [parameter], "lr": SETTINGS["lr"] * rate, "weight_decay": decay}


def loss_of(model: Any, batch: Tensors, options: dict[str, Any]) -> torch.Tensor:
    """The mean over the labels that count."""
    inputs = {name: tensor for name, tensor in batch.items() if name != "labels"}
    logits = model(**inputs).logits
    classes = logits.shape[-1]
    weight = None
    if options.get("class_weights"):
        weight = torch.tensor(WEIGHTS[:classes], dtype=logits.dtype)
    return F.cross_entropy(
        logits.reshape(-1, classes),
        batch["labels"].reshape(-1),
        weight=weight,
        ignore_index=IGNORED,
        label_smoothing=options.get("label_smoothing_factor", 0.0),
    )


def train(
    head: Head, stored: Tensors, config: dict[str, Any], options: dict[str, Any], dtype: torch.dtype
) -> dict[str, list[float]]:
    """The loss of each batch before the update it causes, and that of the averaged model after it."""
    model = head.model(NystromformerConfig(**config)).eval()
    weights = {name.removeprefix("param."): t for name, t in stored.items() if "param." in name}
    missing, unexpected = model.load_state_dict(weights, strict=False)
    assert not unexpected and all("position_ids" in name for name in missing), (missing, unexpected)
    model = model.to(dtype)
    optimizer = AdamW(list(groups(model, options)), betas=SETTINGS["betas"], eps=SETTINGS["eps"])
    average = None
    if "ema_decay" in options:
        average = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(options["ema_decay"]))
        average.n_averaged += 1
    found: dict[str, list[float]] = {"losses": []}
    for step in range(STEPS):
        batch = {
            name.removeprefix("batch."): stacked[step]
            for name, stacked in stored.items()
            if name.startswith("batch.")
        }
        optimizer.zero_grad()
        loss = loss_of(model, batch, options)
        loss.backward()
        optimizer.step()
        found["losses"].append(loss.item())
        if average is not None:
            average.update_parameters(model)
            with torch.no_grad():
                averaged = loss_of(average, batch, {}).item()
            found.setdefault("losses_of_average", []).append(averaged)
    return found


def furthest(left: list[float], right: list[float]) -> float:
    """The largest relative difference."""
    return max(abs(a - b) / b for a, b in zip(left, right, strict=True))


def generate(head: Head) -> dict[str, Any]:
    """All options of one head."""
    with safe_open(LEARNER_FIXTURES / "heads" / f"{head.name}.safetensors", "pt") as file:
        stored = {name: file.get_tensor(name) for name in file.keys()}
        config = json.loads(file.metadata()["config"])
    plain = train(head, stored, config, {}, torch.float64)
    assert furthest(plain["losses"], stored["losses_f64"].tolist()) < 1e-12
    cases = {}
    for name, options in OPTIONS.items():
        exact = train(head, stored, config, options, torch.float64)
        rounded = train(head, stored, config, options, torch.float32)
        effects = []
        for kind, losses in exact.items():
            drift = furthest(rounded[kind], losses)
            effects.append(furthest(losses, plain["losses"]))
            if drift > DRIFT_LIMIT:
                raise ValueError(f"{head.name}, {name}: float32 drifts by {drift:.1e}")
            print(f"{head.name:22} {name:28} {kind:18} drift {drift:.1e}, effect {effects[-1]:.1e}")
        if max(effects) < EFFECT:
            raise ValueError(f"{head.name}, {name}: changes no loss by more than {max(effects):.1e}")
        settings = dict(options)
        if settings.pop("class_weights", False):
            labels = len(config.get("id2label", {})) or 2
            settings["class_weights"] = list(WEIGHTS[:labels])
        cases[name] = {"settings": settings, **exact}
    return cases


def main() -> None:
    """Write the file."""
    torch.set_num_threads(1)
    logging.set_verbosity_error()
    content: dict[str, Any] = {
        "libraries": f"torch {torch.__version__.split('+')[0]}, transformers {transformers.__version__}"
    }
    for head in HEADS:
        if head.name in ("sequence_single_label", "token_classification"):
            content[head.name] = generate(head)
    save_json(LEARNER_FIXTURES / "heads" / "options.json", content)


if __name__ == "__main__":
    main()
