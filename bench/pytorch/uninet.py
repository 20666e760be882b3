"""UniNet in PyTorch, for comparison: builds any architecture of this project from its JSON and times training steps.

    python uninet.py architecture.json BATCH THREADS STEPS [eager|compiled|graphs] [channels_last|contiguous] [cpu|cuda]

Set up as a PyTorch expert would: scaled_dot_product_attention, fused AdamW, images and weights with channels last, or `torch.compile` of the module. `graphs` captures the whole step as a
CUDA graph; on `cuda` matrices are multiplied in TF32, and every step waits for the card. The first line that it prints
gives the seconds that the network's first three steps took, including its construction and compilation. For every line read from standard input it then runs STEPS training steps (forward, backward,
AdamW, running statistics) and prints the wall time and the processor time of each in seconds, so that a benchmark can alternate it with another engine.
"""
import json
import os
import sys
import resource
import time
import warnings

# Every network of a search is new, so code compiled in an earlier run is not used.
os.environ["TORCHINDUCTOR_FORCE_DISABLE_CACHES"] = "1"
warnings.filterwarnings("ignore", message="dynamo_pgo")

import torch
import torch.nn.functional as F
from torch import nn


def make_divisible(v, divisor):
    new = max(divisor, int(v + divisor / 2) // divisor * divisor)
    return new + divisor if new < 0.9 * v else new


class SE(nn.Module):
    def __init__(self, hidden):
        super().__init__()
        squeezed = make_divisible(hidden // 4, 8)
        self.reduce = nn.Conv2d(hidden, squeezed, 1)
        self.expand = nn.Conv2d(squeezed, hidden, 1)

    def forward(self, x):
        s = F.adaptive_avg_pool2d(x, 1)
        return x * (F.relu6(self.expand(F.relu(self.reduce(s))) + 3) / 6)


class DWConv(nn.Module):
    def __init__(self, cin, c, expansion, _head_dim, _size):
        super().__init__()
        hidden = int(expansion * cin)
        layers = []
        if hidden != cin:
            layers += [nn.BatchNorm2d(cin), nn.Conv2d(cin, hidden, 1, bias=False)]
        layers += [nn.BatchNorm2d(hidden), nn.GELU()] if hidden != cin else []
        layers += [nn.Conv2d(hidden, hidden, 3, padding=1, groups=hidden, bias=False), nn.BatchNorm2d(hidden), nn.GELU()]
        layers += [SE(hidden), nn.Conv2d(hidden, c, 1), nn.BatchNorm2d(c)]
        self.branch = nn.Sequential(*layers)
        self.skip = nn.Identity() if cin == c else nn.Sequential(nn.MaxPool2d(3, 1, 1), nn.Conv2d(cin, c, 1))

    def forward(self, x):
        return self.skip(x) + self.branch(x)


class Conv(nn.Module):
    def __init__(self, cin, c, expansion, _head_dim, _size):
        super().__init__()
        hidden = int(expansion * cin)
        self.branch = nn.Sequential(
            nn.BatchNorm2d(cin), nn.Conv2d(cin, hidden, 3, padding=1, bias=False), nn.BatchNorm2d(hidden), nn.GELU(),
            SE(hidden), nn.Conv2d(hidden, c, 1), nn.BatchNorm2d(c))

    def forward(self, x):
        return x + self.branch(x)


def attend(q, k, v, heads, mask=None):
    def split(t):
        return t.reshape(t.shape[0], t.shape[1], heads, -1).transpose(1, 2)

    return F.scaled_dot_product_attention(split(q), split(k), split(v), attn_mask=mask).transpose(1, 2).flatten(2)


class FFN(nn.Sequential):
    def __init__(self, c, hidden):
        super().__init__(nn.Linear(c, hidden), nn.GELU(), nn.Linear(hidden, c))


class Transformer(nn.Module):
    window = None

    def __init__(self, _cin, c, expansion, head_dim, size):
        super().__init__()
        self.position = nn.Conv2d(c, c, 3, padding=1, groups=c)
        self.norm1, self.norm2 = nn.LayerNorm(c), nn.LayerNorm(c)
        self.qkv, self.projection = nn.Linear(c, 3 * c), nn.Linear(c, c)
        self.ffn = FFN(c, int(expansion * c))
        self.gamma1, self.gamma2 = (nn.Parameter(1e-6 * torch.ones(c)) for _ in range(2))
        self.heads = c // head_dim
        self.prepare(*size)

    def prepare(self, h, w):
        pass

    def attention(self, x, h, w):
        q, k, v = self.qkv(x).chunk(3, -1)
        return self.projection(attend(q, k, v, self.heads))

    def forward(self, x):
        x = x + self.position(x)
        b, c, h, w = x.shape
        t = x.flatten(2).transpose(1, 2)
        t = t + self.gamma1 * self.attention(self.norm1(t), h, w)
        t = t + self.gamma2 * self.ffn(self.norm2(t))
        return t.transpose(1, 2).reshape(b, c, h, w)


class WindowTransformer(Transformer):
    window = 7

    def prepare(self, h, w):
        size = self.window
        ph, pw = -h % size, -w % size
        real = F.pad(torch.ones(h, w), (0, pw, 0, ph))
        real = real.reshape((h + ph) // size, size, (w + pw) // size, size).transpose(1, 2).reshape(-1, size * size)
        # Full windows need no mask.
        self.register_buffer("mask", torch.where(real > 0, 0.0, -1e9) if ph + pw > 0 else None, persistent=False)

    def attention(self, x, h, w):
        size = self.window
        b, _, c = x.shape
        ph, pw = -h % size, -w % size
        grid = F.pad(x.reshape(b, h, w, c), (0, 0, 0, pw, 0, ph))
        rows, columns = (h + ph) // size, (w + pw) // size
        t = grid.reshape(b, rows, size, columns, size, c).transpose(2, 3).reshape(-1, size * size, c)
        q, k, v = self.qkv(t).chunk(3, -1)
        mask = None if self.mask is None else self.mask.repeat(b, 1)[:, None, None]
        t = self.projection(attend(q, k, v, self.heads, mask))
        t = t.reshape(b, rows, columns, size, size, c).transpose(2, 3).reshape(b, h + ph, w + pw, c)
        return t[:, :h, :w].reshape(b, h * w, c)


class Mixer(nn.Module):
    def __init__(self, _cin, c, expansion, _head_dim, size):
        super().__init__()
        tokens = size[0] * size[1]
        self.norm1, self.norm2 = nn.LayerNorm(c), nn.LayerNorm(c)
        self.tokens, self.channels = FFN(tokens, 2 * tokens), FFN(c, int(expansion * c))
        self.gamma1, self.gamma2 = (nn.Parameter(1e-6 * torch.ones(c)) for _ in range(2))

    def forward(self, x):
        b, c, h, w = x.shape
        t = x.flatten(2).transpose(1, 2)
        t = t + self.gamma1 * self.tokens(self.norm1(t).transpose(1, 2)).transpose(1, 2)
        t = t + self.gamma2 * self.channels(self.norm2(t))
        return t.transpose(1, 2).reshape(b, c, h, w)


class LocalQuery(nn.Sequential):
    def __init__(self, cin, c, stride):
        super().__init__(nn.Conv2d(cin, cin, 3, stride, 1, groups=cin), nn.BatchNorm2d(cin), nn.Conv2d(cin, c, 1))


class GlobalQuery(nn.Module):
    def __init__(self, cin, c, stride):
        super().__init__()
        self.stride = stride
        step = stride * stride
        self.convolution = nn.Conv1d(cin, cin, 3 if step == 1 else step, step, 1 if step == 1 else 0, groups=cin)
        self.norm, self.projection = nn.BatchNorm1d(cin), nn.Conv1d(cin, c, 1)

    def forward(self, x):
        h, w = (-(-n // self.stride) for n in x.shape[2:])
        t = x.flatten(2)
        t = F.pad(t, (0, h * w * self.stride ** 2 - t.shape[2]))
        return self.projection(self.norm(self.convolution(t))).reshape(x.shape[0], -1, h, w)


class Downsampling(nn.Module):
    def __init__(self, kind, cin, c, stride, head_dim):
        super().__init__()
        self.query = (GlobalQuery if kind == "G" else LocalQuery)(cin, c, stride)
        self.skip = nn.Sequential(*([nn.MaxPool2d(3, stride, 1)] if stride > 1 else []), nn.Conv2d(cin, c, 1))
        self.heads = c // head_dim
        self.attends = kind != "L"
        if self.attends:
            self.norm_q, self.norm_kv = nn.LayerNorm(c), nn.LayerNorm(cin)
            self.kv, self.projection = nn.Linear(cin, 2 * c), nn.Linear(c, c)

    def forward(self, x):
        q = self.query(x)
        if self.attends:
            b, c, h, w = q.shape
            k, v = self.kv(self.norm_kv(x.flatten(2).transpose(1, 2))).chunk(2, -1)
            t = self.projection(attend(self.norm_q(q.flatten(2).transpose(1, 2)), k, v, self.heads))
            q = t.transpose(1, 2).reshape(b, c, h, w)
        return q + self.skip(x)


OPERATORS = {"Conv": Conv, "DWConv": DWConv, "SA": Transformer, "LSA": WindowTransformer, "MLP": Mixer}


def build(a):
    c = a["stem"]["channels"]
    stride = a["stem"]["stride"]
    h, w = (-(-a["image"][n] // stride) for n in ("height", "width"))
    layers = [nn.Conv2d(a["image"]["channels"], c, 3, stride, 1, bias=False), nn.BatchNorm2d(c), nn.GELU()]
    for stage in a["stages"]:
        if stage["dsm"] is not None:
            layers.append(Downsampling(stage["dsm"], c, stage["channels"], stage["stride"], a["headDim"]))
            h, w = (-(-n // stage["stride"]) for n in (h, w))
            c = stage["channels"]
        for _ in range(stage["repeats"]):
            layers.append(OPERATORS[stage["operator"]](c, stage["channels"], stage["expansion"], a["headDim"], (h, w)))
            c = stage["channels"]
    head = a["head"]["channels"]
    layers += [nn.Conv2d(c, head, 1, bias=False), nn.BatchNorm2d(head), nn.GELU(), nn.AdaptiveAvgPool2d(1), nn.Flatten()]
    return nn.Sequential(*layers, nn.Linear(head, a["classes"]))


def captured(step):
    """The step as a CUDA graph, after some steps on a separate stream, as PyTorch's documentation recommends."""
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(3):
            step()
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        step()
    return graph.replay


def main():
    path, batch, threads, steps = sys.argv[1], *map(int, sys.argv[2:5])
    mode, layout = sys.argv[5:7] if len(sys.argv) > 6 else ("eager", "channels_last")
    device = sys.argv[7] if len(sys.argv) > 7 else "cpu"
    torch.set_num_threads(threads)
    torch.set_float32_matmul_precision("high" if device == "cuda" else "highest")
    torch.backends.cudnn.benchmark = device == "cuda"
    torch.manual_seed(0)
    a = json.load(open(path))
    x = torch.randn(batch, a["image"]["channels"], a["image"]["height"], a["image"]["width"], device=device)
    y = torch.randint(a["classes"], (batch,), device=device)
    start = time.perf_counter()
    model = build(a).train().to(device)
    if layout == "channels_last":
        model, x = model.to(memory_format=torch.channels_last), x.to(memory_format=torch.channels_last)
    decay = [p for p in model.parameters() if p.ndim > 1]
    rest = [p for p in model.parameters() if p.ndim <= 1]
    optimiser = torch.optim.AdamW([{"params": decay, "weight_decay": 0.05}, {"params": rest, "weight_decay": 0}], lr=1e-3, fused=True, capturable=mode == "graphs")
    forward = torch.compile(model) if mode == "compiled" else model

    def step():
        optimiser.zero_grad(set_to_none=True)
        F.cross_entropy(forward(x), y).backward()
        optimiser.step()

    run = captured(step) if mode == "graphs" else step
    wait = torch.cuda.synchronize if device == "cuda" else lambda: None
    for _ in range(3):
        run()
    wait()
    first = {"parameters": sum(p.numel() for p in model.parameters()), "firstSteps": time.perf_counter() - start}
    print(json.dumps(first | {"version": torch.__version__.split("+")[0]}), flush=True)
    for _ in sys.stdin:
        times, processor = [], []
        for _ in range(steps):
            start, before = time.perf_counter(), time.process_time()
            run()
            wait()
            times.append(time.perf_counter() - start)
            processor.append(time.process_time() - before)
        peak = torch.cuda.max_memory_allocated() if device == "cuda" else resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        print(json.dumps({"seconds": times, "processor": processor, "peakBytes": peak}), flush=True)


if __name__ == "__main__":
    main()
