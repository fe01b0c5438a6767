#!/usr/bin/env python3
"""Time one step of transformers' Nyströmformer, to set beside `bench step`.

    python3 torch_step.py --workload lra-2048 [--device cuda] [--compile] [--dtype bf16] [--tf32] [--steps 8] [--warmup 2]

Prints one JSON line with the keys of `bench step`, and torch's version. A step is forward, loss, backward and
AdamW, or a forward pass without gradients; ids are random, dropout is off. Masked-LM labels mark 15 % of
the tokens; transformers computes the logits of all of them, as it always does. Rows of `-padded` workloads end
in padding, which `attention_mask` tells and `tokens_per_s` does not count.

torch runs at its best: all cores, and glibc told to keep freed memory. By default it hands every large block
back to the kernel, whose zeroing of the next one can take most of a step.

On `--device cuda` a step ends when the GPU has done it. The line then has `gpu`, `tf32` (whether products in fp32 may round
their factors to 10 bits of mantissa: off, as in torch, unless `--tf32` is given), and the peak of the GPU's memory: `peak_device_mib`
of tensors, `held_device_mib` of what torch took from the driver.
"""

import argparse
import json
import os
import resource
import statistics
import sys
import time
from collections.abc import Callable

from workloads import WORKLOADS, Workload

KEEP_FREED_MEMORY = {
    "MALLOC_MMAP_THRESHOLD_": str(1 << 30),
    "MALLOC_TRIM_THRESHOLD_": str(1 << 35),
    "MALLOC_TOP_PAD_": str(1 << 28),
}
DTYPES = {"fp32": "fp32", "float32": "fp32", "bf16": "bf16", "bfloat16": "bf16"}
"""What `--dtype` takes, and what the line calls it."""
NUM_LABELS = 10
MASKED_SHARE = 0.15
IGNORED_LABEL = -100
SEED = 0


def restart_with_allocator_settings() -> None:
    """glibc reads its settings when a process starts, so set them and start again."""
    if all(name in os.environ for name in KEEP_FREED_MEMORY):
        return
    os.execve(sys.executable, [sys.executable, *sys.argv], os.environ | KEEP_FREED_MEMORY)


def require_cuda() -> None:
    """Ends the program with a sentence where torch cannot compute on a GPU of NVIDIA's."""
    import torch

    if torch.version.cuda is None:
        sys.exit(
            f"--device cuda: torch {torch.__version__} is built for the CPU alone; install a build for CUDA (https://pytorch.org)"
        )
    if not torch.cuda.is_available():
        sys.exit(
            "--device cuda: torch finds no NVIDIA GPU; `nvidia-smi` says whether the driver sees one"
        )


def make_step(
    workload: Workload, device: str, compiled: bool, bfloat16: bool
) -> Callable[[], float]:
    """The step as a function that returns the loss (of inference, the mean logit)."""
    import torch
    import transformers

    torch.manual_seed(SEED)
    config = transformers.NystromformerConfig(
        **workload.size,
        max_position_embeddings=workload.seq_len,
        segment_means_seq_len=workload.seq_len,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
        num_labels=NUM_LABELS,
    )
    classifies = workload.task == "classification"
    architecture = "ForSequenceClassification" if classifies else "ForMaskedLM"
    model = getattr(transformers, f"Nystromformer{architecture}")(config).to(device)

    shape = (workload.batch, workload.seq_len)
    input_ids = torch.randint(5, config.vocab_size, shape)
    places, lengths = torch.arange(workload.seq_len), torch.tensor(workload.lengths)
    is_token = places[None] < lengths[:, None]
    input_ids = input_ids.masked_fill(~is_token, config.pad_token_id)
    inputs = {"input_ids": input_ids, "attention_mask": is_token.long()}
    mixed = torch.autocast(device, dtype=torch.bfloat16, enabled=bfloat16)
    forward = torch.compile(model) if compiled else model

    if workload.task == "inference":
        model.eval()
        inputs = {name: tensor.to(device) for name, tensor in inputs.items()}

        def infer() -> float:
            with torch.no_grad(), mixed:
                return forward(**inputs).logits.float().mean().item()

        return infer

    model.train()
    if classifies:
        inputs["labels"] = torch.randint(NUM_LABELS, shape[:1])
    else:
        chosen = torch.rand(shape) < MASKED_SHARE
        inputs["labels"] = input_ids.masked_fill(~chosen, IGNORED_LABEL)
    inputs = {name: tensor.to(device) for name, tensor in inputs.items()}
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, weight_decay=0.01)

    def train() -> float:
        optimizer.zero_grad(set_to_none=True)
        with mixed:
            loss = forward(**inputs).loss
        loss.backward()
        optimizer.step()
        return loss.item()

    return train


def main() -> None:
    """Read the arguments, take the steps, print the line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--workload", choices=WORKLOADS, required=True)
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--compile", action="store_true", help="through torch.compile")
    parser.add_argument("--dtype", choices=DTYPES, default="fp32", help="bf16: autocast")
    parser.add_argument(
        "--tf32", action="store_true", help="on cuda, let products in fp32 run in TensorFloat-32"
    )
    parser.add_argument("--steps", type=int, help="measured steps; default: by workload")
    parser.add_argument("--warmup", type=int, help="unmeasured steps before; default: by workload")
    arguments = parser.parse_args()
    if arguments.tf32 and arguments.device != "cuda":
        parser.error("--tf32 is for --device cuda")
    restart_with_allocator_settings()

    import torch

    is_on_gpu = arguments.device == "cuda"
    if is_on_gpu:
        require_cuda()
        torch.backends.cuda.matmul.allow_tf32 = arguments.tf32
        torch.backends.cudnn.allow_tf32 = arguments.tf32
    workload = WORKLOADS[arguments.workload]
    dtype = DTYPES[arguments.dtype]
    step = make_step(workload, arguments.device, arguments.compile, dtype == "bf16")
    for _ in range(workload.warmup if arguments.warmup is None else arguments.warmup):
        step()
    seconds = []
    for _ in range(arguments.steps or workload.steps):
        if is_on_gpu:
            torch.cuda.synchronize()
        start = time.perf_counter()
        loss = step()
        if is_on_gpu:
            torch.cuda.synchronize()
        seconds.append(time.perf_counter() - start)
    median = statistics.median(seconds)
    report = {
        "peer": "torch-compile" if arguments.compile else "torch-eager",
        "dtype": dtype,
        "workload": arguments.workload,
        "batch": workload.batch,
        "seq_len": workload.seq_len,
        "step_s_median": round(median, 4),
        "step_s_min": round(min(seconds), 4),
        "tokens_per_s": round(workload.num_tokens / median, 1),
        "loss": round(loss, 4),
        "peak_rss_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10,
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
    }
    if is_on_gpu:
        report |= {
            "gpu": torch.cuda.get_device_name(),
            "tf32": arguments.tf32,
            "peak_device_mib": torch.cuda.max_memory_allocated() >> 20,
            "held_device_mib": torch.cuda.max_memory_reserved() >> 20,
        }
    print(json.dumps(report))


if __name__ == "__main__":
    main()
