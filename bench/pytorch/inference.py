"""Times the inference of a PyTorch module that `uninet export --format pytorch` wrote.

    python3 inference.py module.py BATCH THREADS STEPS

For every line read from standard input it runs STEPS forward passes and prints the seconds and the processor's seconds of each, so that a benchmark can alternate it with another
engine.
"""
import importlib.util
import json
import sys
import time

import torch

path, batch, threads, steps = sys.argv[1], *map(int, sys.argv[2:5])
torch.set_num_threads(threads)
spec = importlib.util.spec_from_file_location("network", path)
module = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)
network = module.load()
images = torch.randn(batch, *module.IMAGE)
with torch.inference_mode():
    for _ in range(3):
        network(images)
    print("ready", flush=True)
    for _ in sys.stdin:
        seconds, processor = [], []
        for _ in range(steps):
            start, used = time.perf_counter(), time.process_time()
            network(images)
            seconds.append(time.perf_counter() - start)
            processor.append(time.process_time() - used)
        print(json.dumps({"seconds": seconds, "processor": processor}), flush=True)
