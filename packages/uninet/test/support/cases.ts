/** The cases of operators.safetensors: which operator or module each one is, with which configuration, and how its parameters are called here. */
import { type Dsm, DsmSet } from "@uninet/dsm"
import type { Layer, Scope } from "@uninet/nn"
import { type Operator, OperatorSet } from "@uninet/operators"

export interface Case {
  readonly layer: (scope: Scope.Scope) => Layer.Layer
  /** This project's name (the authors', where they have the module) of a parameter of the reference. */
  readonly rename: (name: string) => string
}

const renamer =
  (table: Readonly<Record<string, string>>) =>
  (name: string): string => {
    const last = name.lastIndexOf(".")
    const [layer, parameter] = last < 0 ? [name, ""] : [name.slice(0, last), name.slice(last)]
    return (table[layer] ?? layer) + parameter
  }

const feedForward = { gamma1: "gamma_1", gamma2: "gamma_2", "ffn.up": "mlp.fc1", "ffn.down": "mlp.fc2" }
const transformer = { ...feedForward, position: "pos_embed", "attention.qkv": "attn.qkv", "attention.out": "attn.proj" }

const operatorNames: Readonly<Record<OperatorSet.Name, Readonly<Record<string, string>>>> = {
  Conv: { "se.reduce": "se.fc1", "se.expand": "se.fc2" },
  DWConv: {
    norm1: "b1.0",
    expand: "b1.1",
    norm2: "b1.2",
    depthwise: "b2.0",
    norm3: "b2.1",
    "se.reduce": "b2.3.fc1",
    "se.expand": "b2.3.fc2",
    project: "b2.4",
    norm4: "b2.5",
    short: "residual.1"
  },
  SA: transformer,
  LSA: transformer,
  MLP: { ...feedForward, mix_up: "mix.fc1", mix_down: "mix.fc2" }
}

const operator = (name: OperatorSet.Name, config: Partial<Operator.Config>): Case => ({
  layer: (scope) =>
    OperatorSet.standard[name].layer(scope, {
      inChannels: 16,
      channels: 16,
      expansion: 2,
      headDim: 16,
      stochasticDepth: 0,
      settings: {},
      ...config
    }),
  rename: renamer(operatorNames[name])
})

const dsm = (name: DsmSet.Name, stride: number): Case => {
  const config: Dsm.Config = { inChannels: 16, channels: name === "L" ? 24 : 32, stride, headDim: 16, settings: {} }
  const branch = name === "L" ? "downsample" : "q"
  return {
    layer: (scope) => DsmSet.standard[name].layer(scope, config),
    rename: renamer({
      depthwise: `${branch}.0`,
      norm: `${branch}.1`,
      project: `${branch}.2`,
      "residual.project": stride === 1 ? "residual.0" : "residual.1",
      norm_q: "q_norm",
      norm_kv: "kv_norm",
      out: "proj"
    })
  }
}

export const cases: Readonly<Record<string, Case>> = {
  "gop/Conv": operator("Conv", {}),
  "gop/DWConv": operator("DWConv", { expansion: 4 }),
  "gop/DWConv.widen": operator("DWConv", { channels: 24, expansion: 1 }),
  "gop/SA": operator("SA", { inChannels: 32, channels: 32, expansion: 3 }),
  "gop/LSA": operator("LSA", { inChannels: 32, channels: 32 }),
  "gop/MLP": operator("MLP", { inChannels: 24, channels: 24 }),
  ...Object.fromEntries(
    (["L", "LG", "G"] as const).flatMap((name) => [
      [`dsm/${name}.s1.6x5`, dsm(name, 1)],
      [`dsm/${name}.s2.6x6`, dsm(name, 2)],
      [`dsm/${name}.s2.7x5`, dsm(name, 2)]
    ])
  )
}
