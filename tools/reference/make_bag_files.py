"""Feature vectors as people save them: NumPy's files and torch's, into crates/files/tests/fixtures/tensors.

    python make_bag_files.py

Every file holds the same table of 4 vectors of 3 features, `value(row, column) = row - column / 4`, whose numbers are exact in
every type; integers hold `3 * row - column`.
"""

from pathlib import Path

import numpy as np
import torch

FOLDER = Path(__file__).parents[2] / "crates/files/tests/fixtures/tensors"


def main() -> None:
    FOLDER.mkdir(parents=True, exist_ok=True)
    rows, columns = np.indices((4, 3))
    table = (rows - columns / 4).astype("float32")
    whole = 3 * rows - columns
    np.save(FOLDER / "rows.npy", table)
    np.save(FOLDER / "columns.npy", np.asfortranarray(table.astype("float64")))
    np.save(FOLDER / "half.npy", table.astype("float16"))
    np.save(FOLDER / "whole.npy", whole.astype("int32"))
    tensor = torch.from_numpy(table)
    torch.save(tensor, FOLDER / "alone.pt")
    torch.save(tensor, FOLDER / "alone_legacy.pt", _use_new_zipfile_serialization=False)
    torch.save(tensor.T.contiguous().T, FOLDER / "transposed.pt")
    torch.save(torch.nn.Parameter(tensor.to(torch.bfloat16)), FOLDER / "parameter.pt")
    coordinates = torch.arange(8).reshape(4, 2)
    named = {"features": tensor, "coords": coordinates, "slide": "a-1", "size": (256, 256)}
    torch.save(named, FOLDER / "named.pt")
    torch.save([tensor], FOLDER / "refused_list.pt")
    np.save(FOLDER / "refused_objects.npy", np.array([{"a": 1}], dtype=object))


if __name__ == "__main__":
    main()
