/**
 * Chains of inverted bottlenecks after MobileNetV3. Each stage has a choice of kernel, expansion, squeeze-and-excitation, activation and depth.
 *
 * **Sources.** A. Howard et al., "Searching for MobileNetV3", ICCV 2019 (arXiv 1905.02244): the block with squeeze-and-excitation on the expanded channels and a hard sigmoid, hard-swish, and the
 * head that pools late. M. Tan et al., "MnasNet", CVPR 2019 (arXiv 1807.11626): one set of choices for all blocks of a stage. H. Cai et al., "Once-for-All", ICLR 2020
 * (arXiv 1908.09791): the candidates, kernels 3, 5, 7, expansions 3, 4, 6, depths 2, 3, 4. Our choice: the widths and strides for images of 64 pixels and less, a head without the second
 * linear layer, and searching the activation too, which MobileNetV3 sets by depth.
 *
 * @example
 * ```ts
 * import { MobileNet } from "@uninet/spaces"
 * import { Result } from "effect"
 *
 * const digits = Result.getOrThrow(MobileNet.models({ channels: 1, height: 28, width: 28, classes: 10 }))
 * ```
 *
 * @example
 * ```ts
 * import { Grammar, MobileNet, VisionTransformer } from "@uninet/spaces"
 * import { Space } from "@uninet/search-space"
 * import { Result } from "effect"
 *
 * const pictures = { channels: 1, height: 28, width: 28, classes: 10 }
 * console.log(Space.showCount(Space.size(Result.getOrThrow(MobileNet.models(pictures)).space)))
 * for (const forData of [MobileNet.forData(), VisionTransformer.forData(), Grammar.forData()]) console.log(typeof forData)
 * ```
 */
import { Costs as Counts, Op, Program } from "@uninet/graph"
import { Classification, type Facts, ModelSpace, Scaling } from "@uninet/model-space"
import { Layer, Model, Nn, Scope } from "@uninet/nn"
import { Choice, Cost, Space, type SpaceError } from "@uninet/search-space"
import * as Arr from "effect/Array"
import { flow } from "effect/Function"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as pictures from "./internal/pictures.ts"
import type { NotPictures } from "./NotPictures.ts"

const Count = Schema.Int.check(Schema.isGreaterThanOrEqualTo(1))

/** The choices of a stage. */
export const Stage = Schema.Struct({
  /** Kernel of the depthwise convolutions: 3, 5, … */
  kernel: Count,
  /** Channels inside a block, as a multiple of its input channels. */
  expansion: Count,
  squeeze: Schema.Boolean,
  activation: Schema.Literals(["relu", "hard_swish"]),
  channels: Count,
  /** Number of blocks. */
  repeats: Count,
  /** Stride of the first block. */
  stride: Count
})
export type Stage = typeof Stage.Type

/** A point of the space. */
export const Architecture = Schema.Struct({
  image: Schema.Struct({ channels: Count, height: Count, width: Count }),
  classes: Count,
  stem: Schema.Struct({ channels: Count, stride: Count }),
  stages: Schema.Array(Stage),
  head: Count
})
export type Architecture = typeof Architecture.Type

/** The images and classes the networks are for. */
export interface Options {
  /** Channels of the images. */
  readonly channels: number
  /** Height of the images, in pixels. */
  readonly height: number
  /** Width of the images, in pixels. */
  readonly width: number
  /** Number of classes. */
  readonly classes: number
  /** Candidates. Defaults: 3, 5, 7; 3, 4, 6; 2, 3, 4 (for images of 64 pixels and less 1, 2, 3). */
  readonly kernels?: ReadonlyArray<number>
  readonly expansions?: ReadonlyArray<number>
  readonly depths?: ReadonlyArray<number>
  /** What is not searched. The default depends on the size of the images: see `large` and `small`. */
  readonly skeleton?: Skeleton
}

/** Stem, widths and strides of the stages, head. */
export interface Skeleton {
  readonly stem: { readonly channels: number; readonly stride: number }
  readonly stages: ReadonlyArray<{ readonly channels: number; readonly stride: number }>
  /** Channels of the head. */
  readonly head: number
}

/** The skeleton of MobileNetV3-Large. */
export const large: Skeleton = {
  stem: { channels: 16, stride: 2 },
  stages: [
    { channels: 24, stride: 2 },
    { channels: 40, stride: 2 },
    { channels: 80, stride: 2 },
    { channels: 112, stride: 1 },
    { channels: 160, stride: 2 }
  ],
  head: 960
}

/** A skeleton for images of 64 pixels and less, narrow enough to train on a CPU. */
export const small: Skeleton = {
  stem: { channels: 8, stride: 1 },
  stages: [
    { channels: 8, stride: 2 },
    { channels: 16, stride: 2 },
    { channels: 24, stride: 2 },
    { channels: 32, stride: 1 }
  ],
  head: 96
}

const activation = (scope: Scope.Scope, name: Stage["activation"]): Layer.Layer =>
  name === "relu" ? Nn.relu(scope) : Nn.hardSwish(scope)

/** 1×1 to the expanded channels, depthwise, squeeze-and-excitation, 1×1 back; the input is added if the shapes are equal. */
const block = (scope: Scope.Scope, stage: Stage, stride: number): Layer.Layer =>
  Layer.ofRank(4)(scope, "block", ([, entry]) => {
    const at = (name: string) => Scope.at(name)(scope)
    const branch = flow(
      Nn.pointwise(at("expand.0"), { out: stage.expansion * entry, bias: false }),
      Nn.batchNorm(at("expand.1")),
      activation(at("expand.2"), stage.activation),
      Nn.depthwise(at("depthwise.0"), { kernel: stage.kernel, stride }),
      Nn.batchNorm(at("depthwise.1")),
      stage.squeeze ? Nn.squeezeExcitation(at("se")) : (y) => y,
      activation(at("depthwise.2"), stage.activation),
      Nn.pointwise(at("project.0"), { out: stage.channels, bias: false }),
      Nn.batchNorm(at("project.1"))
    )
    return stride === 1 && entry === stage.channels ? Nn.residual(scope, { branch }) : branch
  })

const blocks =
  (scope: Scope.Scope, stage: Stage): Layer.Layer =>
  (x) => {
    let y = x
    for (let i = 0; i < stage.repeats; i++) y = block(Scope.at(String(i))(scope), stage, i === 0 ? stage.stride : 1)(y)
    return y
  }

const stem = (scope: Scope.Scope, { channels, stride }: Architecture["stem"]): Layer.Layer =>
  flow(
    Nn.convolution(Scope.at("0")(scope), { out: channels, kernel: 3, stride, bias: false }),
    Nn.batchNorm(Scope.at("1")(scope)),
    Nn.hardSwish(Scope.at("2")(scope))
  )

const head = (scope: Scope.Scope, { classes, head }: Pick<Architecture, "classes" | "head">): Layer.Layer =>
  flow(
    Nn.pointwise(Scope.at("head.0")(scope), { out: head, bias: false }),
    Nn.batchNorm(Scope.at("head.1")(scope)),
    Nn.hardSwish(Scope.at("head.2")(scope)),
    Nn.globalAveragePool(Scope.at("head.3")(scope)),
    Nn.linear(Scope.at("classifier")(scope), { out: classes })
  )

const model = (point: Architecture): Model.Model => {
  const { image } = point
  return Model.make({
    inputs: { image: Model.input([image.channels, image.height, image.width]) },
    forward: (scope, inputs) => {
      let x = stem(Scope.at("stem")(scope), point.stem)(inputs.image)
      for (const [i, stage] of point.stages.entries()) x = blocks(Scope.at(`stages.${i}`)(scope), stage)(x)
      return { logits: head(scope, point)(x) }
    }
  })
}

type Sums = { readonly parameters: number; readonly macs: number }
type Map2 = { readonly height: number; readonly width: number }

const strided = ({ height, width }: Map2, stride: number): Map2 => ({
  height: Math.ceil(height / stride),
  width: Math.ceil(width / stride)
})

/** Height and width of the input of every stage and of the head. */
const maps = ({ image, stages, stem }: Architecture): ReadonlyArray<Map2> => {
  let map = strided(image, stem.stride)
  return [map, ...stages.map(({ stride }) => (map = strided(map, stride)))]
}

/** What to count in a part's program for a batch, and the value to use if there is no program. */
interface Count<K extends string> {
  readonly of: (program: Program.Program) => Cost.Costs<K>
  readonly unbuildable: Cost.Costs<K>
  readonly batch: number
}

const sums: Count<keyof Sums> = {
  of: (program) => {
    const { macs, parameters } = Counts.ofProgram(program)
    return { macs, parameters }
  },
  unbuildable: { parameters: Infinity, macs: Infinity },
  batch: 1
}

/** A part's costs, measured on its graph and cached by what they depend on. */
const counted = <K extends string>({ batch, of, unbuildable }: Count<K>) => {
  const known = new Map<string, Cost.Costs<K>>()
  return (
    key: string,
    layer: (scope: Scope.Scope) => Layer.Layer,
    channels: number,
    { height, width }: Map2
  ): Cost.Costs<K> => {
    const found = known.get(key)
    if (found !== undefined) return found
    const made = Program.make({
      outputs: { y: layer(Scope.make("evaluation"))(Op.input("x", [batch, channels, height, width])) }
    })
    const costs = Result.match(made, { onSuccess: of, onFailure: () => unbuildable })
    known.set(key, costs)
    return costs
  }
}

/** The costs of the parts by themselves. */
const partsOf = <K extends string>(what: Count<K>) => {
  const count = counted(what)
  return {
    stem: ({ image, stem: chosen }: Architecture): Cost.Costs<K> =>
      count(`stem ${JSON.stringify([image, chosen])}`, (scope) => stem(scope, chosen), image.channels, image),
    stage: (chosen: Stage, entry: number, map: Map2): Cost.Costs<K> =>
      count(`stage ${JSON.stringify([chosen, entry, map])}`, (scope) => blocks(scope, chosen), entry, map),
    head: (point: Architecture, entry: number, map: Map2): Cost.Costs<K> =>
      count(
        `head ${JSON.stringify([point.head, point.classes, entry, map])}`,
        (scope) => head(scope, point),
        entry,
        map
      )
  }
}

/** Costs by stage: each depends on its input channels, and on nothing else of the other stages. */
const costOf = <K extends string>(parts: ReturnType<typeof partsOf<K>>): Cost.Cost<Architecture, K> => {
  const entryOf = ({ stages, stem }: Architecture, i: number) => stages[i - 1]?.channels ?? stem.channels
  return {
    of: (point) => {
      const map = maps(point)
      const stages = point.stages.map((stage, i) => parts.stage(stage, entryOf(point, i), Arr.getUnsafe(map, i)))
      const last = point.stages.length
      return [...stages, parts.head(point, entryOf(point, last), Arr.getUnsafe(map, last))].reduce(
        Cost.plus<K>,
        parts.stem(point)
      )
    },
    chain: {
      start: (point) => ({ costs: parts.stem(point), exit: point.stem.channels }),
      part: (point, i, entry) => {
        const stage = Arr.getUnsafe(point.stages, i)
        return { costs: parts.stage(stage, Number(entry), Arr.getUnsafe(maps(point), i)), exit: stage.channels }
      },
      end: (point, entry) => parts.head(point, Number(entry), Arr.getUnsafe(maps(point), point.stages.length))
    }
  }
}

const sizesOf = ({ head, image, stages, stem }: Architecture): Scaling.Sizes => ({
  resolution: image.height,
  stem: stem.channels,
  widths: stages.map(({ channels }) => channels),
  depths: stages.map(({ repeats }) => repeats),
  head
})

/** Everything about a network that is not a size. */
const fixed = ({ classes, image, stages, stem }: Architecture) =>
  JSON.stringify([
    classes,
    image.channels,
    stem.stride,
    stages.map(({ activation, expansion, kernel, squeeze, stride }) => [activation, expansion, kernel, squeeze, stride])
  ])

/** Deeper with more blocks at the end of a stage, wider in multiples of 8, larger in multiples of the total stride. */
const scaling = (parts: ReturnType<typeof partsOf<keyof Sums>>): Scaling.Scaling<Architecture> => ({
  chain: (base, divisor) => {
    const { height, width } = base.image
    const step = divisor ?? base.stages.reduce((d, { channels }) => (channels % d === 0 ? d : 1), 8)
    const stride = base.stages.reduce((product, stage) => product * stage.stride, base.stem.stride)
    const widthAt = (edge: number) =>
      edge === height ? width : Math.max(width, Math.round((width * edge) / height / stride) * stride)
    const apply = ({ depths, head, resolution, stem, widths }: Scaling.Sizes): Architecture => ({
      ...base,
      image: { ...base.image, height: resolution, width: widthAt(resolution) },
      stem: { ...base.stem, channels: stem },
      stages: base.stages.map((stage, i) => ({
        ...stage,
        channels: Arr.getUnsafe(widths, i),
        repeats: Arr.getUnsafe(depths, i)
      })),
      head
    })
    const own = sizesOf(base)
    const mapsAt = (resolution: number) => maps(apply({ ...own, resolution }))
    const entries = [base.stem.channels, ...own.widths]
    return Result.succeed({
      resolution: { part: "image", base: height, step: stride },
      stem: { part: "stem", base: base.stem.channels, step },
      stages: base.stages.map((stage, i) => ({
        width: { part: `stage ${i}`, base: stage.channels, step },
        depth: { part: `stage ${i}`, base: stage.repeats, step: 1 },
        // A first block with stride 1 adds its input if the widths are equal, so equal widths stay equal and different ones different.
        entry: stage.stride > 1 ? "free" : stage.channels === entries[i] ? "tied" : "apart"
      })),
      head: { part: "head", base: base.head, step },
      macs: {
        stem: (resolution, channels) => parts.stem(apply({ ...own, resolution, stem: channels })).macs,
        stage: (resolution, i, entry, channels) => {
          const [stage, map] = [Arr.getUnsafe(base.stages, i), Arr.getUnsafe(mapsAt(resolution), i)]
          const of = (repeats: number) => parts.stage({ ...stage, channels, repeats }, entry, map).macs
          const first = of(1)
          return { first, further: of(2) - first }
        },
        head: (resolution, entry, channels) =>
          parts.head({ ...base, head: channels }, entry, Arr.getUnsafe(mapsAt(resolution), base.stages.length)).macs
      },
      apply,
      sizesOf,
      edges: (resolution) => [resolution, widthAt(resolution)]
    })
  },
  inherit: (smaller, larger) => {
    if (fixed(smaller) !== fixed(larger))
      return Result.fail(
        new Scaling.NotLarger({ at: "network", what: "the choices", smaller: fixed(smaller), larger: fixed(larger) })
      )
    const [a, b] = [smaller.image, larger.image]
    return Result.succeed({
      growth: (parameter) => {
        const [, stage, index] = /^stages\.(\d+)\.(\d+)\./.exec(parameter) ?? []
        // Parameters that belong to no stage are unchanged.
        const isNew = Number(index) >= (smaller.stages[Number(stage)]?.repeats ?? Infinity)
        return {
          from: isNew ? null : parameter,
          // The last norm's scale: a block that adds its input begins as the identity.
          silent: isNew && parameter.endsWith("project.1.weight"),
          parts: 1,
          positions: null
        }
      },
      approximate:
        a.height === b.height && a.width === b.width
          ? []
          : [
              {
                at: "image",
                why: `the inputs differ: images of ${b.height}×${b.width} instead of ${a.height}×${a.width}`
              }
            ]
    })
  },
  published: () => null
})

/** A point on one line: `stem 8 | k5 e6 se hard_swish 16×2 /2 | …`. */
export const line = ({ head, stages, stem }: Architecture): string =>
  [
    `stem ${stem.channels}`,
    ...stages.map(
      ({ activation, channels, expansion, kernel, repeats, squeeze, stride }) =>
        `k${kernel} e${expansion}${squeeze ? " se" : ""} ${activation} ${channels}×${repeats}${stride > 1 ? ` /${stride}` : ""}`
    ),
    `head ${head}`
  ].join(" | ")

const stageChoice = (
  { channels, stride }: Skeleton["stages"][number],
  { depths, expansions, kernels }: Required<Pick<Options, "kernels" | "expansions" | "depths">>
) =>
  Choice.struct({
    kernel: Choice.ordered(kernels),
    expansion: Choice.ordered(expansions),
    squeeze: Choice.categorical([false, true]),
    activation: Choice.categorical(["relu", "hard_swish"]),
    channels: Choice.constant(channels),
    repeats: Choice.ordered(depths),
    stride: Choice.constant(stride)
  })

/** The chains without their networks. */
export const choice = (options: Options): Choice.Choice<Architecture> => {
  const { channels, classes, height, width } = options
  const isSmall = Math.max(height, width) <= 64
  const { head, stages, stem } = options.skeleton ?? (isSmall ? small : large)
  const counts = [channels, classes, height, width, head, stem.channels, stem.stride]
  if (counts.some((n) => !(Number.isSafeInteger(n) && n >= 1)))
    return Choice.invalid("a size or count is not a whole number of 1 or more", "Give whole numbers of 1 or more")
  const candidates = {
    kernels: options.kernels ?? [3, 5, 7],
    expansions: options.expansions ?? [3, 4, 6],
    depths: options.depths ?? (isSmall ? [1, 2, 3] : [2, 3, 4])
  }
  if (candidates.kernels.some((kernel) => kernel % 2 === 0))
    return Choice.invalid("a kernel is even", "Use odd kernels, which keep a map's size")
  return Choice.tuple(stages.map((stage) => stageChoice(stage, candidates))).pipe(
    Choice.map({
      schema: Architecture,
      to: (chosen): Architecture => ({ image: { channels, height, width }, classes, stem, stages: chosen, head }),
      from: (point) => Result.succeed([...point.stages]),
      locate: (path) => ["stages", ...path]
    })
  )
}

type Models = ModelSpace.ModelSpace<Architecture, ModelSpace.Counted, Classification.Measure>

/** The chains with their networks. Fails with `InvalidSpace` if a setting makes no sense. */
export const models = (options: Options): Result.Result<Models, SpaceError.InvalidSpace> =>
  Result.map(Space.make(choice(options)), (space) => {
    const parts = partsOf(sums)
    return ModelSpace.make({
      name: "mobilenet",
      space,
      task: Classification.make({ classes: options.classes }),
      model,
      chain: { costs: ["parameters", "macs"], cost: costOf(parts) },
      byParts: (price, batch) =>
        costOf(partsOf({ of: (part) => ({ price: price(part) }), unbuildable: { price: Infinity }, batch })),
      line,
      // The last norm's shift, which the next norm cancels.
      isIdle: (parameter) => parameter.endsWith("project.1.bias"),
      scaling: scaling(parts)
    })
  })

/** The chains for a data set's images. */
export const forData =
  (options: Omit<Options, "channels" | "height" | "width" | "classes"> = {}) =>
  (facts: Facts.Facts): Result.Result<Models, SpaceError.InvalidSpace | NotPictures> =>
    Result.flatMap(pictures.of("MobileNet", facts), (found): Result.Result<Models, SpaceError.InvalidSpace> =>
      models({ ...options, ...found })
    )
