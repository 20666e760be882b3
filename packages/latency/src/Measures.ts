/**
 * The resources that running a network takes, as costs of a space: by name they can be bounds, objectives and rewards of any search.
 *
 * - `latency`: predicted milliseconds on a device.
 * - `int8Latency`: the same in int8, if the device was profiled in it.
 * - `peakMemory`: the most bytes of results that the exported form holds at once, before a runtime merges any of its operators.
 * - `fileSize`: bytes of the ONNX file.
 */
import { ModelSpace } from "@uninet/model-space"
import { Model } from "@uninet/nn"
import { Lowering } from "@uninet/onnx"
import { type Cost, Space } from "@uninet/search-space"
import * as Result from "effect/Result"
import * as Device from "./Device.ts"
import * as Form from "./Form.ts"

/** The costs that every search knows by name. */
export const names = ["latency", "int8Latency", "peakMemory", "fileSize"] as const
/** One of them. */
export type Name = (typeof names)[number]

/**
 * Whether a text names one of them.
 *
 * @example
 * ```ts
 * import { Measures } from "@uninet/latency"
 *
 * console.log(Measures.names, Measures.isName("latency"), Measures.isName("macs")) // … true false: that is the space's own
 * ```
 */
export const isName = (name: string): name is Name => names.some((each) => each === name)

/** How many points' costs are cached: a search asks for those of one point several times. */
const remembered = 10_000

const rememberedBy =
  <A>(of: ModelSpace.ModelSpace<A>) =>
  (cost: (point: A) => number): ((point: A) => number) => {
    const known = new Map<string, number>()
    return (point) => {
      const hash = Space.hash(point)(of.space)
      const found = known.get(hash)
      if (found !== undefined) return found
      if (known.size >= remembered) known.clear()
      const value = cost(point)
      known.set(hash, value)
      return value
    }
  }

/** Infinity for anything that cannot be built or exported. */
const orInfinity = (result: Result.Result<number, unknown>): number => Result.getOrElse(result, () => Infinity)

const peakMemory = (model: Model.Model, batch: number) =>
  Result.map(
    Model.evaluation({ batch })(model),
    (program) => Lowering.lower({ images: "plain", exact: true })(program).peakBytes
  )

const fileSize = (model: Model.Model) => Result.map(Form.of(model), ({ length }) => length)

/**
 * Adds these costs to a space. `latency`, or `int8Latency`, requires a device, which must belong to the space (`Device.fits`).
 *
 * @example
 * ```ts
 * import { Device, Measures } from "@uninet/latency"
 * import { ModelSpace } from "@uninet/model-space"
 * import { MobileNet } from "@uninet/spaces"
 * import { Effect, Result } from "effect"
 *
 * const digits = ModelSpace.erased(
 *   Result.getOrThrow(MobileNet.models({ channels: 1, height: 28, width: 28, classes: 10 }))
 * )
 * const fast = Effect.map(Device.profile({ target: { threads: 1, batch: 1 }, seconds: 300 })(digits), (device) => {
 *   const measured = Measures.add(digits, ["peakMemory"], device)
 *   return ModelSpace.within<string>({ latency: { max: 2 }, peakMemory: { max: 1e6 } })(measured)
 * })
 * ```
 */
export const add = (
  of: ModelSpace.Any,
  wanted: ReadonlyArray<Name>,
  device: Device.Device | undefined
): ModelSpace.Any => {
  const remember = rememberedBy(of)
  const batch = device?.target.batch ?? 1
  const costs: Record<string, (point: unknown) => number> = {}
  if (device !== undefined) costs[Device.costOf(device)] = remember(Device.latency(device)(of))
  if (wanted.includes("peakMemory"))
    costs["peakMemory"] = remember((point) => orInfinity(Result.flatMap(of.model(point), (m) => peakMemory(m, batch))))
  if (wanted.includes("fileSize"))
    costs["fileSize"] = remember((point) => orInfinity(Result.flatMap(of.model(point), fileSize)))
  const made = ModelSpace.withCosts(costs)(of)
  const latency = device === undefined ? null : Device.chain(device)(of)
  return device === undefined || latency === null
    ? made
    : { ...made, chain: joined(made.chain, Device.costOf(device), latency) }
}

/** Joins two chains over the same parts into one, giving the second this name. If they are over different parts, the first is kept. */
const joined = (
  own: ModelSpace.Any["chain"],
  name: string,
  latency: Cost.Chain<unknown, "latency">
): NonNullable<ModelSpace.Any["chain"]> => {
  const named: Cost.Chain<unknown, string> = {
    ...latency,
    start: (point) => {
      const { costs, exit } = latency.start(point)
      return { costs: { [name]: costs.latency }, exit }
    },
    part: (point, i, entry) => {
      const { costs, exit } = latency.part(point, i, entry)
      return { costs: { [name]: costs.latency }, exit }
    },
    end: (point, entry) => ({ [name]: latency.end(point, entry).latency })
  }
  if (own === null) return { costs: [name], of: named }
  if (JSON.stringify(own.of.focus) !== JSON.stringify(latency.focus)) return own
  return {
    costs: [...own.costs, name],
    of: {
      ...own.of,
      start: (point) => {
        const { costs, exit } = own.of.start(point)
        return { costs: { ...costs, ...named.start(point).costs }, exit }
      },
      part: (point, i, entry) => {
        const { costs, exit } = own.of.part(point, i, entry)
        return { costs: { ...costs, ...named.part(point, i, entry).costs }, exit }
      },
      end: (point, entry) => ({ ...own.of.end(point, entry), ...named.end(point, entry) })
    }
  }
}
