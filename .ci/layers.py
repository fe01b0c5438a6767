"""Who may depend on whom; `.ci/run layers` fails on everything else.

Reads the manifests through `cargo metadata`, so that optional dependencies and those of other
platforms count too. Dependencies of tests and examples are free.
"""

import json
import subprocess
import sys

# Our crates (without `nystromformer-`; `model` is `nystromformer`), and the libraries that only some may know: one that is
# named in any line may be used where a line names it, and nowhere else. All other libraries are free.
MAY_USE = {
    "kernels": "burn burn-cubecl burn-flex gemm pulp libc",
    "files": "parquet flate2 zstd csv",
    "model": "kernels burn",
    "data": "files tokenizers burn-dataset",
    "tasks": "data files toml",
    "lra": "tasks png zune-core zune-jpeg",
    "interop": "model files burn prost",
    "learner": "model data tasks interop kernels files burn toml indicatif libc prost mpi",
    "pipelines": "model data interop files burn",
    "report": "files toml",
    "tables": "model report files burn",
    "hub": "ureq",
    "server": "model data interop pipelines burn axum hyper hyper-util http-body-util tokio tower",
    "cli": "kernels files model data tasks lra interop learner pipelines report server tables hub burn"
    " clap clap_complete clap_mangen anyhow signal-hook tracing-subscriber libc",
}


def short(package: str) -> str:
    """The crate's name in the table."""
    return "model" if package == "nystromformer" else package.removeprefix("nystromformer-")


def main() -> int:
    """Compare the manifests with the table; one line on stderr for each difference."""
    command = ["cargo", "metadata", "--locked", "--no-deps", "--format-version", "1"]
    metadata = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
    packages = {short(package["name"]): package for package in metadata["packages"]}
    allowed = {crate: set(names.split()) for crate, names in MAY_USE.items()}
    fenced = set().union(*allowed.values())
    wrong = [f"`{crate}` is not in the table of .ci/layers.py" for crate in packages.keys() - allowed.keys()]
    wrong += [f"`{crate}` is in the table of .ci/layers.py, and there is no such crate" for crate in allowed.keys() - packages.keys()]
    for crate, package in packages.items():
        names = {short(other["name"]) for other in package["dependencies"] if other["kind"] != "dev"}
        forbidden = names & (fenced | packages.keys()) - allowed.get(crate, set())
        wrong += [f"`{crate}` must not depend on `{name}`" for name in forbidden]
    for line in sorted(wrong):
        print(f"layers: {line}; the table is in .ci/layers.py", file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
