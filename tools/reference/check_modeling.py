"""Check the modeling file that exports of `paper` models carry, under the transformers installed.

    python check_modeling.py [--fixture paper_ragged]

For every `crates/model/tests/fixtures/paper_*.safetensors`: a folder with the fixture's parameters,
its configuration and the file must load with `trust_remote_code=True` (no missing, unexpected or
mismatched key) and compute the fixture's hidden states, logits, loss and gradients; without it, it
must load as transformers' own class, but where the file alone computes it. For every head, and for
classifiers that read two states: rows alone, without padding, must give what they give padded within
a batch, and a saved copy must load again. Prints one Markdown table of
differences, relative to each tensor's largest value. Exit status 1 if one exceeds 2e-5.
"""

import argparse
import json
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

import torch
import transformers
from safetensors import safe_open
from safetensors.torch import save_file
from transformers import PreTrainedModel
from transformers.activations import ACT2FN
from transformers.utils import logging

from check_export import ARCHITECTURES, load_model
import lra_model
from fixture_file import MODEL_FIXTURES, REPOSITORY
from heads import HEADS, Head, Tensors

TOLERANCE = 2e-5
TRANSFORMERS_MAJOR = int(transformers.__version__.split(".")[0])
MODELING_FILE = REPOSITORY / "crates/interop/src/hugging_face/modeling_nystromformer_paper.py"
SEQ_LEN = 22
LENGTHS = [22, 13, 5, 3, 9, 1]
SIZES = {
    "vocab_size": 60,
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 48,
    "max_position_embeddings": SEQ_LEN,
    "num_landmarks": 4,
    "segment_means_seq_len": 20,
    "conv_kernel_size": 5,
}
# With one of these the file alone computes a model.
KEYS_OF_THE_FILE = (
    "conv_per_channel",
    "landmarks",
    "local_window",
    "position_embedding_type",
    "stem_layers",
    "pooling",
)
POOLINGS = ("first_last", "mean_max")
OUR_KEYS = {
    "semantics": "paper",
    "attention": "nystrom",
    "pinv_iterations": 6,
    "pinv_init": "exact",
}


def write_folder(folder: Path, config: dict[str, Any], state: Tensors | None) -> None:
    """`config` with an `auto_map`, the modeling file, and the parameters unless they are there."""
    folder.mkdir(exist_ok=True)
    (architecture,) = config["architectures"]
    loader, _ = ARCHITECTURES[architecture]
    auto_map = {loader.__name__: f"{MODELING_FILE.stem}.{architecture}"}
    (folder / "config.json").write_text(json.dumps(config | {"auto_map": auto_map}))
    shutil.copy(MODELING_FILE, folder)
    if state is not None:
        save_file(state, folder / "model.safetensors", metadata={"format": "pt"})


def give_zero_convolutions(config: dict[str, Any], parameters: Tensors) -> None:
    """A filter of one zero tap in each layer: transformers 5 refuses `conv_kernel_size: null`."""
    config["conv_kernel_size"] = 1
    for layer in range(config["num_hidden_layers"]):
        name = f"nystromformer.encoder.layer.{layer}.attention.self.conv.weight"
        parameters[name] = torch.zeros(config["num_attention_heads"], 1, 1, 1)


def relative(got: torch.Tensor, wanted: torch.Tensor) -> float:
    """Largest difference, relative to the largest value wanted."""
    return ((got.double() - wanted.double()).abs().max() / wanted.abs().max()).item()


def compute(model: PreTrainedModel, batch: Tensors, **options: bool) -> Any:
    """The model's output without gradients."""
    with torch.no_grad():
        return model(**batch, **options)


def check_fixture(path: Path, scratch: Path) -> float:
    """Worst difference from one fixture at valid positions, with and without attention weights.

    Gradients are measured against the largest of the fixture.
    """
    with safe_open(path, "pt") as file:
        stored = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        config = json.loads(file.metadata()["config"])
    folder = scratch / path.stem
    parameters = {
        name.removeprefix("param."): tensor
        for name, tensor in stored.items()
        if name.startswith("param.")
    }
    if config["conv_kernel_size"] is None and TRANSFORMERS_MAJOR >= 5:
        give_zero_convolutions(config, parameters)
    write_folder(folder, config, parameters)
    (architecture,) = config["architectures"]
    if not any(key in config for key in KEYS_OF_THE_FILE):
        load_model(folder, architecture, trust_remote_code=False)
    model = load_model(folder, architecture, trust_remote_code=True)
    names = ("input_ids", "attention_mask", "token_type_ids", "labels")
    batch = {name: stored[name] for name in names}
    valid = stored["attention_mask"] == 1
    worst = 0.0
    for output_attentions in (False, True):
        output = compute(
            model, batch, output_hidden_states=True, output_attentions=output_attentions
        )
        worst = max(worst, relative(output.loss, stored["loss"]))
        worst = max(worst, relative(output.logits[valid], stored["logits"][valid]))
        for layer, hidden in enumerate(output.hidden_states):
            wanted = stored[f"hidden_states.{layer}"]
            worst = max(worst, relative(hidden[valid], wanted[valid]))
    model(**batch).loss.backward()
    gradients = {name: parameter.grad for name, parameter in model.named_parameters()}
    wanted_gradients = {
        name.removeprefix("grad."): tensor
        for name, tensor in stored.items()
        if name.startswith("grad.")
    }
    largest = max(tensor.abs().max().item() for tensor in wanted_gradients.values())
    for name, wanted in wanted_gradients.items():
        worst = max(worst, (gradients[name] - wanted).abs().max().item() / largest)
    return worst


def row(batch: Tensors, place: int, length: int) -> Tensors:
    """One row (or one example's choices) of a batch, without columns beyond `length`."""
    return {name: tensor[place : place + 1, ..., :length] for name, tensor in batch.items()}


def check_head(head: Head, scratch: Path) -> float:
    """Worst difference of a row alone, and of a saved copy, from the row in a padded batch."""
    generator = torch.Generator().manual_seed(1)
    source = head.build(generator, **SIZES)
    folder = scratch / head.name
    source.save_pretrained(folder)
    config = json.loads((folder / "config.json").read_text())
    write_folder(folder, config | OUR_KEYS, None)
    architecture = head.model.__name__
    load_model(folder, architecture, trust_remote_code=False)
    model = load_model(folder, architecture, trust_remote_code=True)
    batch = head.inputs(model.config, LENGTHS, SEQ_LEN, generator)
    together = compute(model, batch)

    saved = scratch / f"{head.name}-saved"
    model.save_pretrained(saved)
    copy = compute(load_model(saved, architecture, trust_remote_code=True), batch)
    worst = max(relative(copy[name], together[name]) for name in head.outputs)

    # With choices, an example is as long as its longest choice.
    lengths = batch["attention_mask"].sum(-1).reshape(len(batch["attention_mask"]), -1).amax(-1)
    for place, length in enumerate(lengths.tolist()):
        alone = compute(model, row(batch, place, length))
        for name in head.outputs:
            got, wanted = alone[name][0], together[name][place]
            if got.shape != wanted.shape:  # a value for each token, padding included
                wanted = wanted[:length]
            worst = max(worst, relative(got, wanted))
    return worst


def check_pooling(head: Head, pooling: str, scratch: Path) -> float:
    """Worst difference of a classifier of two states from what they are, row by row."""
    generator = torch.Generator().manual_seed(2)
    source = head.build(generator, **SIZES)
    folder = scratch / f"{head.name}-{pooling}"
    source.save_pretrained(folder)
    config = json.loads((folder / "config.json").read_text()) | OUR_KEYS | {"pooling": pooling}
    state = dict(source.state_dict())
    wide = torch.randn(SIZES["hidden_size"], 2 * SIZES["hidden_size"], generator=generator)
    state["classifier.dense.weight"] = 0.3 * wide
    (folder / "model.safetensors").unlink()
    write_folder(folder, config, {name: tensor.contiguous() for name, tensor in state.items()})
    model = load_model(folder, head.model.__name__, trust_remote_code=True)
    batch = head.inputs(model.config, LENGTHS, SEQ_LEN, generator)
    output = compute(model, batch, output_hidden_states=True)
    worst = 0.0
    for place, length in enumerate(LENGTHS):
        states = output.hidden_states[-1][place, :length]
        pooled = lra_model.pool(states, pooling, SEQ_LEN)
        with torch.no_grad():
            activation = ACT2FN[model.config.hidden_act]
            hidden = activation(model.classifier.dense(pooled))
            wanted = model.classifier.out_proj(hidden)
        worst = max(worst, relative(output.logits[place], wanted))
        worst = max(worst, relative(compute(model, row(batch, place, length)).logits[0], wanted))
    return worst


def main() -> int:
    """Check everything, print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--fixture", metavar="NAME", help="only this one")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    paths = sorted(MODEL_FIXTURES.glob(f"{arguments.fixture or 'paper_*'}.safetensors"))
    if not paths:
        parser.error(f"no such fixture in `{MODEL_FIXTURES}`")
    with tempfile.TemporaryDirectory() as scratch:
        rows = {path.stem: check_fixture(path, Path(scratch)) for path in paths}
        if arguments.fixture is None:
            rows |= {head.name: check_head(head, Path(scratch)) for head in HEADS}
            (classifier,) = [head for head in HEADS if head.name == "sequence_single_label"]
            for pooling in POOLINGS:
                rows[f"{classifier.name}, {pooling}"] = check_pooling(
                    classifier, pooling, Path(scratch)
                )
    print(f"| Case | transformers {transformers.__version__} |\n|---|---|")
    for name, difference in rows.items():
        print(f"| `{name}` | {difference:.1e} |")
    return int(not max(rows.values()) <= TOLERANCE)


if __name__ == "__main__":
    sys.exit(main())
