import { fail, type Layer } from "../Layer.ts"
import type { Scope } from "../Scope.ts"

/** A layer that has to know how long one of its input's axes is; an input that has no such axis is a fault of the op's. */
const along =
  (axis: number, reason: string) =>
  (scope: Scope, op: string, layer: (length: number) => Layer): Layer =>
  (x) => {
    const length = x.shape.at(axis)
    return length === undefined ? fail(scope, op, x, reason) : layer(length)(x)
  }

/** Of `[batch, channels, ...]`. */
export const alongChannels = along(1, "the input must be [batch×channels×...]")

/** Of the last axis. */
export const alongFeatures = along(-1, "a scalar has no last axis")
