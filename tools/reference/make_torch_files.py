"""Write small files of every kind that torch.save writes, into crates/interop/tests/fixtures/torch/.

    python make_torch_files.py

`expected.safetensors` holds what went into them: each tensor as `FILE:NAME`, floating
types as F64, all others as I64. Files whose name starts with `refused_` hold no state dict that could
be loaded. The older format names a storage after its address, so in those files the names differ
between runs.
"""

import argparse
import collections
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from fixture_file import INTEROP_FIXTURES, save_tensors

FOLDER = INTEROP_FIXTURES / "torch"
SEED = 7

DTYPES = (
    torch.float64,
    torch.float32,
    torch.float16,
    torch.bfloat16,
    torch.int64,
    torch.int32,
    torch.int16,
    torch.int8,
    torch.uint8,
)

StateDict = Mapping[str, Tensor]


class Marked(Tensor):
    """A tensor of a class of its own, with state of its own."""


class Network(nn.Module):
    """Two layers that share a weight, a buffer, and state that is no tensor."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(3, 3)
        self.second = nn.Linear(3, 3)
        self.second.weight = self.first.weight
        self.register_buffer("position_ids", torch.arange(4).expand((1, -1)))

    def forward(self, states: Tensor) -> Tensor:
        return self.second(self.first(states))

    def get_extra_state(self) -> dict[str, int]:
        return {"calls": 3}

    def set_extra_state(self, state: dict[str, int]) -> None:
        pass


def dtypes() -> StateDict:
    """One tensor of each type."""
    values = torch.tensor([[-3, 0, 1], [2, 5, 100]])
    tensors = {str(dtype).removeprefix("torch."): values.abs().to(dtype) for dtype in DTYPES}
    return tensors | {"bool": values > 0, "negative": -values.float() / 3}


def views() -> StateDict:
    """Tensors that are not whole storages in order."""
    grid = torch.arange(24, dtype=torch.float32).reshape(4, 6) / 8
    return {
        "whole": grid,
        "tied": grid,
        "transposed": grid.T,
        "rows": grid[1:3],
        "columns": grid[:, 1:6:2],
        "corner": grid[2:, 3:],
        "cube": grid.reshape(2, 2, 6).permute(2, 0, 1)[::2],
        "channels_last": torch.rand(2, 3, 4, 5).contiguous(memory_format=torch.channels_last),
        "scalar": grid[3, 4],
        "empty": torch.zeros(0, 3),
        "row_of_any_stride": grid[:1].as_strided((1, 6), (99, 1)),
    }


def trained() -> dict[str, Any]:
    """A checkpoint of the original repository's layout, after a step."""
    network = Network()
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 1e-3, total_steps=10)
    network(torch.rand(2, 3)).sum().backward()
    optimizer.step()
    schedule.step()
    return {
        "model": nn.DataParallel(network).state_dict(),
        "optimizer": optimizer.state_dict(),
        "lr_scheduler": schedule.state_dict(),
        "rng_state": torch.get_rng_state()[:16].clone(),
        "epoch": 4,
        "inst_pass": 2**40,
    }


def other_byte_order(source: Path, target: Path) -> None:
    """A copy of an archive that says it is big-endian."""
    with zipfile.ZipFile(source) as archive, zipfile.ZipFile(target, "w") as copy:
        for name in archive.namelist():
            content = b"big" if name.endswith("/byteorder") else archive.read(name)
            copy.writestr(zipfile.ZipInfo(name), content)


def compressed(source: Path, target: Path) -> None:
    """A copy of an archive with its entries deflated."""
    with zipfile.ZipFile(source) as archive, zipfile.ZipFile(target, "w") as copy:
        for name in archive.namelist():
            copy.writestr(zipfile.ZipInfo(name), archive.read(name), zipfile.ZIP_DEFLATED)


def as_expected(tensor: Tensor) -> Tensor:
    wide = tensor.double() if tensor.is_floating_point() else tensor.long()
    return torch.Tensor.as_subclass(wide.detach().contiguous().clone(), Tensor)


def main() -> None:
    argparse.ArgumentParser(description=__doc__.splitlines()[0]).parse_args()
    torch.manual_seed(SEED)
    FOLDER.mkdir(parents=True, exist_ok=True)
    expected: dict[str, Tensor] = {}

    def save(name: str, content: Any, state: StateDict, **options: Any) -> None:
        torch.save(content, FOLDER / name, **options)
        for key, value in state.items():
            if isinstance(value, Tensor):
                expected[f"{name}:{key}"] = as_expected(value)

    legacy = {"_use_new_zipfile_serialization": False}
    for kind, options in (("zip", {}), ("legacy", legacy)):
        save(f"dtypes_{kind}.pt", dtypes(), dtypes(), **options)
        state = views()
        save(f"views_{kind}.pth", state, state, **options)
        for protocol in (3, 4, 5):
            state = {"weight": torch.rand(2, 2)}
            save(f"protocol_{protocol}_{kind}.pt", state, state, pickle_protocol=protocol, **options)

        # The original repository's files, and what others do.
        checkpoint = trained()
        state = {key.removeprefix("module."): t for key, t in checkpoint["model"].items()}
        save(f"cp_{kind}.cp", checkpoint, state, **options)
        save(f"cp_{kind}.model", {"model_state_dict": checkpoint["model"]}, state, **options)
        state = collections.OrderedDict(
            weight=nn.Parameter(torch.rand(2, 3)), bias=nn.Parameter(torch.rand(2).bfloat16())
        )
        hyper = argparse.Namespace(lr=1e-3, betas=(0.9, 0.999), note="not needed")
        save(f"arguments_{kind}.pt", {"args": hyper, "state_dict": state}, state, **options)
        save(f"unusual_{kind}.pt", {"ema": state, "net": state, "seed": 3}, state, **options)

    wide = {"positions": torch.tensor([1, 65535], dtype=torch.uint16), "weight": torch.rand(2)}
    save("untyped.pt", wide, wide)
    marked = torch.rand(2, 2).as_subclass(Marked)
    marked.note = "a subclass's state"
    save("subclass.pt", {"weight": marked}, {"weight": marked})

    network = Network()
    torch.save(network, FOLDER / "refused_module.pt")
    torch.save({"weight": torch.rand(3, 1).expand(3, 4)}, FOLDER / "refused_expanded.pt")
    complex_weight = torch.ones(2, dtype=torch.complex64)
    torch.save({"weight": complex_weight, "bias": torch.ones(2)}, FOLDER / "refused_complex.pt")
    torch.save([torch.rand(2)], FOLDER / "refused_list.pt")
    torch.save({"epoch": 3}, FOLDER / "refused_no_tensors.pt")
    two = {"first": {"weight": torch.rand(2)}, "second": {"weight": torch.rand(2)}}
    torch.save(two, FOLDER / "refused_two.pt")
    torch.jit.script(nn.Linear(2, 2)).save(str(FOLDER / "refused_script.pt"))
    other_byte_order(FOLDER / "untyped.pt", FOLDER / "refused_big_endian.pt")
    compressed(FOLDER / "untyped.pt", FOLDER / "refused_compressed.pt")

    save_tensors(FOLDER / "expected.safetensors", expected, {"torch": torch.__version__})


if __name__ == "__main__":
    main()
