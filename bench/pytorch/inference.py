"""Times the inference of a PyTorch module that `uninet export --format pytorch` wrote.

    python inference.py module.py eager|compiled channels_last|contiguous BATCH THREADS STEPS

`compiled` is `torch.compile` with the weights frozen. The first line that it prints gives the seconds that the first three passes took, including compilation. For every line read from standard
input it then runs STEPS forward passes and prints the wall time and the processor time of each in seconds, so that a benchmark can alternate it with another engine.
"""
import importlib.util
import json
import os
import sys
import time
import warnings

os.environ["TORCHINDUCTOR_FORCE_DISABLE_CACHES"] = "1"
warnings.filterwarnings("ignore", message="dynamo_pgo")

import torch
import torch._inductor.config

path, mode, layout, batch, threads, steps = *sys.argv[1:4], *map(int, sys.argv[4:7])
torch._inductor.config.freezing = True
torch.set_num_threads(threads)
spec = importlib.util.spec_from_file_location("network", path)
module = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)
begun = time.perf_counter()
network = module.load().eval()
images = torch.randn(batch, *module.IMAGE)
if layout == "channels_last":
    network, images = network.to(memory_format=torch.channels_last), images.to(memory_format=torch.channels_last)
forward = torch.compile(network) if mode == "compiled" else network
# With frozen weights, compiled code accepts tensors from no_grad, but not from inference_mode.
with torch.no_grad():
    for _ in range(3):
        forward(images)
    print(json.dumps({"firstSteps": time.perf_counter() - begun, "version": torch.__version__.split("+")[0]}), flush=True)
    for _ in sys.stdin:
        seconds, processor = [], []
        for _ in range(steps):
            start, used = time.perf_counter(), time.process_time()
            forward(images)
            seconds.append(time.perf_counter() - start)
            processor.append(time.process_time() - used)
        print(json.dumps({"seconds": seconds, "processor": processor}), flush=True)
