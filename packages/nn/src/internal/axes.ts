import { fail, type Layer, ofRank } from "../Layer.ts"
import type { Scope } from "../Scope.ts"

/** A layer that needs the length of one of its input's axes. An input without that axis makes the op carry a fault. */
const along =
  (axis: number, reason: string) =>
  (scope: Scope, op: string, layer: (length: number) => Layer): Layer =>
  (x) => {
    const length = x.shape.at(axis)
    return length === undefined ? fail(scope, op, x, reason) : layer(length)(x)
  }

/** For `[batch, channels, ...]`. */
export const alongChannels = along(1, "the input must be [batch×channels×...]")

/** For the last axis. */
export const alongFeatures = along(-1, "a scalar has no last axis")

/** Of `[batch, channels, height, width]`, all four. */
export const ofImages = ofRank(4, "[batch×channels×height×width]")
