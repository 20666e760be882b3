/** Turns programs into plans of kernel calls. */
import type { Program, Tensor } from "@uninet/graph"
import * as Context from "./context.ts"
import * as Plan from "./plan.ts"
import { rules } from "./rules.ts"

/** A program as a plan; the plan's ends are the outputs in order, then the updates. */
export interface Lowered {
  readonly plan: Plan.Plan
  readonly outputs: ReadonlyArray<string>
  /** Names of the variables that get new values. */
  readonly updates: ReadonlyArray<string>
}

/** A kernel that the backend does not have, and what requested it. */
export interface Missing {
  readonly kernel: string
  readonly op: string
}

export const lower = (
  program: Program.Program,
  traits: Context.Traits,
  has: (kernel: string) => boolean
): Lowered | Missing => {
  let asking: Tensor.Tensor | undefined
  let missing: Missing | undefined
  const b = Plan.make(traits.pooledSums, (kernel) => {
    if (missing !== undefined || has(kernel)) return
    missing = {
      kernel,
      op: asking === undefined ? kernel : `${asking.kind}${asking.path === "" ? "" : ` (${asking.path})`}`
    }
  })
  const ctx = Context.make(b, traits, rules, (tensor) => (asking = tensor))
  // In order, so that no rule recurses deeply.
  for (const node of program.nodes) ctx.layoutOf(node)
  const outputs = Object.entries(program.outputs)
  const ends = [...outputs.map(([, tensor]) => tensor), ...program.updates.map(({ value }) => value)].map(ctx.plain)
  return (
    missing ?? {
      plan: b.finish(ends),
      outputs: outputs.map(([name]) => name),
      updates: program.updates.map(({ variable }) => variable.attributes.name)
    }
  )
}
