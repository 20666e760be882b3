/**
 * UniNet's search space: five searched stages, each with a choice of operator, downsampling module, expansion ratio, width
 * multiplier and depth offset; 1875⁵ = 23,174,285,888,671,875 choices.
 *
 * **Sources.** The candidates come from a reader's summary of the paper's first version (arXiv 2110.04035v1); the seed network (repeats 1,2,2,3,5,8, channels
 * 16,32,48,96,128,192, strides 1,2,2,2,1,2) from sibling networks of the same authors; stem, head and `makeDivisible` from the released PyTorch
 * code (Sense-X/UniNet). Where the sources are silent, we chose: the divisors of the channels (`headDim` next to attention, `divisor` elsewhere; they fit
 * the released network), the seed point's operator, module and expansion (DWConv, L, 4), all the defaults for small images,
 * and writing `LSA` as `SA` on a map no larger than its window, where the two are equal.
 *
 * **One network, one form.** Offsets that would leave no block are clipped to one block, and rounding gives several multipliers the
 * same width. Such choices are one architecture here, drawn once and hashed once. `Space.size` counts choices, `Space.distinct`
 * architectures.
 */
import { type Dsm, Dsms } from "@uninet/dsm"
import { Classification, type Facts, ModelSpace } from "@uninet/model-space"
import { Model } from "@uninet/nn"
import { type Operator, Operators } from "@uninet/operators"
import { Choice, Cost, Elementary, type Site, Space, SpaceError } from "@uninet/search-space"
import * as Arr from "effect/Array"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import { Architecture, line, print, Stage } from "./Architecture.ts"
import * as Kit from "./Kit.ts"
import * as Network from "./Network.ts"
import * as NetworkCosts from "./NetworkCosts.ts"
import { smallLimit } from "./internal/divisor.ts"
import * as laws from "./internal/laws.ts"
import * as pytorch from "./internal/pytorch.ts"
import * as scaling from "./internal/scaling.ts"
import { versionOf } from "./internal/version.ts"

/** The network at the centre of the space, stage 0 first; every array has one entry per stage. */
export interface Seed {
  /** Blocks of each stage, which the depth offsets change. Stage 0's number is fixed. */
  readonly repeats: ReadonlyArray<number>
  /** Channels of each stage, which the width multipliers change. Stage 0's number is fixed. */
  readonly channels: ReadonlyArray<number>
  /** The factors by which the stages divide height and width; not searched. */
  readonly strides: ReadonlyArray<number>
  /** The seed point's operator, module and expansion ratio; default `DWConv`, `L`, 4, or the first candidate if that is not among them. */
  readonly operator?: string
  readonly dsm?: string
  /** Default 4. */
  readonly expansion?: number
}

/** Options of `make`; all have a default. */
export interface Options {
  /** Height and width of the images in pixels; a number for square ones. Default 224. For 64 and less, the small defaults apply. */
  readonly image?: number | { readonly height: number; readonly width: number }
  /** Channels of the images. Default 3. */
  readonly channels?: number
  /** Number of classes. Default 1000. */
  readonly classes?: number
  /** The operators and modules, which determine the candidates, heads and own choices. Default: UniNet's own. */
  readonly kit?: Kit.Kit
  /** Names of the candidate operators. Default: those of the kit: Conv, DWConv, SA, LSA, MLP. */
  readonly operators?: ReadonlyArray<string>
  /** Names of the candidate downsampling modules. Default: those of the kit: L, LG, G. */
  readonly dsms?: ReadonlyArray<string>
  /** Names of the operators and modules with multi-head attention, whose channels are rounded to `headDim`. Default: those of the kit: SA, LSA, LG, G. */
  readonly multiHead?: ReadonlyArray<string>
  /** Candidate expansion ratios, ascending. Default 2, 3, 4, 5, 6. */
  readonly expansions?: ReadonlyArray<number>
  /** Candidate width multipliers, ascending; must include 1. Default 0.5, 0.75, 1, 1.25, 1.5. */
  readonly widths?: ReadonlyArray<number>
  /** Candidate depth offsets, ascending integers; must include 0. Default −2, −1, 0, 1, 2. */
  readonly depths?: ReadonlyArray<number>
  /** The seed network. Default: see the head of this module; for small images, that of `small`. */
  readonly seed?: Seed
  /** Channels of stage 0, instead of the seed's: 24 in the released UniNets, 16 (small: 8) in the seed network. */
  readonly stage0Channels?: number
  /** Default: 32 channels, stride 2 (small: 8 channels, stride 1). */
  readonly stem?: { readonly channels: number; readonly stride: number }
  /** Channels of the head's 1×1 convolution. Default 1280 (small: 128). */
  readonly headChannels?: number
  /** Width of one attention head. Default 32 (small: 8). */
  readonly headDim?: number
  /** What channels are rounded to where there is no attention. Default 16 (small: 8). */
  readonly divisor?: number
  /** Side of LSA's window: on maps up to this size LSA is written as SA (if SA is a candidate too). Default 7; 0 never does so. */
  readonly window?: number
  /** The operator of stage 0, which is not searched. Default: that of the kit: DWConv. */
  readonly stage0Operator?: string
  /** The choices that operators and modules have of their own, by the name of the operator or module. Default: those of the kit: none. */
  readonly choices?: Readonly<Record<string, Operator.Choices>>
}

/**
 * `v` rounded to a multiple of `divisor`, at least `divisor`, and never more than a tenth below `v` (the rule of the released code):
 * max(d, ⌊(v + d/2) / d⌋·d), plus d if that is below 0.9·v.
 */
export const makeDivisible = (v: number, divisor: number): number => {
  const rounded = Math.max(divisor, Math.floor((v + divisor / 2) / divisor) * divisor)
  return rounded < 0.9 * v ? rounded + divisor : rounded
}

/** The candidates and the seed network for ImageNet-size images, as data. */
export const paper = {
  image: 224,
  channels: 3,
  classes: 1000,
  operators: ["Conv", "DWConv", "SA", "LSA", "MLP"],
  dsms: ["L", "LG", "G"],
  multiHead: ["SA", "LSA", "LG", "G"],
  expansions: [2, 3, 4, 5, 6],
  widths: [0.5, 0.75, 1, 1.25, 1.5],
  depths: [-2, -1, 0, 1, 2],
  seed: { repeats: [1, 2, 2, 3, 5, 8], channels: [16, 32, 48, 96, 128, 192], strides: [1, 2, 2, 2, 1, 2] },
  stem: { channels: 32, stride: 2 },
  headChannels: 1280,
  headDim: 32,
  divisor: 16,
  window: 7,
  stage0Operator: "DWConv",
  choices: {}
} satisfies Options

/**
 * The defaults for images of 64 pixels and less, which are our choice: the paper's candidates around a seed network narrow enough to
 * train on a CPU (see the README for the resulting MACs). The stem keeps the resolution. Then as many of the stages 1, 2, … halve the map
 * as it takes to bring its shorter side near 4 (28 → 14 → 7 → 4 → 4 → 4, 32 → 16 → 8 → 4 → 4 → 4, 64 → 32 → 16 → 8 → 4 → 4).
 */
export const smallDefaults = (image: { readonly height: number; readonly width: number }) => {
  const halvings = Math.min(5, Math.max(1, Math.round(Elementary.log2(Math.min(image.height, image.width) / 4))))
  return {
    ...paper,
    seed: {
      repeats: [1, 1, 1, 1, 2, 1],
      channels: [8, 8, 16, 24, 24, 32],
      strides: [1, ...[1, 2, 3, 4, 5].map((stage) => (stage <= halvings ? 2 : 1))]
    },
    stem: { channels: 8, stride: 1 },
    headChannels: 128,
    headDim: 8,
    divisor: 8
  } satisfies Options
}

/** The defaults for images of this size: the paper's or, up to 64 pixels, the small ones. */
export const defaultsFor = (image: { readonly height: number; readonly width: number }) =>
  Math.max(image.height, image.width) <= smallLimit ? smallDefaults(image) : paper

const sizeOf = (image: number | { readonly height: number; readonly width: number }) =>
  typeof image === "number" ? { height: image, width: image } : image

/** The candidates of a kit, and what has to be known about them. */
const ofKit = (kit: Kit.Kit): Pick<Options, "operators" | "dsms" | "multiHead" | "stage0Operator" | "choices"> => {
  const owners: ReadonlyArray<readonly [string, Operator.Operator | Dsm.Dsm]> = [
    ...(Object.hasOwn(kit.operators, kit.stage0.name) ? [] : [[kit.stage0.name, kit.stage0.operator] as const]),
    ...Object.entries(kit.operators),
    ...Object.entries(kit.dsms)
  ]
  return {
    operators: Object.keys(kit.operators),
    dsms: Object.keys(kit.dsms),
    multiHead: Kit.multiHead(kit),
    stage0Operator: kit.stage0.name,
    choices: Object.fromEntries(
      owners.flatMap(([name, { choices }]) => (choices === undefined ? [] : [[name, choices] as const]))
    )
  }
}

/**
 * UniNet's space as a declaration, for use as part of a larger one. `Space.make` reports settings that make no sense.
 *
 * @example
 * ```ts
 * import { Choice, Space } from "@uninet/search-space"
 * import { UniNetSpace } from "@uninet/uninet"
 *
 * const joint = Space.make(
 *   Choice.struct({
 *     network: UniNetSpace.choice({ image: 32, classes: 10 }),
 *     learningRate: Choice.ordered([1e-3, 2e-3, 4e-3])
 *   })
 * )
 * ```
 */
export const choice = ({ kit = Kit.standard, ...options }: Options = {}): Choice.Choice<Architecture> => {
  const image = sizeOf(options.image ?? paper.image)
  const given = { ...defaultsFor(image), ...ofKit(kit), ...options }
  const fault = faultOf(given, image)
  if (fault !== undefined) return Choice.invalid(fault.problem, fault.remedy)
  const seed: Seed = given.seed
  const settings0 = seedsOf(ownOf(given.choices, given.stage0Operator))
  if (Result.isFailure(settings0))
    return Choice.invalid(settings0.failure.message, "Fix the choices of stage 0's operator")
  const seeds = Arr.zipWith(Arr.zip(seed.repeats, seed.channels), seed.strides, ([repeats, channels], stride) => ({
    channels,
    repeats,
    stride
  }))
  const seed0 = Arr.getUnsafe(seeds, 0)
  const stage0: Stage = {
    operator: given.stage0Operator,
    dsm: null,
    expansion: 1,
    channels: given.stage0Channels ?? seed0.channels,
    repeats: seed0.repeats,
    stride: seed0.stride,
    ...(settings0.success === undefined ? {} : { settings: settings0.success })
  }
  const fixed: Omit<Architecture, "stages"> = {
    image: { channels: given.channels, ...image },
    classes: given.classes,
    stem: { channels: given.stem.channels, stride: given.stem.stride },
    head: { channels: given.headChannels },
    headDim: given.headDim
  }

  let map = downsampled(downsampled(image, given.stem.stride), stage0.stride)
  const stages = seeds.slice(1).map(({ channels, repeats, stride }) => {
    map = downsampled(map, stride)
    const oneWindow = Math.max(map.height, map.width) <= given.window && given.operators.includes("SA")
    return Choice.struct({
      operator: Choice.categorical<string>(given.operators, preferred(given.operators, seed.operator, "DWConv")),
      dsm: Choice.categorical<string>(given.dsms, preferred(given.dsms, seed.dsm, "L")),
      expansion: Choice.ordered<number>(given.expansions, preferred(given.expansions, seed.expansion, 4)),
      width: Choice.ordered<number>(given.widths, { seed: 1 }),
      depth: Choice.ordered<number>(given.depths, { seed: 0 }),
      ...ownChoices("operator", given.operators, given.choices),
      ...ownChoices("dsm", given.dsms, given.choices)
    }).pipe(
      Choice.quotient({
        schema: Stage,
        to: (chosen): Stage => {
          const { depth, dsm, expansion, operator, width } = chosen
          const attention = given.multiHead.includes(operator) || given.multiHead.includes(dsm)
          const settings = settingsOf(chosen, operator)
          const dsmSettings = settingsOf(chosen, dsm)
          return {
            operator,
            dsm,
            expansion,
            channels: makeDivisible(channels * width, attention ? given.headDim : given.divisor),
            repeats: Math.max(1, repeats + depth),
            stride,
            ...(settings === undefined ? {} : { settings }),
            ...(dsmSettings === undefined ? {} : { dsmSettings })
          }
        },
        canonical: (stage) => (oneWindow && stage.operator === "LSA" ? { ...stage, operator: "SA" } : stage)
      })
    )
  })
  return Choice.tuple(stages).pipe(
    Choice.map({
      schema: Architecture,
      to: (searched): Architecture => ({ ...fixed, stages: [stage0, ...searched] }),
      from: (architecture) =>
        architecture.stages.length === stages.length + 1
          ? Result.succeed(architecture.stages.slice(1))
          : Result.fail({
              path: ["stages"],
              value: architecture.stages.length,
              expected: `${stages.length + 1} stages`
            }),
      // stage 0 is not searched
      locate: ([stage, ...rest]) => ["stages", Number(stage) + 1, ...rest]
    })
  )
}

/** The fields for the candidates' own choices, each active only where its owner is chosen. */
const ownChoices = (
  field: "operator" | "dsm",
  names: ReadonlyArray<string>,
  choices: Readonly<Record<string, Operator.Choices>>
): Readonly<Record<string, Choice.When<Readonly<Record<string, Site.Literal>>>>> =>
  Object.fromEntries(
    names.flatMap((name) => {
      const own = ownOf(choices, name)
      return own === undefined ? [] : [[ownedBy(name), Choice.when({ [field]: [name] }, Choice.struct(own))] as const]
    })
  )

const ownedBy = (name: string) => `choices of ${name}`

/** An operator's or module's own choices, if it has any. */
const ownOf = (choices: Readonly<Record<string, Operator.Choices>>, name: string): Operator.Choices | undefined => {
  const own = Object.hasOwn(choices, name) ? choices[name] : undefined
  return own === undefined || Object.keys(own).length === 0 ? undefined : own
}

/** The values of the choices of stage 0's operator: their seeds, since nothing is searched there. */
const seedsOf = (
  own: Operator.Choices | undefined
): Result.Result<Readonly<Record<string, Site.Literal>> | undefined, SpaceError.InvalidSpace> =>
  own === undefined ? Result.succeed(undefined) : Result.map(Space.make(Choice.struct(own)), Space.seedPoint)

const settingsOf = (
  chosen: Readonly<Record<string, unknown>>,
  name: string
): Readonly<Record<string, Site.Literal>> | undefined =>
  // The value was made by the struct of single choices above.
  chosen[ownedBy(name)] as Readonly<Record<string, Site.Literal>> | undefined

const downsampled = (map: { readonly height: number; readonly width: number }, stride: number) => ({
  height: Math.ceil(map.height / stride),
  width: Math.ceil(map.width / stride)
})

/** The seed option: the requested one, else the usual one if it is a candidate, else the first. */
const preferred = <A>(candidates: ReadonlyArray<A>, wanted: A | undefined, usual: A): { readonly seed?: A } =>
  wanted !== undefined ? { seed: wanted } : candidates.includes(usual) ? { seed: usual } : {}

/** The first setting that makes no sense. */
const faultOf = (
  given: Required<Omit<Options, "stage0Channels" | "image" | "kit">> & Pick<Options, "stage0Channels">,
  image: { readonly height: number; readonly width: number }
): { readonly problem: string; readonly remedy: string } | undefined => {
  const counts: ReadonlyArray<readonly [string, number]> = [
    ["image height", image.height],
    ["image width", image.width],
    ["channels", given.channels],
    ["classes", given.classes],
    ["stem.channels", given.stem.channels],
    ["stem.stride", given.stem.stride],
    ["headChannels", given.headChannels],
    ["headDim", given.headDim],
    ["divisor", given.divisor],
    ["stage0Channels", given.stage0Channels ?? 1],
    ...given.seed.repeats.map((n, i) => [`seed.repeats[${i}]`, n] as const),
    ...given.seed.channels.map((n, i) => [`seed.channels[${i}]`, n] as const),
    ...given.seed.strides.map((n, i) => [`seed.strides[${i}]`, n] as const)
  ]
  const wrong = counts.find(([, n]) => !(Number.isSafeInteger(n) && n >= 1))
  if (wrong !== undefined) return { problem: `${wrong[0]} is ${wrong[1]}`, remedy: "Use an integer of 1 or more" }
  const { channels, repeats, strides } = given.seed
  if (repeats.length < 2 || repeats.length !== channels.length || repeats.length !== strides.length) {
    const lengths = `${repeats.length} repeats, ${channels.length} channels and ${strides.length} strides`
    return {
      problem: `the seed has ${lengths}`,
      remedy: "Give one of each per stage, for stage 0 and at least one more stage"
    }
  }
  const ratio = given.expansions.find((e) => !(e > 0 && Number.isFinite(e)))
  if (ratio !== undefined) return { problem: `an expansion ratio is ${ratio}`, remedy: "Use ratios above 0" }
  const width = given.widths.find((w) => !(w > 0 && Number.isFinite(w)))
  if (width !== undefined) return { problem: `a width multiplier is ${width}`, remedy: "Use multipliers above 0" }
  const depth = given.depths.find((d) => !Number.isSafeInteger(d))
  if (depth !== undefined) return { problem: `a depth offset is ${depth}`, remedy: "Use integers" }
  const empty = [...given.operators, ...given.dsms].some((name) => name === "")
  if (empty) return { problem: "an operator or module has an empty name", remedy: "Name all of them" }
  const both = given.operators.find((name) => given.dsms.includes(name) && ownOf(given.choices, name) !== undefined)
  if (both !== undefined)
    return {
      problem: `"${both}" has its own choices and is both an operator and a module`,
      remedy: "Rename one of them"
    }
  return undefined
}

/**
 * UniNet's space. Without options it is the paper's, for 224×224 images and 1000 classes. For images of 64 pixels and less the
 * defaults are `smallDefaults`. Fails with `InvalidSpace` if a setting makes no sense.
 *
 * @example
 * ```ts
 * import { Prng, Space } from "@uninet/search-space"
 * import { Architecture, UniNetSpace } from "@uninet/uninet"
 * import { Result } from "effect"
 *
 * const space = Result.getOrThrow(UniNetSpace.make())
 * console.log(Space.size(space)) // 23174285888671875n
 * console.log(Architecture.print(Space.sample(Prng.fromSeed("demo"))(space)))
 * ```
 */
export const make = (options: Options = {}): Result.Result<Space.Space<Architecture>, SpaceError.InvalidSpace> =>
  Space.make(choice(options))

/** Like `make`, but with the defaults for small images whatever the size. Without options it is for MNIST: 28×28, one channel, ten classes. */
export const small = (options: Options = {}): Result.Result<Space.Space<Architecture>, SpaceError.InvalidSpace> => {
  const image = options.image ?? 28
  const candidates = ofKit(options.kit ?? Kit.standard)
  return make({ ...smallDefaults(sizeOf(image)), ...candidates, channels: 1, classes: 10, ...options, image })
}

/** Costs of UniNet's networks, by name: those that add up along the stages, and the peaks of activation memory in an evaluation and in a training step. */
export type Costs = NetworkCosts.Additive | ModelSpace.Counted | "trainingActivationBytes"

/** UniNet's space with its networks. */
export type Models = ModelSpace.ModelSpace<Architecture, Costs, Classification.Measure>

const fault = (path: string, problem: string, remedy: string) =>
  new SpaceError.InvalidSpace({ problems: [{ path: [path], problem, remedy }] })

/** The error for a kit that contains something other than operators and modules: a name that untyped code requested from a set that does not have it. */
const faultIn = ({ dsms, operators }: Kit.Kit): SpaceError.InvalidSpace | undefined => {
  for (const [path, set, standard] of [
    ["operators", operators, Kit.standard.operators] as const,
    ["dsms", dsms, Kit.standard.dsms] as const
  ]) {
    const [unknown] =
      Object.entries<unknown>(set).find(([, value]) => typeof value !== "object" || value === null) ?? []
    if (unknown !== undefined)
      return fault(
        path,
        `the kit's "${unknown}" is not defined`,
        `Use some of ${Object.keys(standard).join(", ")}, or define your own`
      )
  }
  return undefined
}

/** The error for a space whose networks cannot be built with the kit: the kit lacks a candidate, or there is a mistake that no choice changes. */
const faultWith = (
  kit: Kit.Kit,
  { dsms = [], operators = [] }: Options,
  space: Space.Space<Architecture>
): SpaceError.InvalidSpace | undefined => {
  const known = { operators: Object.keys(kit.operators), dsms: Object.keys(kit.dsms) }
  for (const [path, wanted] of [["operators", operators] as const, ["dsms", dsms] as const]) {
    const unknown = wanted.find((name) => !known[path].includes(name))
    if (unknown !== undefined)
      return fault(path, `the kit has no "${unknown}"`, `Use one of ${known[path].join(", ")}, or add it to the kit`)
  }
  const network = Network.make(Space.seedPoint(space), kit)
  return Result.isFailure(network)
    ? fault("seed", `its network cannot be built: ${network.failure.message}`, "Change the setting named here")
    : undefined
}

/** Stem, stages and head, with the architecture's description of them. */
const partsOf =
  (kit: Kit.Kit) =>
  (architecture: Architecture): Result.Result<ReadonlyArray<ModelSpace.Part>, { readonly message: string }> =>
    Result.flatMap(
      Network.make(architecture, kit),
      (network): Result.Result<ReadonlyArray<ModelSpace.Part>, { readonly message: string }> =>
        Result.map(NetworkCosts.of(network), ({ stages }) =>
          stages.map(({ macs, name, output, parameters, stage }) => ({
            name,
            columns: {
              dsm: stage?.dsm ?? null,
              operator: stage?.operator ?? null,
              expansion: stage?.expansion ?? null,
              repeats: stage?.repeats ?? null,
              stride: stage?.stride ?? null,
              channels: output.channels,
              height: output.height,
              width: output.width
            },
            parameters,
            macs
          }))
        )
    )

/**
 * UniNet's space with its networks: image classifiers. The candidates are those of the kit.
 *
 * Fails with `InvalidSpace` if a setting makes no sense, names a candidate that the kit does not have, or makes it impossible to build the seed network (an image too small for the strides,
 * heads in stage 0 that do not divide its channels).
 *
 * @example
 * ```ts
 * import { OperatorSet } from "@uninet/operators"
 * import { Kit, UniNetSpace } from "@uninet/uninet"
 *
 * const digits = UniNetSpace.models({ image: 28, channels: 1, classes: 10 })
 * const convolutions = UniNetSpace.models({ image: 28, channels: 1, classes: 10, kit: Kit.make({ operators: OperatorSet.only("Conv", "DWConv") }) })
 * ```
 */
export const models = ({ kit = Kit.standard, ...options }: Options = {}): Result.Result<
  Models,
  SpaceError.InvalidSpace
> =>
  Result.gen(function* () {
    const wrong = faultIn(kit)
    if (wrong !== undefined) return yield* Result.fail(wrong)
    const space = yield* make({ kit, ...options })
    const found = faultWith(kit, options, space)
    if (found !== undefined) return yield* Result.fail(found)
    const seed = Space.seedPoint(space)
    const costs = NetworkCosts.forSpace(kit)
    const activations = Cost.lastKnown(NetworkCosts.activations(kit))
    return ModelSpace.make({
      name: "uninet",
      version: versionOf(kit, seed.headDim),
      space,
      task: Classification.make({ classes: seed.classes }),
      model: (architecture: Architecture) => Result.map(Network.make(architecture, kit), Network.model),
      chain: { costs: NetworkCosts.additive, cost: costs },
      byParts: (price, batch) => NetworkCosts.byProgram(kit, price, batch),
      costs: {
        activationBytes: (architecture) => activations(architecture).inference,
        trainingActivationBytes: (architecture) => activations(architecture).training
      },
      line,
      picture: print,
      parts: partsOf(kit),
      laws: laws.make(kit),
      isIdle: laws.isIdle(kit),
      scaling: scaling.make(kit),
      pytorch: pytorch.make(kit)
    })
  })

/** Like `models`, with the operators and modules of the services `Operators` and `Dsms`. */
export const fromServices = (options: Options = {}): Effect.Effect<Models, SpaceError.InvalidSpace, Operators | Dsms> =>
  Effect.flatMap(Kit.fromServices, (kit) => Effect.fromResult(models({ ...options, kit })))

/** Examples that UniNet's networks cannot take. */
export class NotPictures extends Schema.TaggedError<NotPictures>()("NotPictures", { has: Schema.String }) {
  override get message() {
    return `UniNet's networks classify images [channels×height×width] from an input named image, but the examples have ${this.has}; give a data set of images with classes, or another space`
  }
}

/** The space for a data set's examples: images with classes. */
export const forData =
  (options: Options = {}) =>
  ({ classes, inputs }: Facts.Facts): Result.Result<Models, SpaceError.InvalidSpace | NotPictures> => {
    const { image } = inputs
    const [channels, height, width, ...others] = image?.shape ?? []
    const isPicture = channels !== undefined && height !== undefined && width !== undefined && others.length === 0
    return isPicture && classes !== null
      ? models({ image: { height, width }, channels, classes, ...options })
      : Result.fail(new NotPictures({ has: `${Model.print(inputs)}${classes === null ? " without classes" : ""}` }))
  }
