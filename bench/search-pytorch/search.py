"""Trains the networks of a search as a PyTorch expert would: images in memory, two processes with one thread each, eager, channels last, fused AdamW.

    python search.py FOLDER PROCESSES [channels_last|contiguous]

FOLDER holds what `compare.ts` writes: `search.json` (networks and recipe), and the normalised images and the labels of both splits. Prints a line of JSON for each network when it is done.
"""
import json
import math
import os
import sys
import time

sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "pytorch"))

import torch
import torch.multiprocessing as multiprocessing
import torch.nn.functional as F
from torch import nn
from uninet import Conv, DWConv, build


def load(folder, split, shape):
    def tensor(name, dtype):
        path = os.path.join(folder, f"{split}.{name}")
        return torch.from_file(path, size=os.path.getsize(path) // 4, dtype=dtype)

    return tensor("images", torch.float32).reshape(-1, *shape), tensor("labels", torch.int32).long()


def rate(recipe, step, steps_per_epoch):
    schedule, peak = recipe["schedule"], recipe["learningRate"]
    warmup = round(schedule["warmup"] * steps_per_epoch)
    if step < warmup:
        return schedule["from"] + (peak - schedule["from"]) * step / warmup
    progress = min(1, (step - warmup) / max(1, recipe["epochs"] * steps_per_epoch - warmup))
    return schedule["to"] + (peak - schedule["to"]) * (1 + math.cos(math.pi * progress)) / 2


def prepare(folder, layout):
    global recipe, train, validation, memory_format
    torch.set_num_threads(1)
    with open(os.path.join(folder, "search.json")) as file:
        search = json.load(file)
    recipe, shape = search["recipe"], search["shape"]
    memory_format = getattr(torch, layout + "_format" if layout == "contiguous" else layout)
    train, validation = (load(folder, split, shape) for split in ("train", "validation"))


def initialise(module):
    if isinstance(module, nn.Linear):
        nn.init.trunc_normal_(module.weight, std=0.02)
        nn.init.zeros_(module.bias)
    elif isinstance(module, (Conv, DWConv)):
        nn.init.zeros_(module.branch[-1].weight)


def fit(job):
    trial, architecture, seed = job
    begun = time.perf_counter()
    torch.manual_seed(seed)
    model = build(architecture)
    model.apply(initialise)
    model = model.train().to(memory_format=memory_format)
    decay = [p for p in model.parameters() if p.ndim > 1]
    rest = [p for p in model.parameters() if p.ndim <= 1]
    optimiser = recipe["optimiser"]
    optimiser = torch.optim.AdamW(
        [{"params": decay, "weight_decay": optimiser["weightDecay"]}, {"params": rest, "weight_decay": 0}],
        lr=recipe["learningRate"], betas=(optimiser["beta1"], optimiser["beta2"]), eps=optimiser["epsilon"], fused=True)
    images, labels = train
    batch = recipe["batch"]
    steps = len(labels) // batch
    for epoch in range(recipe["epochs"]):
        order = torch.randperm(len(labels))
        for step in range(steps):
            for group in optimiser.param_groups:
                group["lr"] = rate(recipe, epoch * steps + step, steps)
            chosen = order[step * batch:(step + 1) * batch]
            x = images[chosen].to(memory_format=memory_format)
            optimiser.zero_grad(set_to_none=True)
            F.cross_entropy(model(x), labels[chosen], label_smoothing=recipe["labelSmoothing"]).backward()
            optimiser.step()
    model.eval()
    right = 0
    with torch.inference_mode():
        for x, y in zip(validation[0].split(250), validation[1].split(250)):
            right += (model(x.to(memory_format=memory_format)).argmax(1) == y).sum().item()
    return {"trial": trial, "accuracy": right / len(validation[1]), "seconds": time.perf_counter() - begun}


def main():
    folder, processes = sys.argv[1], int(sys.argv[2])
    layout = sys.argv[3] if len(sys.argv) > 3 else "channels_last"
    with open(os.path.join(folder, "search.json")) as file:
        networks = json.load(file)["networks"]
    jobs = [(each["trial"], each["architecture"], index) for index, each in enumerate(networks)]
    with multiprocessing.get_context("spawn").Pool(processes, prepare, (folder, layout)) as pool:
        for done in pool.imap_unordered(fit, jobs):
            print(json.dumps(done), flush=True)


if __name__ == "__main__":
    main()
