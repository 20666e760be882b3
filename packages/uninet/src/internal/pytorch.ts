/** UniNet's networks as a PyTorch module for people to read, whose parameters have the names of the released code. */
import type { PyTorch } from "@uninet/model-space"
import * as Result from "effect/Result"
import type { Architecture } from "../Architecture.ts"
import type * as Kit from "../Kit.ts"
import * as Network from "../Network.ts"

/** A block's PyTorch form with the expression that makes it, if its operator or module has one. */
const formOf = (block: Network.Block) => {
  if (block.kind === "dsm") {
    const { pytorch } = block.dsm
    return pytorch && { definitions: pytorch.definitions, text: pytorch.expression(block.config, block.input) }
  }
  const { pytorch } = block.operator
  return (
    pytorch && {
      definitions: pytorch.definitions,
      text: pytorch.expression({ ...block.config, stochasticDepth: 0 }, block.input)
    }
  )
}

/** The blocks of all stages as arguments of a `Sequential`, with equal neighbours on one line. */
const blocksOf = (blocks: ReadonlyArray<Network.Block>) =>
  Result.gen(function* () {
    const definitions = new Set<string>()
    const lines: Array<{ readonly stage: number; readonly text: string; times: number; readonly size: string }> = []
    for (const block of blocks) {
      const form = formOf(block)
      if (form === undefined)
        return yield* Result.fail({ message: `stage ${block.stage}: ${block.name} has no PyTorch text` })
      for (const definition of form.definitions) definitions.add(definition)
      const last = lines[lines.length - 1]
      const { height, width } = block.output
      if (last?.text === form.text && last.stage === block.stage) last.times++
      else lines.push({ stage: block.stage, text: form.text, times: 1, size: `${height}x${width}` })
    }
    const text = lines
      .flatMap(({ size, stage, text, times }, i) => [
        ...(lines[i - 1]?.stage === stage ? [] : [`# stage ${stage}: ${size}`]),
        times === 1 ? `${text},` : `*[${text} for _ in range(${times})],`
      ])
      .map((line) => `            ${line}`)
      .join("\n")
    return { definitions: [...definitions], text }
  })

const className = "UniNet"

/** The PyTorch form of an architecture's network. Fails if an operator or module has no PyTorch code. */
export const make =
  (kit: Kit.Kit): PyTorch<Architecture> =>
  (architecture) =>
    Result.gen(function* () {
      const { classes, head, image, stages, stem } = architecture
      const { blocks } = yield* Network.make(architecture, kit)
      const { definitions, text } = yield* blocksOf(blocks)
      const last = stages[stages.length - 1]?.channels ?? stem.channels
      return {
        definitions,
        className,
        network: `class ${className}(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(${image.channels}, ${stem.channels}, 3, ${stem.stride}, 1, bias=False),
            nn.BatchNorm2d(${stem.channels}),
            nn.GELU(),
        )
        self.blocks = nn.Sequential(
${text}
        )
        self.head = nn.Sequential(
            nn.Conv2d(${last}, ${head.channels}, 1, bias=False),
            nn.BatchNorm2d(${head.channels}),
            nn.GELU(),
        )
        self.classifier = nn.Linear(${head.channels}, ${classes})

    def forward(self, image):
        x = self.head(self.blocks(self.stem(image)))
        return self.classifier(x.mean((2, 3)))`
      }
    })
