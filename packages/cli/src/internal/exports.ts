/** A trained network with the card that goes into its files. */
import { type Dataset, ImageFolder } from "@uninet/data"
import { Card, type Trained } from "@uninet/export"
import type { GraphError } from "@uninet/graph"
import { ModelSpace } from "@uninet/model-space"
import { Model, type Weights } from "@uninet/nn"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as networks from "./networks.ts"

const average = (values: ReadonlyArray<number>) => values.reduce((a, b) => a + b, 0) / values.length

/** The picture of a card; if nothing says how it is normalised, as in ImageNet. */
const picture = ({ inputs }: Model.Model, data: Dataset.DatasetShape | undefined): Card.Picture | null => {
  const { image } = inputs
  if (image?.shape.length !== 3 || image.dtype !== "float32") return null
  const [channels = 1, height = 1] = image.shape
  const perChannel = (values: ReadonlyArray<number>) =>
    channels === values.length ? values : Array.from({ length: channels }, () => average(values))
  return {
    input: "image",
    mean: data?.mean ?? perChannel(ImageFolder.imagenet.mean),
    deviation: data?.deviation ?? perChannel(ImageFolder.imagenet.deviation),
    cropRatio: data?.cropRatio ?? (channels === 3 ? ImageFolder.evaluationCropRatio(height) : 1)
  }
}

/** The network with its weights. What the weights' own metadata do not say comes from the data set. */
export const trained = Effect.fnUntraced(function* (
  found: networks.Found,
  weights: Weights.Weights,
  {
    data,
    metadata
  }: { readonly data: Dataset.DatasetShape | undefined; readonly metadata: Readonly<Record<string, string>> }
): Effect.fn.Return<Trained.Trained, GraphError | ModelSpace.Untrainable> {
  const { of, point } = found
  const { model, task } = yield* Effect.fromResult(ModelSpace.trainable(point)(of))
  const outputs = yield* Effect.fromResult(Model.outputs(model))
  const { classes } = task
  const otherwise: Card.Card = {
    network: networks.toJson(found),
    line: of.line(point),
    inputs: model.inputs,
    outputs,
    task: task.name,
    classes: classes === null ? null : (data?.classes ?? Array.from({ length: classes }, (_, i) => String(i))),
    picture: picture(model, data),
    provenance: {}
  }
  // What is known of the network itself overrides what a file says about it.
  const own = ["network", "line", "inputs", "outputs", "task"] as const
  const base = Card.toMetadata(otherwise)
  const told = { ...base, ...metadata, ...Object.fromEntries(own.map((key) => [key, base[key] ?? ""])) }
  const card = Result.getOrElse(Card.fromMetadata(told), () => ({
    ...otherwise,
    provenance: Card.provenanceOf(metadata)
  }))
  return { model, weights, card, pytorch: of.pytorch?.(point) ?? null }
})
