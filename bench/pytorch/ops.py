"""Where PyTorch's time goes in a training step's forward and backward pass, by the kinds of op of bench/ops.ts.

    python ops.py architecture.json BATCH THREADS STEPS

For every line read from standard input it runs STEPS passes for the wall time, then as many under the profiler, and prints the milliseconds per pass as a line of JSON.
"""
import json
import sys
import time
from collections import defaultdict

import torch
import torch.nn.functional as F
from torch.profiler import ProfilerActivity, profile

from uninet import build

path, batch, threads, steps = sys.argv[1], *map(int, sys.argv[2:5])
torch.set_num_threads(threads)
torch.manual_seed(0)
a = json.load(open(path))
# Channels last, the faster of the two layouts on CPUs.
model = build(a).train().to(memory_format=torch.channels_last)
x = torch.randn(batch, a["image"]["channels"], a["image"]["height"], a["image"]["width"])
x = x.to(memory_format=torch.channels_last)
y = torch.randint(a["classes"], (batch,))


def step():
    model.zero_grad(set_to_none=True)
    F.cross_entropy(model(x), y).backward()


NAMES = [
    ("native_batch_norm", "batch norm"),
    ("native_layer_norm", "layer norm"),
    ("gelu", "activation"),
    ("max_pool", "max pool"),
    ("addmm", "products, attention"),
    ("bmm", "products, attention"),
    ("mm", "products, attention"),
    ("softmax", "products, attention"),
    ("attention", "products, attention"),
]


def group(event):
    name = event.key.removeprefix("aten::")
    gradients = ", gradients" if "backward" in name else ""
    if "convolution" in name or "mkldnn" in name or "thnn_conv" in name:
        # The weight is the second argument forward, the third backward.
        shapes = [s for s in event.input_shapes if len(s) in (3, 4)]
        weight = shapes[2 if gradients else 1] if len(shapes) > (2 if gradients else 1) else None
        if weight is None:
            return "everything else"
        pixels = weight[2] * (weight[3] if len(weight) == 4 else 1)
        kind = "1×1 convolution" if pixels == 1 else "depthwise convolution" if weight[1] == 1 and weight[0] > 1 else "convolution"
        return kind + gradients
    for part, kind in NAMES:
        if part in name:
            return kind + ("" if kind in ("products, attention", "layer norm") else gradients)
    return "everything else"


for _ in range(3):
    step()
print("ready", flush=True)
for _ in sys.stdin:
    start = time.perf_counter()
    for _ in range(steps):
        step()
    wall = 1000 * (time.perf_counter() - start) / steps
    with profile(activities=[ProfilerActivity.CPU], record_shapes=True) as found:
        for _ in range(steps):
            step()
    groups = defaultdict(float)
    for event in found.key_averages(group_by_input_shape=True):
        groups[group(event)] += event.self_cpu_time_total / 1000 / steps
    print(json.dumps({"groups": groups, "wall": wall}), flush=True)
