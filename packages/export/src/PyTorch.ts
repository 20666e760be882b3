/**
 * A network as a PyTorch module: one readable Python file that builds the very network, with parameters under the authors' names, and loads its weights
 * from a safetensors file by itself. It needs PyTorch 1.13 or newer and nothing else.
 */
import { type ArchitectureError, Network } from "@uninet/network"
import { DsmSet } from "@uninet/dsm"
import { Nn } from "@uninet/nn"
import { Operator, OperatorSet } from "@uninet/operators"
import { Architecture } from "@uninet/search-space"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import type { Card } from "./Card.ts"
import * as python from "./internal/python.ts"

/** An operator or module of one's own, which the generator has no Python for. */
export class NoPyTorchForm extends Schema.TaggedError<NoPyTorchForm>()("NoPyTorchForm", {
  stage: Schema.Finite,
  name: Schema.String
}) {
  override get message() {
    return `stage ${this.stage}: ${this.name} has no PyTorch form, only UniNet's own operators and modules have; export as onnx or safetensors`
  }
}

/** Whether a block is UniNet's own and not another of the same name. */
const isStandard = (block: Network.Block): boolean =>
  block.kind === "dsm"
    ? DsmSet.get(DsmSet.standard, block.name) === block.dsm
    : OperatorSet.get(OperatorSet.standard, block.name) === block.operator

/** A block as the Python expression that makes it. */
const expression = (block: Network.Block): string => {
  const { name } = block
  if (block.kind === "dsm") {
    const { channels, headDim, inChannels, stride } = block.config
    return `${name}(${inChannels}, ${channels}, stride=${stride}${block.dsm.heads === true ? `, head_dim=${headDim}` : ""})`
  }
  const { channels, headDim, inChannels } = block.config
  const hidden = Operator.hidden(block.config)
  if (block.operator.widens === true)
    return `${name}(${inChannels}, ${channels}, hidden=${hidden}, squeezed=${Nn.squeezeChannels(hidden)})`
  const { height, width } = block.input
  return `${name}(${channels}, hidden=${hidden}, ${block.operator.heads === true ? `head_dim=${headDim}` : `tokens=${height} * ${width}`})`
}

/** The blocks of all stages as arguments of a `Sequential`, equal neighbours in one line. */
const blocksOf = ({ blocks }: Network.Network): Result.Result<string, NoPyTorchForm> =>
  Result.gen(function* () {
    const lines: Array<{ readonly stage: number; readonly text: string; times: number; readonly size: string }> = []
    for (const block of blocks) {
      if (!isStandard(block)) return yield* Result.fail(new NoPyTorchForm({ stage: block.stage, name: block.name }))
      const text = expression(block)
      const last = lines[lines.length - 1]
      const { height, width } = block.output
      if (last?.text === text && last.stage === block.stage) last.times++
      else lines.push({ stage: block.stage, text, times: 1, size: `${height}x${width}` })
    }
    return lines
      .flatMap(({ size, stage, text, times }, i) => [
        ...(lines[i - 1]?.stage === stage ? [] : [`# stage ${stage}: ${size}`]),
        times === 1 ? `${text},` : `*[${text} for _ in range(${times})],`
      ])
      .map((line) => `            ${line}`)
      .join("\n")
  })

/**
 * The text of the Python file. Its `load()` gives the network with the weights of the safetensors file of the same name beside it, ready to
 * evaluate; `UniNet()` one with PyTorch's first weights.
 *
 * Fails with `NoPyTorchForm` for an operator or module of `sets` that is not UniNet's own, and as `Network.make` for what is no architecture.
 *
 * @example
 * const text = PyTorch.module(card) // beside weights that Files.safetensors wrote
 */
const make = (
  card: Card,
  sets: Network.Sets = Network.standard
): Result.Result<string, NoPyTorchForm | ArchitectureError> =>
  Result.gen(function* () {
    const { architecture, cropRatio, deviation, mean } = card
    const { head, image, stages, stem } = architecture
    const network = yield* Network.make(architecture, sets)
    const blocks = yield* blocksOf(network)
    const used = new Set(network.blocks.map(({ name }) => name))
    const last = stages[stages.length - 1]?.channels ?? stem.channels
    return `"""UniNet: ${Architecture.line(architecture)}

    network = load()                            # the weights stand beside this file, in a safetensors file of the same name
    logits = network(normalise(images))         # images: bytes [batch, ${image.channels}, ${image.height}, ${image.width}]

    python3 THIS_FILE image.jpg ...             # classifies images (needs Pillow)
"""
import json
import sys
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import nn

# Channels, height and width of an image, and the normalisation of its channels: (byte / 255 - MEAN) / DEVIATION.
IMAGE = (${image.channels}, ${image.height}, ${image.width})
MEAN = ${python.list(mean)}
DEVIATION = ${python.list(deviation)}
# An image file is resized to IMAGE / CROP_RATIO and cropped to its centre; 1 resizes it whole.
CROP_RATIO = ${cropRatio}
CLASSES = ${python.list(card.classes)}
PROVENANCE = ${python.dictionary(card.provenance)}
ARCHITECTURE = json.loads('''
${JSON.stringify(architecture, null, 1)
  .replace(/\n\s*/g, " ")
  .replace(/(\{ "operator")/g, "\n  $1")}
''')


${python.closure(used).join("\n\n\n")}


class UniNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(${image.channels}, ${stem.channels}, 3, ${stem.stride}, 1, bias=False),
            nn.BatchNorm2d(${stem.channels}),
            nn.GELU(),
        )
        self.blocks = nn.Sequential(
${blocks}
        )
        self.head = nn.Sequential(
            nn.Conv2d(${last}, ${head.channels}, 1, bias=False),
            nn.BatchNorm2d(${head.channels}),
            nn.GELU(),
        )
        self.classifier = nn.Linear(${head.channels}, ${architecture.classes})

    def forward(self, images):
        x = self.head(self.blocks(self.stem(images)))
        return self.classifier(x.mean((2, 3)))


def normalise(images):
    """Bytes [batch, channels, height, width] as the network takes them."""
    mean, deviation = (torch.tensor(values).reshape(-1, 1, 1) for values in (MEAN, DEVIATION))
    return (images / 255 - mean) / deviation


def read_safetensors(path):
    """The tensors of a safetensors file of 32-bit floats, by name."""
    data = bytearray(Path(path).read_bytes())
    start = 8 + int.from_bytes(data[:8], "little")
    header = json.loads(data[8:start])
    header.pop("__metadata__", None)
    tensors = {}
    for name, entry in header.items():
        begin, end = entry["data_offsets"]
        flat = torch.frombuffer(data, dtype=torch.float32, offset=start + begin, count=(end - begin) // 4)
        tensors[name] = flat.reshape(entry["shape"])
    return tensors


def load(weights=Path(__file__).with_suffix(".safetensors")):
    """The network with its weights, ready to evaluate."""
    network = UniNet()
    network.load_state_dict(read_safetensors(weights))
    return network.eval()


def read_image(path):
    """An image file as bytes [channels, height, width]."""
    from PIL import Image

    channels, height, width = IMAGE
    picture = Image.open(path).convert("L" if channels == 1 else "RGB")
    if CROP_RATIO == 1:
        picture = picture.resize((width, height), Image.BICUBIC)
    else:
        tall, wide = int(height / CROP_RATIO), int(width / CROP_RATIO)
        scale = max(tall / picture.height, wide / picture.width)
        size = max(wide, round(picture.width * scale)), max(tall, round(picture.height * scale))
        picture = picture.resize(size, Image.BICUBIC)
        left, top = (picture.width - width) // 2, (picture.height - height) // 2
        picture = picture.crop((left, top, left + width, top + height))
    return torch.frombuffer(bytearray(picture.tobytes()), dtype=torch.uint8).reshape(height, width, -1).permute(2, 0, 1)


if __name__ == "__main__":
    net = load()
    for file in sys.argv[1:]:
        with torch.inference_mode():
            probabilities = net(normalise(read_image(file)[None])).softmax(-1)[0]
        best = probabilities.topk(min(5, len(CLASSES)))
        print(file, *(f"{CLASSES[i]} {100 * p:.1f}%" for p, i in zip(best.values.tolist(), best.indices.tolist())), sep="  ")
`
  })

export { make as module }
