/** A small program with a bit of everything that a digest has to tell apart. */
import { Op, Program } from "@uninet/graph"
import * as Result from "effect/Result"

export const digested = (): Program.Program => {
  const x = Op.input("x", [2, 3])
  const initialiser = { kind: "uniform", bound: 0.5 } as const
  const w = Op.variable({ name: "w", role: "parameter", initialiser, decay: true }, [5000, 3])
  const table = Op.constant(
    Float32Array.from({ length: 5000 }, (_, i) => i / 7),
    [5000]
  )
  const y = Op.add(Op.linear(Op.scale(x, -0), w), table)
  const outputs = { y, 'a "name"': Op.fill(Infinity) }
  return Result.getOrThrow(Program.make({ outputs, updates: [{ variable: w, value: Op.scale(w, 0.5) }] }))
}
