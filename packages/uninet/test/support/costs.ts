/**
 * MACs and parameters of UniNet's parts by their textbook formulas (convolutions, linear layers and attention's two products): what
 * holds of constraints must hold with any cost that adds up from stage to stage, not with `NetworkCosts` only.
 */
import { Cost } from "@uninet/search-space"
import { type Architecture, StageCost } from "@uninet/uninet"

type Costs = Cost.Costs<"macs" | "parameters">

const squeezed = (hidden: number) => Math.max(8, Math.floor((Math.floor(hidden / 4) + 4) / 8) * 8)

const conv = (weights: number, tokens: number): Costs => ({ macs: weights * tokens, parameters: weights })

const attention = (queries: number, keys: number, channels: number): Costs => ({
  macs: 2 * queries * keys * channels,
  parameters: 0
})

const sum = (...parts: ReadonlyArray<Costs>): Costs =>
  parts.reduce((a, b) => Cost.plus(a, b), { macs: 0, parameters: 0 })

const block = (stage: Architecture.Stage, cin: number, { height, width }: { height: number; width: number }): Costs => {
  const n = height * width
  const c = stage.channels
  const hidden = stage.expansion * cin
  const se = conv(2 * hidden * squeezed(hidden), 1)
  const ffn = conv(2 * stage.expansion * c * c, n)
  switch (stage.operator) {
    case "Conv":
      return sum(conv(9 * cin * hidden, n), se, conv(hidden * c, n))
    case "DWConv":
      return sum(conv(hidden === cin ? 0 : cin * hidden, n), conv(9 * hidden, n), se, conv(hidden * c, n))
    case "SA":
      return sum(conv(9 * c, n), conv(4 * c * c, n), attention(n, n, c), ffn)
    case "LSA": {
      const windows = Math.ceil(height / 7) * Math.ceil(width / 7)
      return sum(conv(9 * c, n), conv(4 * c * c, windows * 49), attention(windows * 49, 49, c), ffn)
    }
    default:
      return sum({ macs: 4 * n * n * c, parameters: 4 * n * n }, ffn)
  }
}

const downsample = (
  stage: Architecture.Stage,
  entry: StageCost.FeatureMap,
  out: { height: number; width: number }
): Costs => {
  const [n, m] = [entry.height * entry.width, out.height * out.width]
  const c = stage.channels
  const local = sum(conv(9 * entry.channels, m), conv(entry.channels * c, m), conv(entry.channels * c, m))
  if (stage.dsm === "L") return local
  return sum(local, conv(2 * entry.channels * c, n), attention(m, n, c), conv(c * c, m))
}

/** The cost of an architecture from its stages. */
export const cost: Cost.Cost<Architecture.Architecture, "macs" | "parameters"> = StageCost.byStage({
  stem: ({ image, stem }) =>
    conv(
      9 * image.channels * stem.channels,
      Math.ceil(image.height / stem.stride) * Math.ceil(image.width / stem.stride)
    ),
  stage: (stage, entry) => {
    const map = { height: Math.ceil(entry.height / stage.stride), width: Math.ceil(entry.width / stage.stride) }
    const blocks = (cin: number, n: number): Costs => {
      const one = block(stage, cin, map)
      return { macs: n * one.macs, parameters: n * one.parameters }
    }
    return stage.dsm === null
      ? sum(blocks(entry.channels, 1), blocks(stage.channels, stage.repeats - 1))
      : sum(downsample(stage, entry, map), blocks(stage.channels, stage.repeats))
  },
  head: (entry, { classes, head }) =>
    sum(conv(entry.channels * head.channels, entry.height * entry.width), conv(head.channels * classes, 1))
})
