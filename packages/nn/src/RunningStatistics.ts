/** The running statistics of batch norm: what a training step does to them. */
import { Op, type Program, Tensor, topological } from "@uninet/graph"
import { runningStatistics } from "./Normalisation.ts"

/** The running statistics of the batch norm at a path: the variables `running_mean` and `running_var`. */
export { runningStatistics as of }

/**
 * The updates of running statistics that belong to the batch norms on the way to `outputs`, a network built in training mode.
 *
 * running ← (1 − momentum) · running + momentum · the batch's statistic, the variance unbiased (n / (n − 1)), as PyTorch's.
 *
 * @example
 * Program.make({ outputs: { loss }, updates: RunningStatistics.updates([logits]) })
 */
export const updates = (outputs: ReadonlyArray<Tensor.Tensor>): ReadonlyArray<Program.Update> =>
  topological(outputs).filter(Tensor.is("batchNorm")).flatMap(updatesOf)

const updatesOf = ({ attributes, inputs: [x], path }: Tensor.Tensor<"batchNorm">): ReadonlyArray<Program.Update> => {
  const { momentum } = attributes
  const channels = x.shape[1]
  const count = x.shape.reduce((n, length) => n * length, 1) / channels
  const moments = Op.batchMoments(x, path)
  const next = (running: Tensor.Tensor<"variable">, moment: number, factor: number): Program.Update => {
    const statistic = Op.reshape(Op.slice(moments, 0, moment, moment + 1, path), [channels], path)
    return {
      variable: running,
      value: Op.add(Op.scale(running, 1 - momentum, path), Op.scale(statistic, momentum * factor, path), path)
    }
  }
  const { mean, variance } = runningStatistics(path, channels)
  return [next(mean, 0, 1), next(variance, 1, count / Math.max(count - 1, 1))]
}
