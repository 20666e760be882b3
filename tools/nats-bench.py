"""
NATS-Bench's results (Dong et al. 2021; including NAS-Bench-201's) as a table for `uninet benchmark`. They are published as Python pickles, which only Python
can read, so this is run once:

    pip install nats_bench
    python tools/nats-bench.py NATS-tss-v1_0-3ffb9-simple cifar10 nats-tss-cifar10.json.gz
    uninet benchmark nats-tss-cifar10.json.gz

The folder is the unpacked one for nats_bench; the data set is cifar10, cifar100 or ImageNet16-120. `--space sss` takes the networks that differ in their sizes instead of
those that differ in their cells (NAS-Bench-201's 15,625). `--epochs` takes the results of shorter trainings (12 of the cells' 200; 1 or 12 of the sizes' 90).

A search sees the validation accuracy, and its result is judged by the test accuracy. Both are means over all available trainings, in percent. If the folder has only some of the networks,
the table says that it is a sample.
"""

import argparse
import gzip
import json
import os
import sys

OPERATIONS = ["none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3"]
EDGES = ["0-1", "0-2", "1-2", "0-3", "1-3", "2-3"]
WIDTHS = [8, 16, 24, 32, 40, 48, 56, 64]
# How long networks were trained, longest first.
EPOCHS = {"tss": ["200", "12"], "sss": ["90", "12", "1"]}


def choices_of(space):
    if space == "tss":
        return [{"name": edge, "options": OPERATIONS} for edge in EDGES]
    return [{"name": f"layer{i + 1}", "options": WIDTHS, "ordered": True} for i in range(5)]


def tokens_of(space, arch):
    """The options of a network: `|nor_conv_3x3~0|+|none~0|skip_connect~1|+|…|`, or `64:32:16:8:64`."""
    if space == "tss":
        operations = [part.split("~")[0] for part in arch.replace("+", "|").split("|") if part != ""]
        return [OPERATIONS.index(operation) for operation in operations]
    return [WIDTHS.index(int(width)) for width in arch.split(":")]


def main():
    parser = argparse.ArgumentParser(description="NATS-Bench's results as a table for `uninet benchmark`")
    parser.add_argument("folder", help="the benchmark's own, unpacked")
    parser.add_argument("dataset", choices=["cifar10", "cifar100", "ImageNet16-120"])
    parser.add_argument("out", help="a new file, .json or .json.gz")
    parser.add_argument("--space", choices=["tss", "sss"], default="tss", help="cells (tss, the default) or sizes (sss)")
    parser.add_argument("--epochs", help="of each training; default 200 for cells and 90 for sizes")
    given = parser.parse_args()
    epochs = given.epochs or EPOCHS[given.space][0]
    # Reading takes minutes, so what cannot succeed is not started.
    if epochs not in EPOCHS[given.space]:
        parser.error(f"argument --epochs: {given.space} has trainings of {', '.join(EPOCHS[given.space])} epochs")
    if not os.path.isdir(given.folder):
        sys.exit(f"{given.folder} is no folder; give that of NATS-Bench, unpacked")
    if not given.out.endswith((".json", ".json.gz")):
        sys.exit(f"{given.out} ends neither in .json nor in .json.gz; give a name that does")
    if os.path.exists(given.out):
        sys.exit(f"{given.out} is there already; give another name")
    if not os.path.isdir(os.path.dirname(given.out) or "."):
        sys.exit(f"{os.path.dirname(given.out)} is no folder; make it, or give another name")
    try:
        from nats_bench import create
    except ImportError:
        sys.exit("nats_bench is not installed: pip install nats_bench")

    api = create(given.folder, given.space, fast_mode=True, verbose=False)
    choices = choices_of(given.space)
    # On CIFAR-10, the networks that have a validation accuracy were trained without the validation examples.
    validated = "cifar10-valid" if given.dataset == "cifar10" else given.dataset
    rows, missing = [], 0
    for index in range(len(api)):
        try:
            found = [api.get_more_info(index, name, hp=epochs, is_random=False) for name in (validated, given.dataset)]
            cost = api.get_cost_info(index, given.dataset, hp=epochs)
        except (FileNotFoundError, KeyError, ValueError):
            missing += 1
            continue
        # The costs are in millions.
        costs = [round(1e6 * cost[name]) for name in ("flops", "params")]
        row = [tokens_of(given.space, api.arch(index)), found[0]["valid-accuracy"], found[1]["test-accuracy"], *costs]
        rows.append(row)
        if sys.stderr.isatty() and len(rows) % 100 == 0:
            print(f"\r{len(rows)} of {len(api)}", end="", file=sys.stderr)
    if not rows:
        sys.exit(f"{given.folder} has no network that was trained for {epochs} epochs on {given.dataset}")

    every = 1
    for choice in choices:
        every *= len(choice["options"])
    table = {
        "name": f"NATS-Bench {given.space}, {given.dataset}, {epochs} epochs",
        "source": "github.com/D-X-Y/NATS-Bench",
        "license": "MIT",
        "dataset": given.dataset,
        "choices": choices,
        **({} if len(rows) == every else {"missing": "nearest"}),
        "columns": ["choice", "search", "report", "macs", "parameters"],
        "rows": rows,
    }
    text = json.dumps(table, separators=(",", ":")).encode()
    with gzip.open(given.out, "wb") if given.out.endswith(".gz") else open(given.out, "wb") as file:
        file.write(text)
    print(f"{given.out} has {len(rows)} networks" + ("" if missing == 0 else f"; {missing} are not in {given.folder}"))


if __name__ == "__main__":
    main()
