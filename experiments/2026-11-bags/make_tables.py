"""Multiple-instance data sets as tables: a vector in each row, with its bag and the bag's label.

    python make_tables.py FOLDER_OF_MAT_FILES OUTPUT

FOLDER holds `.mat` files of the PRTools form (`x.data`, `x.nlab`, `x.ident.milbag`); OUTPUT gets `NAME.csv` for each, named by the
set's own title, since two of these files are called after each other.
"""

import csv
import sys
from pathlib import Path

import scipy.io


def main(source: Path, output: Path) -> None:
    output.mkdir(parents=True, exist_ok=True)
    for path in sorted(source.glob("*.mat")):
        data = scipy.io.loadmat(path)["x"][0, 0]
        title = str(data["name"].ravel()[0]).split("(")[0].strip().lower().replace(" ", "")
        bags = [str(bag).strip() for bag in data["ident"][0, 0]["milbag"].ravel()]
        classes = data["nlab"].ravel()
        # A bag is positive if one of its vectors is.
        label = {}
        for bag, number in zip(bags, classes):
            label[bag] = max(label.get(bag, 0), int(number) - 1)
        with open(output / f"{title}.csv", "w", newline="") as file:
            table = csv.writer(file)
            table.writerow(["bag", *(f"f{i}" for i in range(data["data"].shape[1])), "label"])
            for bag, row in zip(bags, data["data"]):
                table.writerow([bag, *row.tolist(), label[bag]])
        print(f"{path.name}: {title}, {len(label)} bags, {sum(label.values())} positive, {len(bags)} vectors")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
