/**
 * NAS-Bench-201's cells: four nodes, each pair joined by one of five operations, which makes 5⁶ = 15,625 cells, in a network of three stages.
 *
 * **Sources.** X. Dong and Y. Yang, "NAS-Bench-201: Extending the Scope of Reproducible Neural Architecture Search", ICLR 2020 (arXiv 2001.00326), figure 1 and
 * section 2; details of the layers (positions of norms and activations, padding, the shortcut of the reduction blocks) from the authors' code, AutoDL-Projects, `cell_operations.py` and
 * `infer_cells/tiny_network.py`. The benchmark's own figures follow from just two counts, n₁ of 1×1 convolutions and n₃ of 3×3 convolutions: 0.073306 + 0.028 n₁ + 0.24304 n₃
 * million parameters, and 7.78305 + 3.93216 (n₁ + 9 n₃) million multiply-accumulates, for 16 channels, five cells a stage, 32×32 pixels and ten classes. The last figure counts the classifier's bias,
 * which `macs` does not, so `macs` is ten lower.
 *
 * **Dead ends stay.** As in the benchmark, a `none` edge multiplies by zero: parts cut off by it are counted but learn nothing. So the figures of all cells are the benchmark's.
 *
 * @example
 * ```ts
 * import { NasBench201 } from "@uninet/spaces"
 * import { Result } from "effect"
 *
 * const cifar = Result.getOrThrow(NasBench201.models({ channels: 3, height: 32, width: 32, classes: 10 }))
 * const best = Result.getOrThrow(
 *   NasBench201.parse("|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_3x3~1|+|skip_connect~0|nor_conv_3x3~1|nor_conv_3x3~2|")
 * )
 * cifar.costs.macs(best) // 184,730,240
 * ```
 */
import { Op, type Tensor } from "@uninet/graph"
import { Classification, type Facts, ModelSpace } from "@uninet/model-space"
import { Layer, Model, Nn, Scope } from "@uninet/nn"
import { Choice, type Cost, Space, type SpaceError } from "@uninet/search-space"
import * as Arr from "effect/Array"
import { flow } from "effect/Function"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as pictures from "./internal/pictures.ts"
import type { NotPictures } from "./NotPictures.ts"

/** The operations of an edge, under the benchmark's names. */
export const operations = ["none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3"] as const
/** The operation of an edge. */
export type Operation = (typeof operations)[number]

/** Edges from a node to a later one; node 0 is the cell's input and node 3 its output. */
export const edges = ["0-1", "0-2", "1-2", "0-3", "1-3", "2-3"] as const
/** An edge of a cell: `from-to`. */
export type Edge = (typeof edges)[number]

/** A point of the space: the operation of every edge. */
export type Cell = { readonly [E in Edge]: Operation }

/** The images and classes the networks are for, and the size of the network around the cells. */
export interface Options {
  /** Channels of the images. */
  readonly channels: number
  /** Height of the images, in pixels. */
  readonly height: number
  /** Width of the images, in pixels. */
  readonly width: number
  /** Number of classes. */
  readonly classes: number
  /** Channels of the first stage; the others have twice and four times as many. Default 16. */
  readonly width1?: number
  /** Cells per stage. Default 5. */
  readonly cells?: number
}

const ends = (edge: Edge): readonly [from: number, to: number] => [Number(edge[0]), Number(edge[2])]

/** ReLU → convolution → batch norm. */
const reluConvNorm = (scope: Scope.Scope, out: number, kernel: number, stride = 1): Layer.Layer =>
  flow(
    Nn.relu(scope),
    Nn.convolution(Scope.at("1")(scope), { out, kernel, stride, bias: false }),
    Nn.batchNorm(Scope.at("2")(scope))
  )

const operation = (scope: Scope.Scope, name: Operation): Layer.Layer => {
  switch (name) {
    case "none":
      return (x) => Op.scale(x, 0, scope.path)
    case "skip_connect":
      return (x) => x
    case "avg_pool_3x3":
      return Nn.averagePool2d(scope, { kernel: 3, countPadding: false })
    case "nor_conv_1x1":
    case "nor_conv_3x3":
      return Layer.ofRank(4)(scope, name, ([, channels]) =>
        reluConvNorm(scope, channels, name === "nor_conv_1x1" ? 1 : 3)
      )
  }
}

/** Every node is the sum of its incoming edges; the last node is the output. */
const cell =
  (scope: Scope.Scope, chosen: Cell): Layer.Layer =>
  (x) => {
    const nodes: Arr.NonEmptyArray<Tensor.Tensor> = [x]
    for (const to of [1, 2, 3]) {
      const incoming = edges
        .filter((edge) => ends(edge)[1] === to)
        .map((edge) => operation(Scope.at(edge)(scope), chosen[edge])(Arr.getUnsafe(nodes, ends(edge)[0])))
      nodes.push(incoming.reduce((sum, term) => Op.add(sum, term, scope.path)))
    }
    return Arr.lastNonEmpty(nodes)
  }

/** The residual block that halves the map and doubles the channels. */
const reduction = (scope: Scope.Scope, out: number): Layer.Layer => {
  const at = (name: string) => Scope.at(name)(scope)
  return Nn.residual(scope, {
    shortcut: Layer.ofRank(4)(scope, "downsample", ([, , height, width]) =>
      flow(
        // On an odd map the last row and column are averaged by themselves, as the strided convolution sees them.
        Nn.averagePool2d(at("downsample.0"), {
          kernel: 2,
          stride: 2,
          padding: [0, 0, height % 2, width % 2],
          countPadding: false
        }),
        Nn.convolution(at("downsample.1"), { out, kernel: 1, bias: false })
      )
    ),
    branch: flow(reluConvNorm(at("conv_a"), out, 3, 2), reluConvNorm(at("conv_b"), out, 3))
  })
}

const model = (options: Required<Options>, chosen: Cell): Model.Model =>
  Model.make({
    inputs: { image: Model.input([options.channels, options.height, options.width]) },
    forward: (scope, { image }) => {
      const at = (name: string) => Scope.at(name)(scope)
      let x = flow(
        Nn.convolution(at("stem.0"), { out: options.width1, kernel: 3, bias: false }),
        Nn.batchNorm(at("stem.1"))
      )(image)
      for (const stage of [0, 1, 2]) {
        if (stage > 0) x = reduction(at(`stages.${stage}.reduction`), options.width1 * (1 << stage))(x)
        for (let i = 0; i < options.cells; i++) x = cell(at(`stages.${stage}.cells.${i}`), chosen)(x)
      }
      return {
        logits: flow(
          Nn.batchNorm(at("lastact.0")),
          Nn.relu(at("lastact.1")),
          Nn.globalAveragePool(at("pool")),
          Nn.linear(at("classifier"), { out: options.classes })
        )(x)
      }
    }
  })

/** The cells without their networks. */
export const choice: Choice.Choice<Cell> = Choice.struct({
  "0-1": Choice.categorical(operations, { seed: "nor_conv_3x3" }),
  "0-2": Choice.categorical(operations, { seed: "nor_conv_3x3" }),
  "1-2": Choice.categorical(operations, { seed: "nor_conv_3x3" }),
  "0-3": Choice.categorical(operations, { seed: "skip_connect" }),
  "1-3": Choice.categorical(operations, { seed: "nor_conv_3x3" }),
  "2-3": Choice.categorical(operations, { seed: "nor_conv_3x3" })
})

/** A cell as the benchmark writes it: `|nor_conv_3x3~0|+|none~0|skip_connect~1|+|…|`. */
export const print = (chosen: Cell): string =>
  [1, 2, 3]
    .map((to) =>
      edges
        .filter((edge) => ends(edge)[1] === to)
        .map((edge) => `|${chosen[edge]}~${ends(edge)[0]}`)
        .join("")
    )
    .map((node) => `${node}|`)
    .join("+")

/** A text that is not a cell of the benchmark. */
export class NoCell extends Schema.TaggedError<NoCell>()("NoCell", { text: Schema.String }) {
  override get message() {
    return `"${this.text}" is not a cell of NAS-Bench-201; give a cell such as ${print(seed)}`
  }
}

const seed: Cell = {
  "0-1": "nor_conv_3x3",
  "0-2": "nor_conv_3x3",
  "1-2": "nor_conv_3x3",
  "0-3": "skip_connect",
  "1-3": "nor_conv_3x3",
  "2-3": "nor_conv_3x3"
}

/** The cell that a text describes, in the benchmark's notation. */
export const parse = (text: string): Result.Result<Cell, NoCell> => {
  const names = [...text.matchAll(/\|(\w+)~(\d)/g)].map(([, name]) => operations.find((each) => each === name))
  const [a, b, c, d, e, f] = names
  const found =
    a && b && c && d && e && f
      ? ({ "0-1": a, "0-2": b, "1-2": c, "0-3": d, "1-3": e, "2-3": f } satisfies Cell)
      : undefined
  return found !== undefined && print(found) === text ? Result.succeed(found) : Result.fail(new NoCell({ text }))
}

/** How many edges are 1×1 and how many are 3×3 convolutions, on which all the figures depend. */
export const convolutions = (chosen: Cell): { readonly ones: number; readonly threes: number } => {
  const count = (name: Operation) => edges.filter((edge) => chosen[edge] === name).length
  return { ones: count("nor_conv_1x1"), threes: count("nor_conv_3x3") }
}

/** The costs of one edge, summed over all cells of the network, and of the parts that every network has. */
const countsOf = (options: Required<Options>) => {
  const { cells, channels, classes, height, width, width1 } = options
  const mapOf = (stage: number) => ({
    c: width1 * (1 << stage),
    area: Math.ceil(height / (1 << stage)) * Math.ceil(width / (1 << stage))
  })
  const [first, ...later] = [mapOf(0), mapOf(1), mapOf(2)] as const
  const convolution = (kernel: number) =>
    [first, ...later].reduce(
      (sum, { area, c }) => ({
        parameters: sum.parameters + cells * (kernel * c * c + 2 * c),
        macs: sum.macs + cells * kernel * c * c * area
      }),
      { parameters: 0, macs: 0 }
    )
  const last = later[1].c
  const base = later.reduce(
    (sum, { area, c }) => {
      const half = c / 2
      const weights = 9 * half * c + 9 * c * c + half * c
      return { parameters: sum.parameters + weights + 4 * c, macs: sum.macs + weights * area }
    },
    {
      parameters: 9 * channels * first.c + 2 * first.c + 2 * last + (last + 1) * classes,
      macs: 9 * channels * first.c * first.area + last * classes
    }
  )
  const nothing = { parameters: 0, macs: 0 }
  const byOperation: Readonly<Record<Operation, typeof nothing>> = {
    none: nothing,
    skip_connect: nothing,
    avg_pool_3x3: nothing,
    nor_conv_1x1: convolution(1),
    nor_conv_3x3: convolution(9)
  }
  return { base, byOperation }
}

/** Parameters and multiply-accumulates by formula, and how they add up along the edges, so that bounds on them are met exactly. */
const costOf = (options: Required<Options>): Cost.Cost<Cell, "parameters" | "macs"> => {
  const { base, byOperation } = countsOf(options)
  const nothing = { parameters: 0, macs: 0 }
  return {
    of: (chosen) =>
      edges.reduce((sum, edge) => {
        const { macs, parameters } = byOperation[chosen[edge]]
        return { parameters: sum.parameters + parameters, macs: sum.macs + macs }
      }, base),
    chain: {
      start: () => ({ costs: base, exit: 0 }),
      part: (chosen, i) => ({ costs: byOperation[chosen[Arr.getUnsafe(edges, i)]], exit: 0 }),
      end: () => nothing
    }
  }
}

/** The nodes that the input reaches, and the nodes that reach the output, over edges other than `none`. */
const alive = (chosen: Cell) => {
  const open = edges.filter((edge) => chosen[edge] !== "none").map(ends)
  const fed = new Set([0])
  for (const [from, to] of open) if (fed.has(from)) fed.add(to)
  const used = new Set([3])
  for (const [from, to] of open.toReversed()) if (used.has(to)) used.add(from)
  return { fed, used }
}

/**
 * A parameter that learns nothing in this cell: on an edge that `none` cuts off from the output or the input or, if no path is left through the cells at all, in front of the cells. Parameters
 * that another norm may cancel count too: a norm's shift and, in the last cell, its scale.
 */
const isIdle =
  (cells: number) =>
  (parameter: string, chosen: Cell): boolean => {
    const { fed, used } = alive(chosen)
    if (parameter.startsWith(`stages.2.cells.${cells - 1}.`) && parameter.endsWith(".2.weight")) return true
    if (parameter.endsWith(".bias") && !parameter.startsWith("classifier")) return true
    const edge = edges.find((each) => parameter.includes(`.${each}.`))
    if (edge === undefined) return !used.has(0) && !parameter.startsWith("classifier")
    const [from, to] = ends(edge)
    return !fed.has(from) || !used.has(to) || !used.has(0)
  }

/** The names of the costs. */
export type Costs = ModelSpace.Counted

type Models = ModelSpace.ModelSpace<Cell, Costs, Classification.Measure>

/** The cells with their networks. Fails with `InvalidSpace` if a size makes no sense. */
export const models = (options: Options): Result.Result<Models, SpaceError.InvalidSpace> => {
  const given = { width1: 16, cells: 5, ...options }
  const wrong = Object.entries(given).find(([, n]) => !(Number.isSafeInteger(n) && n >= 1))
  const declared =
    wrong === undefined ? choice : Choice.invalid(`${wrong[0]} is ${wrong[1]}`, "Use a whole number of 1 or more")
  return Result.map(Space.make(declared), (space) =>
    ModelSpace.make({
      name: "nas-bench-201",
      version: JSON.stringify(given),
      space,
      task: Classification.make({ classes: given.classes }),
      model: (chosen: Cell) => model(given, chosen),
      chain: { costs: ["parameters", "macs"], cost: costOf(given) },
      line: print,
      isIdle: isIdle(given.cells)
    })
  )
}

/** The cells for a data set's images. */
export const forData =
  (options: Pick<Options, "width1" | "cells"> = {}) =>
  (facts: Facts.Facts): Result.Result<Models, SpaceError.InvalidSpace | NotPictures> =>
    Result.flatMap(pictures.of("NAS-Bench-201", facts), (found): Result.Result<Models, SpaceError.InvalidSpace> =>
      models({ ...options, ...found })
    )
