#!/usr/bin/env python3
"""transformers behind a plain FastAPI: `/embed`, a forward pass for each request. What `load.py` compares with.

    python3 tools/server/peer_fastapi.py --model FOLDER --port 8081

FOLDER is what `nystromformer export` writes; its own modeling file computes the `paper` semantics. Needs `requirements.txt`
of this folder beside that of `tools/reference`.
"""

import argparse
import os

import torch
import uvicorn
from fastapi import FastAPI
from pydantic import BaseModel
from transformers import AutoModel, AutoTokenizer


class Embed(BaseModel):
    """The request, as text-embeddings-inference has it."""

    inputs: str | list[str]
    truncate: bool = False
    normalize: bool = True


def application(folder: str) -> FastAPI:
    """The server of one model."""
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModel.from_pretrained(folder, trust_remote_code=True).eval()
    app = FastAPI()

    # Not `async`: FastAPI then runs it beside others on its threads, and the server stays awake.
    @app.post("/embed")
    def embed(asked: Embed) -> list[list[float]]:
        texts = [asked.inputs] if isinstance(asked.inputs, str) else asked.inputs
        batch = tokenizer(texts, padding=True, truncation=asked.truncate, return_tensors="pt")
        with torch.inference_mode():
            states = model(**batch).last_hidden_state
            mask = batch["attention_mask"].unsqueeze(-1).to(states.dtype)
            vectors = (states * mask).sum(1) / mask.sum(1)
            if asked.normalize:
                vectors = torch.nn.functional.normalize(vectors, dim=-1)
        return vectors.tolist()

    @app.get("/health")
    def health() -> None: ...

    return app


def main() -> None:
    """Serves until it is ended."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True)
    parser.add_argument("--port", type=int, required=True)
    args = parser.parse_args()
    torch.set_num_threads(os.cpu_count() or 1)
    uvicorn.run(application(args.model), host="127.0.0.1", port=args.port, log_level="warning")


if __name__ == "__main__":
    main()
