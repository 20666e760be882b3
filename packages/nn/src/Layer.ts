/** A layer is a function of a tensor. The scope it was made in names its parameters. */
import { Shape, ShapeError, type Tensor } from "@uninet/graph"
import type { Scope } from "./Scope.ts"

/** A layer: a function of a tensor. A shape that it does not take gives a tensor that carries the error to `Program.make`. */
export type Layer = (x: Tensor.Tensor) => Tensor.Tensor

/**
 * The layer that returns its input, whatever its shape.
 *
 * @example
 * ```ts
 * import { Op } from "@uninet/graph"
 * import { Layer, Nn, Scope } from "@uninet/nn"
 *
 * // A shortcut is projected only where the number of channels changes.
 * const scope = Scope.make("training", "block")
 * const shortcut = (channels: number, out: number) =>
 *   channels === out ? Layer.identity : Nn.pointwise(Scope.at("shortcut")(scope), { out })
 * const x = Op.input("x", [8, 32, 16, 16])
 * console.log(shortcut(32, 32)(x) === x, shortcut(32, 64)(x).shape) // true [ 8, 64, 16, 16 ]
 * ```
 */
export const identity: Layer = (x) => x

/**
 * The result of a layer that cannot be applied to `x`: a tensor in the shape of `x` that carries the reason to `Program.make`, as the ops' results do.
 *
 * @example
 * ```ts
 * import { Op, Program } from "@uninet/graph"
 * import { Layer, Scope } from "@uninet/nn"
 * import { Result } from "effect"
 *
 * const scope = Scope.make("training")
 * const x = Op.input("x", [8, 32, 16, 16])
 * const wrong = Layer.fail(scope, "attention", x, "48 channels do not divide evenly into heads of 32")
 * console.log(Result.isFailure(Program.make({ outputs: { wrong } }))) // true
 * ```
 */
export const fail = (scope: Scope, op: string, x: Tensor.Tensor, reason: string): Tensor.Tensor => ({
  ...x,
  fault: x.fault ?? new ShapeError({ path: scope.path, op, shapes: [[...x.shape]], reason })
})

/**
 * A layer that is built from the lengths of its input's axes. An input of another rank than `rank` is a `ShapeError`, as with `fail`; it names the `axes`, if they are given: `[batch×tokens×channels]`.
 *
 * @example
 * ```ts
 * import { Op } from "@uninet/graph"
 * import { Layer, Nn, Scope } from "@uninet/nn"
 *
 * // As many channels as came in.
 * const scope = Scope.make("training", "mix")
 * const mix = Layer.ofRank(4)(scope, "mix", ([, channels]) => Nn.pointwise(scope, { out: channels }))
 * console.log(mix(Op.input("x", [8, 32, 16, 16])).shape) // [ 8, 32, 16, 16 ]
 * ```
 */
export const ofRank =
  <Rank extends number>(rank: Rank, axes?: string) =>
  (scope: Scope, op: string, make: (shape: Shape.OfRank<Rank>) => Layer): Layer =>
  (x) =>
    Shape.hasRank(rank)(x.shape)
      ? make(x.shape)(x)
      : fail(
          scope,
          op,
          x,
          `the input must ${axes === undefined ? `have ${rank} axes, not ${x.shape.length}` : `be ${axes}`}`
        )
