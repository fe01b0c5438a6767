"""What Hugging Face's own client (`huggingface_hub` 0.36) does with a cache and a Hub; the tests of `crates/hub` call it.

    python check_hub.py cached NAME        the folder that the cache has for a model, without a connection
    python check_hub.py download NAME      the same, downloaded
    python check_hub.py upload FOLDER NAME the address of the commit

The cache, the Hub and the token are those of the environment: `HF_HUB_CACHE`, `HF_ENDPOINT`, `HF_TOKEN`.
"""

import sys

from huggingface_hub import HfApi, snapshot_download

ALLOWED = ["config.json", "model.safetensors", "tokenizer.json"]


def main() -> None:
    """Print one line."""
    match sys.argv[1:]:
        case ["cached", name]:
            print(snapshot_download(name, local_files_only=True))
        case ["download", name]:
            print(snapshot_download(name, allow_patterns=ALLOWED, max_workers=1))
        case ["upload", folder, name]:
            api = HfApi()
            api.create_repo(name, exist_ok=True)
            print(api.upload_folder(repo_id=name, folder_path=folder).commit_url)
        case _:
            sys.exit(__doc__)


if __name__ == "__main__":
    main()
