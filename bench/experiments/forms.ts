/**
 * Two well-known networks of any width, for any pictures with classes, for comparison with a searched network at equal
 * multiply-accumulates.
 *
 * ResNet-20 (He et al. 2016, "Deep Residual Learning for Image Recognition", section 4.2): a 3×3 convolution, three stages of three blocks
 * of two 3×3 convolutions, of one, two and four times the width. Where shapes change, the shortcut is a 1×1 convolution, their option B.
 *
 * MobileNetV2 (Sandler et al. 2018, table 2): inverted bottlenecks. The strides are our choice for pictures of about 32 pixels: 1 in the
 * stem and in the sixth stage, and as in the paper, 2, elsewhere. The width also multiplies the last convolution, and channels are rounded
 * to whole numbers, so that the networks can come close to any count.
 *
 * In both, residual branches start at 0 through the last batch norm's scale, as in UniNet's blocks.
 */
import { Classification, type Facts, ModelSpace } from "@uninet/model-space"
import { type Layer, Model, Nn, Scope } from "@uninet/nn"
import { Choice, Space, type SpaceError } from "@uninet/search-space"
import { flow } from "effect/Function"
import * as Result from "effect/Result"

/** The width of both papers. */
const published = 64

/** The largest width in the space. */
export const widest = 4 * published

/** A paper's channels at a width. */
const channelsAt = (width: number, channels: number) => Math.max(1, Math.round((channels * width) / published))

type Form = (scope: Scope.Scope, width: number, classes: number) => Layer.Layer

const convolution = (
  scope: Scope.Scope,
  {
    kernel = 3,
    out,
    stride = 1,
    zero = false
  }: { readonly out: number; readonly stride?: number; readonly kernel?: number; readonly zero?: boolean }
): Layer.Layer =>
  flow(
    Nn.convolution(Scope.at("0")(scope), { out, kernel, stride, bias: false }),
    Nn.batchNorm(Scope.at("1")(scope), { zero })
  )

const relu = (scope: Scope.Scope) => Nn.relu(Scope.at("relu")(scope))

const classifier = (scope: Scope.Scope, classes: number): Layer.Layer =>
  flow(Nn.globalAveragePool(Scope.at("pool")(scope)), Nn.linear(Scope.at("classifier")(scope), { out: classes }))

/** Layers one after another, each under a number. */
const inTurn = (scope: Scope.Scope, layers: ReadonlyArray<(scope: Scope.Scope) => Layer.Layer>): Layer.Layer =>
  layers.map((layer, i) => layer(Scope.at(String(i))(scope))).reduce((a, b) => flow(a, b))

const basicBlock =
  (out: number, stride: number) =>
  (scope: Scope.Scope): Layer.Layer =>
  (x) => {
    const at = (name: string) => Scope.at(name)(scope)
    const branch = flow(
      convolution(at("conv1"), { out, stride }),
      relu(at("conv1")),
      convolution(at("conv2"), { out, zero: true })
    )
    const isSame = stride === 1 && x.shape[1] === out
    return flow(
      Nn.residual(scope, {
        branch,
        ...(isSame ? {} : { shortcut: convolution(at("shortcut"), { out, stride, kernel: 1 }) })
      }),
      relu(scope)
    )(x)
  }

const resNet20: Form = (scope, width, classes) => {
  const base = channelsAt(width, 16)
  const stages = [base, 2 * base, 4 * base].flatMap((out, stage) =>
    [0, 1, 2].map((i) => basicBlock(out, stage > 0 && i === 0 ? 2 : 1))
  )
  return flow(
    convolution(Scope.at("stem")(scope), { out: base }),
    relu(Scope.at("stem")(scope)),
    inTurn(Scope.at("blocks")(scope), stages),
    classifier(scope, classes)
  )
}

const invertedBottleneck =
  (out: number, stride: number, expansion: number) =>
  (scope: Scope.Scope): Layer.Layer =>
  (x) => {
    const at = (name: string) => Scope.at(name)(scope)
    const [, entry = 1] = x.shape
    const isSame = stride === 1 && entry === out
    const expand: Layer.Layer =
      expansion === 1
        ? (y) => y
        : flow(convolution(at("expand"), { out: expansion * entry, kernel: 1 }), relu(at("expand")))
    const branch = flow(
      expand,
      Nn.depthwise(at("depthwise.0"), { kernel: 3, stride }),
      Nn.batchNorm(at("depthwise.1")),
      relu(at("depthwise")),
      convolution(at("project"), { out, kernel: 1, zero: isSame })
    )
    return isSame ? Nn.residual(scope, { branch })(x) : branch(x)
  }

/** Expansion, channels, blocks and stride of each stage. */
const stagesOfMobileNetV2 = [
  [1, 16, 1, 1],
  [6, 24, 2, 2],
  [6, 32, 3, 2],
  [6, 64, 4, 2],
  [6, 96, 3, 1],
  [6, 160, 3, 1],
  [6, 320, 1, 1]
] as const

const mobileNetV2: Form = (scope, width, classes) => {
  const wide = (channels: number) => channelsAt(width, channels)
  const blocks = stagesOfMobileNetV2.flatMap(([expansion, channels, repeats, stride]) =>
    Array.from({ length: repeats }, (_, i) => invertedBottleneck(wide(channels), i === 0 ? stride : 1, expansion))
  )
  return flow(
    convolution(Scope.at("stem")(scope), { out: wide(32) }),
    relu(Scope.at("stem")(scope)),
    inTurn(Scope.at("blocks")(scope), blocks),
    convolution(Scope.at("last")(scope), { out: wide(1280), kernel: 1 }),
    relu(Scope.at("last")(scope)),
    classifier(scope, classes)
  )
}

const forms = { "resnet-20": resNet20, mobilenetv2: mobileNetV2 } as const

/** The networks' names. */
export const names = ["resnet-20", "mobilenetv2"] as const

/** A network's name, and its width in 64ths of the published one. */
export interface Point {
  readonly form: (typeof names)[number]
  readonly width: number
}

type Forms = ModelSpace.ModelSpace<Point, ModelSpace.Counted, Classification.Measure>

/** The space of both networks, with widths up to four times the published one. */
export const forData = (facts: Facts.Facts): Result.Result<Forms, SpaceError.InvalidSpace> => {
  const { classes, inputs } = facts
  const [channels, height, width] = inputs["image"]?.shape ?? []
  if (channels === undefined || height === undefined || width === undefined || classes === null)
    throw new Error("the examples are no pictures with classes")
  return Result.map(
    Space.make(Choice.struct({ form: Choice.categorical(names), width: Choice.integer({ min: 1, max: widest }) })),
    (space) =>
      ModelSpace.make({
        name: "forms",
        space,
        task: Classification.make({ classes }),
        model: (point) =>
          Model.make({
            inputs: { image: Model.input([channels, height, width]) },
            forward: (scope, { image }) => ({ logits: forms[point.form](scope, point.width, classes)(image) })
          }),
        line: ({ form, width }) => `${form} × ${width / published}`
      })
  )
}

export default forData
