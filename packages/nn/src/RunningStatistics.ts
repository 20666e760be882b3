/** How a training step updates the running statistics of batch norm. */
import { Op, type Program, Tensor, topological } from "@uninet/graph"
import * as Arr from "effect/Array"
import { runningStatistics } from "./Normalisation.ts"

/** The running statistics of the batch norm at a path: the variables `running_mean` and `running_var`. */
export { runningStatistics as of }

/**
 * The updates of running statistics for the batch norms on the way to `outputs`, a network built in training mode.
 *
 * running ← (1 − momentum) · running + momentum · the batch's statistic, with the unbiased variance (n / (n − 1)), as in PyTorch. A norm that is applied several times updates its statistics
 * once per application, in the order of the graph.
 *
 * @example
 * ```ts
 * import { Op, Program } from "@uninet/graph"
 * import { Nn, RunningStatistics, Scope } from "@uninet/nn"
 * import { Result } from "effect"
 *
 * const scope = Scope.make("training")
 * const x = Op.input("x", [8, 32, 16, 16])
 * const [mean, variance] = [Op.fill(0, [32]), Op.fill(1, [32])]
 * const y = Nn.batchNorm(Scope.at("norm")(scope))(x)
 * const made = Program.make({ outputs: { loss: Op.sum(y) }, updates: RunningStatistics.updates([y]) })
 * console.log(Result.getOrThrow(made).updates.length) // 2: mean and variance
 * ```
 */
export const updates = (outputs: ReadonlyArray<Tensor.Tensor>): ReadonlyArray<Program.Update> => {
  // Norms inside custom ops count too.
  const expanded = Op.expandComposites(outputs)
  // A norm that carries a fault may have any shape; the outputs report the fault.
  const norms = topological(outputs.map(expanded))
    .filter(Tensor.is("batchNorm"))
    .filter(({ fault }) => fault === undefined)
  const layers = Map.groupBy(norms, (norm) => `${channelsOf(norm)} ${norm.path}`)
  return [...layers.values()].flatMap(updatesOf)
}

/** A batch norm takes no tensor without channels. */
const channelsOf = ({ shape }: Tensor.Tensor) => Arr.getUnsafe(shape, 1)

/** The updates of one layer's statistics, from all its applications. */
const updatesOf = (applications: ReadonlyArray<Tensor.Tensor<"batchNorm">>): ReadonlyArray<Program.Update> => {
  const [first] = applications
  if (first === undefined) return []
  const { mean, variance } = runningStatistics(first.path, channelsOf(first))
  let next: readonly [mean: Tensor.Tensor, variance: Tensor.Tensor] = [mean, variance]
  for (const norm of applications) next = moved(norm, next)
  return [
    { variable: mean, value: next[0] },
    { variable: variance, value: next[1] }
  ]
}

/** Running statistics after one application. */
const moved = (
  { attributes: { momentum }, inputs: [x], path }: Tensor.Tensor<"batchNorm">,
  [mean, variance]: readonly [mean: Tensor.Tensor, variance: Tensor.Tensor]
) => {
  const channels = channelsOf(x)
  const count = x.shape.reduce((n, length) => n * length, 1) / channels
  const moments = Op.batchMoments(x, path)
  const next = (running: Tensor.Tensor, moment: number, factor: number) => {
    const statistic = Op.reshape(Op.slice(moments, 0, moment, moment + 1, path), [channels], path)
    return Op.add(Op.scale(running, 1 - momentum, path), Op.scale(statistic, momentum * factor, path), path)
  }
  return [next(mean, 0, 1), next(variance, 1, count / Math.max(count - 1, 1))] as const
}
