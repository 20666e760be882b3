/** A custom space: rows of numbers through a chain of linear layers, all of one width, and how such a chain grows. */
import { ModelSpace, Scaling, Task } from "@uninet/model-space"
import { Op } from "@uninet/graph"
import { Model, Nn, Scope } from "@uninet/nn"
import { Choice, Space } from "@uninet/search-space"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"

export interface Chain {
  readonly width: number
  readonly depth: number
}

const features = 8

/** Any size, beyond those that the space has as well: a network that grew is one of them. */
const Sizes = Schema.Struct({ width: Schema.Int, depth: Schema.Int })

const space = Result.getOrThrow(
  Space.make(
    Choice.struct({
      width: Choice.ordered<number>([16, 32, 48, 64], { seed: 64 }),
      depth: Choice.integer({ min: 1, max: 4, seed: 3 })
    }).pipe(Choice.map({ schema: Sizes, to: (sizes): Chain => sizes, from: Result.succeed }))
  )
)

/** The mean absolute difference: the lower the better. */
const task = Task.make({
  name: "nearness",
  outputs: { y: [1] },
  targets: { shape: [1], dtype: "float32" },
  loss: ({ y }, targets) => Op.mean(Op.abs(Op.sub(y, targets))),
  measures: { error: "lower" },
  decides: "error",
  tally: () => ({ add: () => {}, measures: () => ({ error: 0 }) })
})

/** The first layer, `depth` residual blocks of layer norm, GELU and a linear layer, and the last layer. */
const model = ({ depth, width }: Chain): Model.Model =>
  Model.make({
    inputs: { x: Model.input([features]) },
    forward: (scope, { x }) => {
      let h = Nn.linear(Scope.at("first")(scope), { out: width })(x)
      for (let i = 0; i < depth; i++) {
        const at = Scope.at(`blocks.${i}`)(scope)
        const branch = Nn.linear(Scope.at("linear")(at), { out: width })
        h = Op.add(h, branch(Nn.gelu(at)(Nn.layerNorm(Scope.at("norm")(at))(h))))
      }
      return { y: Nn.linear(Scope.at("last")(scope), { out: 1 })(h) }
    }
  })

const sizesOf = ({ depth, width }: Chain): Scaling.Sizes => ({
  resolution: 1,
  stem: features,
  widths: [width],
  depths: [depth],
  head: 1
})

export const scaling: Scaling.Scaling<Chain> = {
  chain: ({ depth, width }, divisor) =>
    Result.succeed({
      resolution: { part: "row", base: 1, step: 0 },
      stem: { part: "row", base: features, step: 0 },
      stages: [
        {
          width: { part: "blocks", base: width, step: divisor ?? 1 },
          depth: { part: "blocks", base: depth, step: 1 },
          entry: "free"
        }
      ],
      head: { part: "last", base: 1, step: 0 },
      macs: {
        stem: () => 0,
        stage: (_resolution, _index, entry, width) => ({
          first: entry * width + width * width,
          further: width * width
        }),
        head: (_resolution, entry, width) => entry * width
      },
      apply: ({ depths: [depth], widths: [width] }) => ({ depth, width }),
      sizesOf,
      edges: () => []
    }),
  inherit: (smaller, larger) => {
    for (const size of ["depth", "width"] as const)
      if (larger[size] < smaller[size])
        return Result.fail(
          new Scaling.NotLarger({
            at: "blocks",
            what: size,
            smaller: String(smaller[size]),
            larger: String(larger[size])
          })
        )
    return Result.succeed({
      growth: (parameter) => {
        const [, block, layer] = /^blocks\.(\d+)\.(\w+)/.exec(parameter) ?? []
        const isNew = block !== undefined && Number(block) >= smaller.depth
        return { from: isNew ? null : parameter, silent: isNew && layer === "linear", parts: 1, positions: null }
      },
      approximate:
        larger.width % smaller.width === 0
          ? []
          : [{ at: "blocks", why: `layer norms are over ${larger.width} numbers, no multiple of ${smaller.width}` }]
    })
  },
  published: () => null
}

/** Everything but how it grows. */
export const declaration = {
  name: "chains",
  space,
  task,
  model,
  line: ({ depth, width }: Chain) => `${depth} of ${width}`
}

export const chains: ModelSpace.ModelSpace<Chain, ModelSpace.Counted, "error"> = ModelSpace.make({
  ...declaration,
  scaling
})
