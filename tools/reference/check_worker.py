"""Answers one `check_export.py` command line after another, so that imports are paid for once.

Reads a JSON list of arguments a line on stdin; answers with a JSON object a line on stdout, `facts`
or `error`. `export_matrix.py` starts one under each interpreter.
"""

import json
import sys

import torch
from transformers.utils import logging

from check_export import CheckError, check, command_line


def main() -> None:
    """Serve until stdin ends."""
    torch.set_num_threads(1)
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    for line in sys.stdin:
        arguments = command_line().parse_args(json.loads(line))
        try:
            answer = {"facts": check(arguments)}
        except CheckError as error:
            answer = {"error": " ".join(str(error).split())}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
