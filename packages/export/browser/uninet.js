/**
 * An ONNX file of `uninet export` in onnxruntime-web. Nothing here knows the network: all that is needed stands in the file's metadata.
 */
import * as ort from "./ort/ort.wasm.min.mjs"

ort.env.wasm.wasmPaths = new URL("./ort/", import.meta.url).href
// More would need the page to be isolated from other origins.
ort.env.wasm.numThreads = 1

const text = new TextDecoder()

/** The fields of a protobuf message: numbers, and bytes for texts and messages. */
function* fields(bytes) {
  let at = 0
  const varint = () => {
    let value = 0
    for (let scale = 1; ; scale *= 128) {
      const byte = bytes[at++]
      value += (byte & 127) * scale
      if (byte < 128) return value
    }
  }
  while (at < bytes.length) {
    const key = varint()
    const wire = key % 8
    if (wire === 0) yield [Math.floor(key / 8), varint()]
    else if (wire === 2) {
      const length = varint()
      yield [Math.floor(key / 8), bytes.subarray(at, at + length)]
      at += length
    } else at += wire === 1 ? 8 : 4
  }
}

/** A model's metadata (field 14 of onnx.proto's ModelProto), which onnxruntime-web does not show. */
export const metadataOf = (file) => {
  const entries = {}
  for (const [tag, value] of fields(file))
    if (tag === 14) {
      const entry = Object.fromEntries(fields(value))
      entries[text.decode(entry[1])] = text.decode(entry[2] ?? new Uint8Array())
    }
  return entries
}

/** What the metadata say of a network that takes a picture and tells classes apart; `undefined` of any other. */
const cardOf = ({ classes, cropRatio = 1, deviation, inputs, mean, outputs, picture }) => {
  if ([classes, deviation, inputs, mean, outputs, picture].includes(undefined)) return undefined
  const names = JSON.parse(classes)
  const takes = JSON.parse(inputs)
  const [logits] = Object.entries(JSON.parse(outputs)).find(([, { shape }]) => `${shape}` === `${names.length}`) ?? []
  if (logits === undefined || takes[picture] === undefined || Object.keys(takes).length !== 1) return undefined
  const [channels, height, width] = takes[picture].shape
  return {
    input: picture,
    image: { channels, height, width },
    logits,
    classes: names,
    mean: JSON.parse(mean),
    deviation: JSON.parse(deviation),
    cropRatio: Number(cropRatio)
  }
}

/** Opens a model from its bytes. */
export const open = async (file) => {
  const metadata = metadataOf(file)
  const card = cardOf(metadata)
  if (card === undefined)
    throw new Error(
      "The model does not say that it tells classes of pictures apart. Give a file that uninet export wrote of one that does."
    )
  return { card, metadata, session: await ort.InferenceSession.create(file, { executionProviders: ["wasm"] }) }
}

/** An image as the network takes it: resized, cropped to its centre, grey where the network is, normalised. */
const pixels = ({ image: { channels, height, width }, mean, deviation, cropRatio }, picture, invert) => {
  const context = new OffscreenCanvas(width, height).getContext("2d", { willReadFrequently: true })
  context.imageSmoothingQuality = "high"
  context.fillStyle = "white" // what is transparent
  context.fillRect(0, 0, width, height)
  if (cropRatio === 1) context.drawImage(picture, 0, 0, width, height)
  else {
    const scale = Math.max(height / cropRatio / picture.height, width / cropRatio / picture.width)
    const [w, h] = [picture.width * scale, picture.height * scale]
    context.drawImage(picture, (width - w) / 2, (height - h) / 2, w, h)
  }
  const { data } = context.getImageData(0, 0, width, height)
  const out = new Float32Array(channels * height * width)
  for (let i = 0; i < height * width; i++)
    for (let c = 0; c < channels; c++) {
      const [r, g, b] = data.subarray(4 * i, 4 * i + 3)
      const byte = channels === 1 ? Math.round(0.2126 * r + 0.7152 * g + 0.0722 * b) : [r, g, b][c]
      out[c * height * width + i] = ((invert ? 255 - byte : byte) / 255 - mean[c]) / deviation[c]
    }
  return out
}

/** Labels and probabilities of a picture (anything a canvas draws), most likely first. */
export const classify = async ({ card, session }, picture, { invert = false } = {}) => {
  const { channels, height, width } = card.image
  const input = new ort.Tensor("float32", pixels(card, picture, invert), [1, channels, height, width])
  const { data } = (await session.run({ [card.input]: input }))[card.logits]
  const largest = Math.max(...data)
  const powers = Array.from(data, (x) => Math.exp(x - largest))
  const sum = powers.reduce((a, b) => a + b, 0)
  return powers
    .map((power, i) => ({ label: card.classes[i], probability: power / sum }))
    .sort((a, b) => b.probability - a.probability)
}
