/** GELU through the error function, whose argument is √½ times its own, and its gradient without that factor. */
import * as Fused from "../Fused.ts"
import type { Rewrite } from "../Rewrite.ts"
import { inBlocks } from "../Target.ts"

export const rewrite: Rewrite = {
  name: "gelu",
  summary: "GELU of √½ times its input, its gradient up to a factor √½",
  rules: (target) => ({
    activation: ({ attributes, inputs: [x], path }) =>
      attributes.fn === "gelu" && inBlocks(target, x.shape) ? Fused.gelu(Fused.geluStart(x, path), path) : undefined,
    activationGrad: ({ attributes, inputs: [x, dy], path }) =>
      attributes.fn === "gelu" && inBlocks(target, x.shape)
        ? Fused.scaled(Fused.geluGrad(Fused.geluStart(x, path), dy, path), Fused.geluFactor, path)
        : undefined
  })
}
