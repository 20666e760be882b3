/**
 * A network as a PyTorch module: one Python file that builds this exact network, with parameters under the model's names, and that loads
 * its weights from a safetensors file without other packages. It needs PyTorch 1.13 or newer and nothing else.
 */
import type { PyTorchForm } from "@uninet/model-space"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import type { Card, Picture } from "./Card.ts"
import * as GraphModule from "./GraphModule.ts"
import * as python from "./internal/pythonLiterals.ts"
import type { Trained } from "./Trained.ts"

/** The network has no Python form. */
export class NoPyTorchForm extends Schema.TaggedError<NoPyTorchForm>()("NoPyTorchForm", {
  reason: Schema.String
}) {
  override get message() {
    return `${this.reason}; export as onnx or safetensors`
  }
}

const tuple = (lengths: ReadonlyArray<number>) => `(${lengths.join(", ")}${lengths.length === 1 ? "," : ""})`

const shapeText = (shape: ReadonlyArray<number>) => `[${["batch", ...shape].join(", ")}]`

/** The file's docstring: how the network is used. */
const usage = ({ inputs, line, outputs, picture, task, classes }: Card): string => {
  const given = Object.entries(inputs)
    .map(([name, { dtype, shape }]) =>
      name === picture?.input ? `${name}: bytes ${shapeText(shape)}` : `${name}: ${dtype} ${shapeText(shape)}`
    )
    .join(", ")
  const args = Object.keys(inputs).map((name) => (name === picture?.input ? `normalise(${name})` : name))
  const call = `${Object.keys(outputs).join(", ")} = network(${args.join(", ")})`
  return [
    `"""${python.docstring(`${task}: ${line}`)}`,
    "",
    `    network = load()`.padEnd(47) + " # the weights are next to this file, in a safetensors file of the same name",
    python.docstring(`    ${call}`.padEnd(47) + ` # ${given}`),
    ...(picture === null || classes === null
      ? []
      : ["", "    python3 THIS_FILE image.jpg ...             # classifies images (needs Pillow)"]),
    `"""`
  ].join("\n")
}

const ofPicture = (
  { cropRatio, deviation, input, mean }: Picture,
  { inputs }: Card
): string => `# Channels, height and width of a picture, and the normalisation of its channels: (byte / 255 - MEAN) / DEVIATION.
IMAGE = ${tuple(inputs[input]?.shape ?? [])}
MEAN = ${python.list(mean)}
DEVIATION = ${python.list(deviation)}
# A picture's file is resized to IMAGE / CROP_RATIO and cropped to its centre; 1 resizes it whole.
CROP_RATIO = ${cropRatio}
`

const normalise = `


def normalise(images):
    """Bytes [batch, channels, height, width] as the network takes them."""
    mean, deviation = (torch.tensor(values).reshape(-1, 1, 1) for values in (MEAN, DEVIATION))
    return (images / 255 - mean) / deviation`

const classify = `


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
        print(file, *(f"{CLASSES[i]} {100 * p:.1f}%" for p, i in zip(best.values.tolist(), best.indices.tolist())), sep="  ")`

/** Whether a network takes one picture and returns the logits of its classes, and nothing else. */
const isClassifier = ({ classes, inputs, outputs, picture }: Card): boolean => {
  const [logits, ...others] = Object.values(outputs)
  return (
    picture !== null &&
    classes !== null &&
    Object.keys(inputs).length === 1 &&
    others.length === 0 &&
    logits?.shape.length === 1
  )
}

const fileOf = (card: Card, { className, definitions, network }: PyTorchForm): string => {
  const { classes, inputs, picture, provenance } = card
  const isOfPictures = isClassifier(card)
  return `${usage(isOfPictures ? card : { ...card, classes: null })}
import json
import sys
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import nn

# Shape and element type of every input, the batch apart.
INPUTS = {${Object.entries(inputs)
    .map(([name, { dtype, shape }]) => `${JSON.stringify(name)}: (${tuple(shape)}, "${dtype}")`)
    .join(", ")}}
${picture === null ? "" : ofPicture(picture, card)}${classes === null ? "" : `CLASSES = ${python.list(classes)}\n`}PROVENANCE = ${python.dictionary(provenance)}
NETWORK = json.loads(${python.json(card.network)})


${[...definitions, network].join("\n\n\n")}${picture === null ? "" : normalise}


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
    network = ${className}()
    network.load_state_dict(read_safetensors(weights))
    return network.eval()${isOfPictures ? classify : ""}
`
}

/**
 * The text of the Python file. Its `load()` returns the network with the weights of the safetensors file of the same name next to it, ready
 * to evaluate. Where a network's author provides no PyTorch form, it is written op by op from its graph.
 *
 * Fails with `NoPyTorchForm` if an op of the graph has no such form.
 */
const make = ({ card, model, pytorch }: Trained): Result.Result<string, NoPyTorchForm> =>
  Result.orElse(pytorch ?? Result.fail(undefined), () => GraphModule.of(model)).pipe(
    Result.mapError(({ message }) => new NoPyTorchForm({ reason: message })),
    Result.map((form) => fileOf(card, form))
  )

export { make as module }
