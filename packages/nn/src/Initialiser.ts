/** How parameters are initialised, as in the released PyTorch code of UniNet (Sense-X/UniNet). */
import type { Op } from "@uninet/graph"

/** All 0. */
export const zero: Op.Initialiser = { kind: "constant", value: 0 }
/** All 1. */
export const one: Op.Initialiser = { kind: "constant", value: 1 }

/** Weights of linear layers: truncated normal with standard deviation 0.02. */
export const linear: Op.Initialiser = { kind: "truncatedNormal", deviation: 0.02 }

/**
 * Weights and biases of convolutions; PyTorch's default: uniform in ±1/√fan-in (Kaiming's with a = √5).
 *
 * @example
 * ```ts
 * import { Initialiser, Parameter, Scope } from "@uninet/nn"
 *
 * // The filters of a 3×3 convolution over 16 channels: each sees 144 numbers.
 * const initialiser = Initialiser.convolution(16 * 3 * 3)
 * console.log(initialiser) // { kind: 'uniform', bound: 0.08333333333333333 }
 * console.log(Parameter.parameter(Scope.make("training", "stem"), "weight", [32, 16, 3, 3], initialiser, true).shape)
 * ```
 */
export const convolution = (fanIn: number): Op.Initialiser => ({ kind: "uniform", bound: 1 / Math.sqrt(fanIn) })

/** LayerScale's initial value. */
export const layerScale: Op.Initialiser = { kind: "constant", value: 1e-6 }
