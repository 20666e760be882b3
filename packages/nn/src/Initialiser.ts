/** How parameters start out, as in the released PyTorch code of UniNet (Sense-X/UniNet). */
import type { Op } from "@uninet/graph"

/** All 0. */
export const zero: Op.Initialiser = { kind: "constant", value: 0 }
/** All 1. */
export const one: Op.Initialiser = { kind: "constant", value: 1 }

/** Weights of linear layers: truncated normal of standard deviation 0.02. */
export const linear: Op.Initialiser = { kind: "truncatedNormal", deviation: 0.02 }

/** Weights and biases of convolutions, PyTorch's default: uniform in ±1/√fan-in (Kaiming's with a = √5). */
export const convolution = (fanIn: number): Op.Initialiser => ({ kind: "uniform", bound: 1 / Math.sqrt(fanIn) })

/** LayerScale's first value. */
export const layerScale: Op.Initialiser = { kind: "constant", value: 1e-6 }
