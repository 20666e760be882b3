import { assert, describe, it } from "@effect/vitest"
import { gradient, Op, type Tensor } from "@uninet/graph"
import { Loss } from "@uninet/nn"
import { evaluate } from "../../graph/test/support/interpreter.ts"
import { distance, numbers, program } from "./support.ts"

const sigmoid = (x: number) => 1 / (1 + Math.exp(-x))

/** The logarithm of the sigmoid, −log(1 + e^−x), written so that nothing overflows. */
const logSigmoid = (x: number) => Math.min(x, 0) - Math.log1p(Math.exp(-Math.abs(x)))

describe("cross entropy", () => {
  const shape = [3, 4]
  const logits = Op.input("logits", shape)
  const labels = Op.input("labels", [3], "int32")
  const given = { inputs: { logits: numbers(shape, 3), labels: [2, 0, 3] } }
  const logSoftmax = (row: number) => {
    const scores = given.inputs.logits.slice(4 * row, 4 * row + 4)
    const total = Math.log(scores.reduce((sum, s) => sum + Math.exp(s), 0))
    return scores.map((s) => s - total)
  }

  it("is the mean of minus the label's log-probability", () => {
    const { loss } = evaluate(program({ loss: Loss.crossEntropy(logits, labels) }), given).outputs
    const expected = given.inputs.labels.reduce((sum, label, row) => sum - logSoftmax(row)[label] / 3, 0)
    assert.closeTo(loss[0], expected, 1e-12)
  })

  it("spreads the smoothing over all classes", () => {
    const smoothed = Loss.crossEntropy(logits, labels, { labelSmoothing: 0.1 })
    const { loss } = evaluate(program({ loss: smoothed }), given).outputs
    const expected = given.inputs.labels.reduce((sum, label, row) => {
      const p = logSoftmax(row)
      return sum - (0.9 * p[label] + (0.1 / 4) * p.reduce((a, b) => a + b)) / 3
    }, 0)
    assert.closeTo(loss[0], expected, 1e-12)
  })
})

describe("cross entropy of pixels", () => {
  const shape = [2, 3, 2, 2]
  const logits = Op.input("logits", shape)
  const labels = Op.input("labels", [2, 2, 2], "int32")
  const given = (labels: ReadonlyArray<number>) => ({ inputs: { logits: numbers(shape, 3), labels } })
  const logSoftmax = (pixel: number) => {
    const [b, at] = [pixel >> 2, pixel % 4]
    const scores = [0, 1, 2].map((c) => numbers(shape, 3)[(3 * b + c) * 4 + at])
    const total = Math.log(scores.reduce((sum, s) => sum + Math.exp(s), 0))
    return scores.map((s) => s - total)
  }

  it("is the mean over the pixels that have a label", () => {
    const classes = [0, 2, 255, 1, 1, -1, 0, 2]
    const labelled = classes.flatMap((label, pixel) => (label === 255 || label < 0 ? [] : [[label, pixel] as const]))
    for (const labelSmoothing of [0, 0.3]) {
      const { loss } = evaluate(
        program({ loss: Loss.pixelCrossEntropy(logits, labels, { labelSmoothing }) }),
        given(classes)
      ).outputs
      const expected = labelled.reduce((sum, [label, pixel]) => {
        const p = logSoftmax(pixel)
        const all = p.reduce((a, b) => a + b)
        return sum - ((1 - labelSmoothing) * p[label] + (labelSmoothing / 3) * all) / labelled.length
      }, 0)
      assert.closeTo(loss[0], expected, 1e-12)
    }
    const none = evaluate(program({ loss: Loss.pixelCrossEntropy(logits, labels) }), given(Array(8).fill(-1)))
    assert.strictEqual(none.outputs["loss"][0] + 0, 0)
  })

  it("refuses labels of other sizes", () => {
    const wrong = Loss.pixelCrossEntropy(logits, Op.input("l", [2, 4], "int32")).fault
    assert.include(wrong?.message, "loss (pixelCrossEntropy): the labels must be [2×2×2], not [2×4]")
    assert.include(Loss.pixelCrossEntropy(Op.input("l", [2, 3]), labels).fault?.message, "[batch×classes×height×width]")
  })
})

describe("losses of numbers", () => {
  const shape = [2, 3]
  const [p, t] = [Op.input("p", shape), Op.input("t", shape)]
  const data = { p: [1, -2, 0, 30, -200, 0.5], t: [0, -2, 1, 1, 0, 0.25] }
  const of = (loss: Tensor.Tensor) => evaluate(program({ loss }), { inputs: data }).outputs["loss"][0]
  const mean = (f: (p: number, t: number) => number) => data.p.reduce((sum, x, i) => sum + f(x, data.t[i]) / 6, 0)
  const slopes = (loss: Tensor.Tensor, wrt: Tensor.Tensor = p) => {
    const [slope] = gradient(loss, [wrt])
    assert.isDefined(slope)
    return Array.from(evaluate(program({ slope }), { inputs: data }).outputs["slope"], (x) => 6 * x)
  }

  it("are means of squares, of absolute values, and of minus the logarithm of a probability", () => {
    assert.closeTo(
      of(Loss.meanSquaredError(p, t)),
      mean((x, y) => (x - y) ** 2),
      1e-12
    )
    assert.isBelow(
      distance(
        slopes(Loss.meanSquaredError(p, t)),
        data.p.map((x, i) => 2 * (x - data.t[i]))
      ),
      1e-12
    )
    assert.closeTo(
      of(Loss.meanAbsoluteError(p, t)),
      mean((x, y) => Math.abs(x - y)),
      1e-12
    )
    assert.isBelow(distance(slopes(Loss.meanAbsoluteError(p, t)), [1, 0, -1, 1, -1, 1]), 1e-12)
    const entropy = mean((x, y) => -y * logSigmoid(x) - (1 - y) * logSigmoid(-x))
    assert.closeTo(of(Loss.binaryCrossEntropy(p, t)), entropy, 1e-12)
  })

  it("binary cross entropy has the gradient σ(x) − t everywhere, at 0 and far out too", () => {
    assert.isBelow(
      distance(
        slopes(Loss.binaryCrossEntropy(p, t)),
        data.p.map((x, i) => sigmoid(x) - data.t[i])
      ),
      1e-12
    )
    assert.isBelow(
      distance(
        slopes(Loss.binaryCrossEntropy(p, t), t),
        data.p.map((x) => -x)
      ),
      1e-12
    )
  })

  it("refuse targets of another shape, which broadcasting would take silently", () => {
    for (const loss of [Loss.meanSquaredError, Loss.meanAbsoluteError, Loss.binaryCrossEntropy])
      assert.include(
        loss(p, Op.input("row", [3])).fault?.message,
        `loss (${loss.name}): the targets must have the predictions' shape, not [3]`
      )
  })

  it("cross entropy refuses a label smoothing that is no share", () => {
    for (const labelSmoothing of [-0.1, 1.1, Number.NaN]) {
      const wrong = Loss.crossEntropy(p, Op.input("labels", [2], "int32"), { labelSmoothing }).fault
      assert.include(wrong?.message, `the label smoothing must lie in [0, 1], not be ${labelSmoothing}`)
    }
  })
})
