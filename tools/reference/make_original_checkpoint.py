"""Write `crates/interop/tests/fixtures/original/`: tiny checkpoints in the authors' own form.

    python make_original_checkpoint.py                      # all, for the Rust tests
    python make_original_checkpoint.py --style bert DIR     # one

Each folder holds `config.json`, the weights as their scripts write them, and `expected.safetensors`
with the logits of `original_model.py` in float64. Weights come as `cp-0000.model`, as `cp-0000.cp`
(with optimizer and scheduler) and as `parallel.model` (keys with the `module.` of DataParallel, for
scripts that save the wrapper); the fixtures leave out some, to stay small. Unpadded rows are the
same in transformers, which is checked first.
"""

import argparse
import json
from collections import OrderedDict
from pathlib import Path
from typing import Any

import torch
from torch.optim.lr_scheduler import OneCycleLR
from transformers import NystromformerConfig, NystromformerForMaskedLM

import original_model
from fixture_file import INTEROP_FIXTURES, float32_error, save_tensors

SEQ_LEN = 24
LENGTHS = {"unpadded": (SEQ_LEN, SEQ_LEN), "padded": (SEQ_LEN, 13)}
WORDS = "model.embeddings.word_embeddings.weight"
DECODER = "mlm.mlm_class.weight"
AGREEMENT = 1e-12
SEEDS = range(20)

COMMON = {
    "mixed_precision": True,
    "vocab_size": 40,
    "max_seq_len": SEQ_LEN,
    "embedding_dim": 16,
    "num_layers": 2,
    "dropout_prob": 0.1,
    "num_head": 2,
    "head_dim": 8,
}
NYSTROM = {"attn_type": "nystrom", "num_landmarks": 4, "conv_kernel_size": 5}
REORGANIZED = {"dim": 16, "hidden_dim": 24, "shared_weight": False}
BERT = REORGANIZED | {"num_sen_type": 2, "num_classes": 4}
STYLES: dict[str, dict[str, Any]] = {
    "roberta_style": COMMON
    | NYSTROM
    | {
        "attention_grad_checkpointing": False,
        "gelu_grad_checkpointing": True,
        "num_sen_type": 1,
        "transformer_dim": 16,
        "transformer_hidden_dim": 24,
        "seq_len": SEQ_LEN,
    },
    # As many landmarks as tokens: exact attention, with the convolution.
    "reorganized_roberta_style": COMMON
    | REORGANIZED
    | NYSTROM
    | {"num_sen_type": 1, "model_type": "efficient_attention", "num_landmarks": SEQ_LEN},
    "bert_style": COMMON | BERT | NYSTROM | {"model_type": "efficient_attention"},
    "bert_style_shared": COMMON
    | BERT
    | {"model_type": "vanila_transformer", "shared_weight": True},
}
FORMS = ("cp-0000.model", "cp-0000.cp", "parallel.model")
FIXTURE_FORMS = {"bert_style": FORMS[:2], "bert_style_shared": FORMS[::2]}
PRETRAINING = {
    "batch_size": 256,
    "learning_rate": 1e-4,
    "warmup": 0.01,
    "batches_per_epoch": 2000,
    "epoch": 500,
}


def draw_parameters(
    config: dict[str, Any], generator: torch.Generator
) -> OrderedDict[str, torch.Tensor]:
    """Large random parameters, in the order of the state dict; the decoder shares its storage."""
    state: OrderedDict[str, torch.Tensor] = OrderedDict()
    for name, shape in original_model.parameter_shapes(config).items():
        noise = torch.randn(shape, generator=generator)
        is_norm_weight = "norm" in name and name.endswith("weight")
        state[name] = 1 + 0.2 * noise if is_norm_weight else 0.3 * noise
    state[DECODER] = state[WORDS]
    return state


def draw_inputs(config: dict[str, Any], kind: str, generator: torch.Generator) -> dict[str, Any]:
    """Ids with padding 0, the mask, and two segments where the model knows token types."""
    lengths = torch.tensor(LENGTHS[kind])[:, None]
    columns = torch.arange(SEQ_LEN).expand(len(lengths), -1)
    mask = (columns < lengths).long()
    ids = torch.randint(1, config["vocab_size"], mask.shape, generator=generator)
    second = (columns >= lengths // 2).long() if config["num_sen_type"] == 2 else 0 * mask
    return {
        "input_ids": ids * mask,
        "attention_mask": mask,
        "token_type_ids": second * mask,
    }


def in_transformers(
    state: dict[str, torch.Tensor], config: dict[str, Any]
) -> NystromformerForMaskedLM:
    """The same model in transformers: equal where nothing is padded."""
    style = original_model.style_of(config)
    nystrom = original_model.attention_of(config) == "nystrom"
    landmarks = config.get("num_landmarks", SEQ_LEN)
    model = NystromformerForMaskedLM(
        NystromformerConfig(
            vocab_size=config["vocab_size"],
            hidden_size=original_model.width_of(config),
            num_hidden_layers=config["num_layers"],
            num_attention_heads=config["num_head"],
            intermediate_size=24,
            hidden_act="gelu_new" if style == "roberta" else "gelu",
            max_position_embeddings=SEQ_LEN,
            type_vocab_size=config["num_sen_type"],
            num_landmarks=landmarks if nystrom else SEQ_LEN,
            segment_means_seq_len=SEQ_LEN,
            conv_kernel_size=config["conv_kernel_size"] if nystrom else None,
            pad_token_id=0,
        )
    )
    renamed: dict[str, torch.Tensor] = {}
    for layer, block in enumerate(original_model.blocks_of(config)):
        for name, tensor in state.items():
            if name.startswith(f"{block}."):
                inner = f"nystromformer.encoder.layer.{layer}.{name.removeprefix(f'{block}.')}"
                for theirs, ours in RENAMES:
                    inner = inner.replace(theirs, ours)
                renamed[inner] = tensor
    for name, tensor in state.items():
        if name.startswith("model.embeddings."):
            renamed[
                "nystromformer" + name.removeprefix("model").replace(".norm.", ".LayerNorm.")
            ] = tensor
        elif name.startswith("mlm.mlm_class."):
            renamed[name.replace("mlm.mlm_class", "cls.predictions.decoder")] = tensor
        elif name.startswith("mlm."):
            inner = name.removeprefix("mlm.").replace("norm.", "LayerNorm.")
            renamed[f"cls.predictions.transform.{inner}"] = tensor
    renamed["cls.predictions.bias"] = state["mlm.mlm_class.bias"]
    if style == "bert":  # transformers counts positions from 2
        table = "nystromformer.embeddings.position_embeddings.weight"
        unused = torch.zeros(2, renamed[table].shape[1])
        renamed[table] = torch.cat([unused, renamed[table]])
    model.load_state_dict(renamed)
    return model.double().eval()


# Of names within a block, in this order: `mha.ff` goes before `mha`.
RENAMES = (
    ("mha.ff.", "attention.output.dense."),
    ("mha.W_q.", "attention.self.query."),
    ("mha.W_k.", "attention.self.key."),
    ("mha.W_v.", "attention.self.value."),
    ("mha.attn.conv.", "attention.self.conv."),
    (".norm1.", ".attention.output.LayerNorm."),
    (".norm2.", ".output.LayerNorm."),
    (".ff1.", ".intermediate.dense."),
    (".ff2.", ".output.dense."),
    (".ff.0.", ".intermediate.dense."),
    (".ff.2.", ".output.dense."),
)


def expected(
    state: dict[str, torch.Tensor], config: dict[str, Any], generator: torch.Generator
) -> tuple[dict[str, torch.Tensor], dict[str, torch.Tensor]]:
    """Inputs and float64 logits of both batches, checked against transformers and float32."""
    exact_state = {name: tensor.double() for name, tensor in state.items()}
    inputs, exact, rounded = {}, {}, {}
    for kind in LENGTHS:
        batch = draw_inputs(config, kind, generator)
        logits = original_model.pretraining(exact_state, config, **batch)
        inputs |= {f"{kind}.{name}": tensor for name, tensor in batch.items()}
        exact |= {f"{kind}.{name}": tensor for name, tensor in logits.items()}
        in_float32 = original_model.pretraining(state, config, **batch)
        rounded |= {f"{kind}.{name}": tensor for name, tensor in in_float32.items()}
        if kind == "unpadded":
            with torch.no_grad():
                theirs = in_transformers(state, config)(**batch).logits
            worst = (theirs - logits["mlm_logits"]).abs().max().item()
            if not worst < AGREEMENT * 10:
                raise AssertionError(f"transformers differs from the statement by {worst:.1e}")
    float32_error(exact, rounded)
    return inputs, exact


def training_state(state: OrderedDict[str, torch.Tensor]) -> dict[str, Any]:
    """What the scripts put beside the weights: AdamW and a one-cycle schedule after a step."""
    generator = torch.Generator().manual_seed(0)
    parameters = [torch.nn.Parameter(t.clone()) for name, t in state.items() if name != DECODER]
    optimizer = torch.optim.AdamW(parameters, lr=1e-4, eps=1e-6, weight_decay=0.01)
    scheduler = OneCycleLR(
        optimizer, max_lr=1e-4, total_steps=1000, pct_start=0.01, anneal_strategy="linear"
    )
    for parameter in parameters:
        parameter.grad = torch.randn(parameter.shape, generator=generator)
    optimizer.step()
    scheduler.step()
    # Schedulers of that time kept the function itself: its pickle names code to be called.
    schedule = scheduler.state_dict() | {"anneal_func": OneCycleLR._annealing_linear}
    return {
        "optimizer_state_dict": optimizer.state_dict(),
        "lr_scheduler_state_dict": schedule,
        "epoch": 0,
        "inst_pass": 256,
    }


def write_checkpoints(
    state: OrderedDict[str, torch.Tensor], folder: Path, forms: tuple[str, ...]
) -> None:
    """The weights in every one of `forms`."""
    weights = OrderedDict((name, tensor.clone()) for name, tensor in state.items())
    weights[DECODER] = weights[WORDS]
    parallel = OrderedDict((f"module.{name}", tensor) for name, tensor in weights.items())
    contents: dict[str, dict[str, Any]] = {
        "cp-0000.model": {"model_state_dict": weights},
        "parallel.model": {"model_state_dict": parallel},
        "cp-0000.cp": {"model_state_dict": weights} | training_state(weights),
    }
    for form in forms:
        torch.save(contents[form], folder / form)


def make(style: str, folder: Path, forms: tuple[str, ...]) -> None:
    """Write one folder from the first seed that float32 rounding does not move too far."""
    config = STYLES[style]
    for seed in SEEDS:
        generator = torch.Generator().manual_seed(seed)
        state = draw_parameters(config, generator)
        try:
            inputs, logits = expected(state, config, generator)
        except ValueError:
            continue
        break
    else:
        raise ValueError(f"`{style}`: no seed of {SEEDS} is well enough conditioned")
    folder.mkdir(parents=True, exist_ok=True)
    whole_config = {"model": config, "pretraining_setting": PRETRAINING}
    (folder / "config.json").write_text(json.dumps(whole_config, indent=2) + "\n")
    write_checkpoints(state, folder, forms)
    stored = inputs | {name: tensor.float() for name, tensor in logits.items()}
    save_tensors(folder / "expected.safetensors", stored, {"style": style, "seed": str(seed)})
    size = sum(file.stat().st_size for file in folder.iterdir())
    print(f"{style:28} {size / 1024:6.1f} KiB  seed {seed}")


def main() -> None:
    """Read the arguments and write one folder or all."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", nargs="?", type=Path, help="where to write one style")
    parser.add_argument("--style", choices=sorted(STYLES), default="bert_style")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    if arguments.folder is not None:
        make(arguments.style, arguments.folder, FORMS)
        return
    for style in STYLES:
        make(style, INTEROP_FIXTURES / "original" / style, FIXTURE_FORMS.get(style, FORMS[:1]))


if __name__ == "__main__":
    main()
