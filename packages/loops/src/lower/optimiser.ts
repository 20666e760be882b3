/** A step of AdamW: element-wise arithmetic with three numbers that JavaScript computes in double precision. */
import type { Tensor } from "@uninet/graph"
import * as Elementary from "@uninet/search-space/elementary"
import * as Arr from "effect/Array"
import * as E from "../Expression.ts"
import * as View from "../View.ts"
import { type Context, domainOf, inPlain, joined, newBuffer, place } from "./context.ts"
import { plainLazy } from "./elementwise.ts"
import type { Rules } from "./rules.ts"

/** A number to an integer power, by products alone: its bits do not depend on a library. */
const power = (base: number, exponent: number): number => {
  if (!Number.isSafeInteger(exponent) || exponent < 0) return Elementary.pow(base, exponent)
  let [result, square] = [1, base]
  for (let left = exponent; left > 0; left = Math.floor(left / 2)) {
    if (left % 2 === 1) result *= square
    square *= square
  }
  return result
}

/** How much of a parameter is kept, and the factors for its mean gradient and for the root of its mean square. */
const numbers = (ctx: Context, node: Tensor.Tensor<"adamw">): ReadonlyArray<View.View> => {
  const { beta1, beta2, weightDecay } = node.attributes
  const [, , , , learningRate, count] = node.inputs
  const [rate, step] = [place(inPlain(ctx, learningRate)), place(inPlain(ctx, count))]
  const key = `adamw ${[rate.buffer.id, rate.at, step.buffer.id, step.at, beta1, beta2, weightDecay].join()}`
  const known = ctx.tables.get(key)
  const buffer = known ?? newBuffer(ctx, "plain", 3)
  ctx.tables.set(key, buffer)
  const outputs = [0, 1, 2].map((i): View.View => ({ buffer, offset: i, axes: [] }))
  if (known === undefined)
    ctx.instructions.push({
      _tag: "Host",
      node,
      text: `%${buffer.id} = what a step of AdamW makes of its rate and count`,
      inputs: [rate, step],
      outputs: outputs.map(place),
      compute: (rate, t) => [1 - rate * weightDecay, rate / (1 - power(beta1, t)), 1 / Math.sqrt(1 - power(beta2, t))],
      reads: [rate.buffer, step.buffer],
      writes: [buffer]
    })
  return outputs
}

/** A moving average after one more step. */
const mixed = (old: E.Expression, fresh: E.Expression, beta: number) =>
  E.madd(old, E.number(beta), E.mul(fresh, E.number(1 - beta)))

export const rules: Pick<Rules, "adamw"> = {
  adamw: (node, ctx) => {
    const { beta1, beta2, epsilon, of } = node.attributes
    const all = node.inputs.slice(0, 4).map((t) => plainLazy(ctx, t))
    const shape = domainOf(ctx, node.shape, false)
    const scalars = numbers(ctx, node).map((view) => ({
      lanes: false,
      shape,
      expression: E.operand(0),
      operands: [View.broadcast(view, shape)]
    }))
    const { expressions, operands } = joined([...all, ...scalars])
    const expression = (i: number) => Arr.getUnsafe(expressions, i)
    const [parameter, gradient, moment1, moment2] = [expression(0), expression(1), expression(2), expression(3)]
    const [kept, stepSize, deviation] = [expression(4), expression(5), expression(6)]
    const m = mixed(moment1, gradient, beta1)
    const v = mixed(moment2, E.mul(gradient, gradient), beta2)
    const moved = E.div(m, E.madd(E.unary("sqrt", v), deviation, E.number(epsilon)))
    const next = E.sub(E.mul(parameter, kept), E.mul(stepSize, moved))
    return { lazy: { lanes: false, shape, expression: { parameter: next, moment1: m, moment2: v }[of], operands } }
  }
}
