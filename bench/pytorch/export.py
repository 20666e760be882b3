"""Converts a PyTorch module from `uninet export --format pytorch` to ONNX with PyTorch's own exporter, for comparison.

    python export.py module.py BATCH out.onnx
"""
import importlib.util
import sys

import torch

path, batch, out = sys.argv[1], int(sys.argv[2]), sys.argv[3]
spec = importlib.util.spec_from_file_location("network", path)
module = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)
torch.onnx.export(module.load(), torch.zeros(batch, *module.IMAGE), out, input_names=["image"])
