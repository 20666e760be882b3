import * as NodeServices from "@effect/platform-node/NodeServices"
import { assert, describe, it } from "@effect/vitest"
import { Card, Exported, GraphModule, PyTorch, Specimens, type Trained } from "@uninet/export"
import { Op, type Tensor } from "@uninet/graph"
import { Model, Nn, Parameter, Scope } from "@uninet/nn"
import { OnnxRuntime } from "@uninet/runtime"
import { Prng } from "@uninet/search-space"
import { Initialise } from "@uninet/trainer"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Layer from "effect/Layer"
import * as Result from "effect/Result"
import { join } from "node:path"

const services = Layer.mergeAll(OnnxRuntime.cpu(), NodeServices.layer)

/** Ops that only occur in a training step: gradients, moments, batch statistics. */
const ofTraining =
  /Grad|^adamw|^sgd|^lamb|^movingAverage|^globalNorm|^clipByNorm|^batchMoments|^softmaxGrad|^rmsProp|^composite/i

/** Squares positive values: a custom op. */
const squaredRelu = Op.composite({ name: "squaredRelu", build: ([x]) => Op.mul(Op.relu(x), Op.relu(x)) })

/** A network that contains every op of an evaluation, some in several variants. */
const everyOp = Model.make({
  inputs: { image: Model.input([3, 9, 12]), words: Model.input([5], "int32") },
  forward: (scope, { image, words }) => {
    const at = (name: string) => Scope.at(name)(scope)
    const [batch] = image.shape
    const table = Parameter.parameter(at("table"), "weight", [7, 8], { kind: "truncatedNormal", deviation: 1 }, false)
    let map: Tensor.Tensor = Nn.batchNorm(at("norm"))(Nn.convolution(at("conv"), { out: 8, kernel: 3 })(image))
    map = Op.add(map, Nn.convolution(at("dilated"), { out: 8, kernel: 3, dilation: 2, bias: false })(image))
    map = Op.add(map, Nn.convolution(at("lopsided"), { out: 8, kernel: 3, padding: [2, 0, 0, 2] })(image))
    map = Nn.batchNorm(at("plain"), { affine: false })(Nn.gelu(at("gelu"))(map))
    const halves = [
      Nn.maxPool2d(at("max"), { kernel: 3, stride: 2 })(map),
      Nn.maxPool2d(at("wide"), { kernel: 3, stride: 2, padding: [2, 1, 0, 1] })(map),
      Nn.averagePool2d(at("mean"), { kernel: 3, stride: 2, countPadding: false })(map),
      Nn.averagePool2d(at("counted"), { kernel: 3, stride: 2, padding: [2, 1, 0, 1] })(map)
    ]
    const pooled = halves.reduce((sum, half) => Op.add(sum, half))
    const large = [
      Nn.resize(at("near"), { size: [7, 5] })(pooled),
      Nn.resize(at("smooth"), { size: [7, 5], mode: "bilinear" })(pooled)
    ].reduce((sum, each) => Op.sub(sum, each))
    const tokens = Op.toTokens(large)
    const mixed = Nn.selfAttention(at("attention"), { headDim: 4, causal: true })(Nn.layerNorm(at("layerNorm"))(tokens))
    const windowed = Nn.windowAttention(at("windows"), { headDim: 4, window: 3, height: 7, width: 5 })(mixed)
    const back = Op.toImage(Op.transpose(Op.transpose(windowed, [0, 2, 1]), [0, 2, 1]), 7, 5)
    const read = Op.gather(table, words)
    const written = Op.concat([read, Op.slice(Op.pad(read, [0, 1, 0], [0, 0, 2]), 2, 0, 8)], 1)
    const gates = [Op.sigmoid, Op.tanh, Op.silu, Op.relu, Op.hardSigmoid].map((gate) => gate(written))
    const sums = gates.reduce<Tensor.Tensor>((a, b) => Op.max(a, Op.min(b, Op.fill(0.75))), written)
    const offsets = Op.constant(
      Float32Array.from({ length: 8 }, (_, i) => 0.5 + i / 10),
      [8]
    )
    const odd = Op.div(Op.log(Op.sqrt(Op.add(Op.exp(Op.neg(Op.abs(sums))), offsets))), Op.sign(Op.fill(-2)))
    const compared = Op.add(Op.greater(odd, sums), Op.add(Op.greaterOrEqual(odd, sums), Op.equal(sums, sums)))
    const spread = Op.broadcastTo(Op.fill(0.25), [batch, 11, 8])
    const words8 = Op.mean(Op.add(Op.add(odd, compared), spread), [1])
    const described = Op.matmul(Op.reshape(words8, [batch, 1, 8]), Op.reshape(words8, [batch, 8, 1]))
    const logits = Nn.linear(at("head"), { out: 6 })(Op.add(Op.globalAveragePool(back), words8))
    const hot = Op.oneHot(Op.argMax(logits), 6)
    return {
      logits: Op.add(Op.softmax(logits), Op.add(Op.logSoftmax(squaredRelu([logits])), hot)),
      scale: Op.add(Op.sum(Op.reduceMax(map, [1]), [1, 2]), Op.reshape(Op.reciprocal(described), [batch]))
    }
  }
})

const trainedOf = (model: Model.Model): Trained.Trained => {
  const { variables } = Result.getOrThrow(Model.evaluation()(model))
  const weights = new Map(
    [...Initialise.values(Prng.fromSeed("graph"))(variables)].map(([name, values]) => {
      const prng = Prng.fromSeed(name)
      // Running variances are positive, and nothing is 0 or 1 by chance.
      return [name, values.map((value) => Math.abs(value) + 0.1 + 0.2 * prng.nextFloat())] as const
    })
  )
  const card = Result.getOrThrow(Card.of(model, { network: null, line: "every op", task: "none" }))
  return { model, weights, card, pytorch: null }
}

const formOf = (forward: Parameters<typeof Model.make>[0]["forward"]) =>
  GraphModule.of(Model.make({ inputs: { x: Model.input([4]) }, forward }))

const said = (forward: Parameters<typeof formOf>[0]) => Result.getOrThrow(Result.flip(formOf(forward))).message

describe("a PyTorch module from a graph", () => {
  it("knows every op that can stand in an evaluation", () => {
    const { nodes } = Result.getOrThrow(Model.evaluation({ batch: 2 })(everyOp))
    const used = new Set<string>(nodes.map(({ kind }) => kind))
    const missing = Object.keys(Op.definitions).filter(
      (kind) => !ofTraining.test(kind) && kind !== "batchNorm" && kind !== "scatterAdd"
    )
    assert.deepStrictEqual(
      missing.filter((kind) => !used.has(kind)),
      []
    )
    assert.isTrue(Result.isSuccess(GraphModule.of(everyOp)))
  })

  it.live("gives what the network gives", (context) =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const folder = yield* fs.makeTempDirectoryScoped()
      const trained = trainedOf(everyOp)
      const { check, unchecked } = yield* Exported.write({
        format: "pytorch",
        file: join(folder, "ops.py"),
        examples: Specimens.drawn(20)(trained.card.inputs)
      })(trained)
      if (check === undefined) return context.skip(unchecked)
      assert.strictEqual(check.examples, 20)
      assert.isBelow(check.worst, 1e-4)
    }).pipe(Effect.scoped, Effect.provide(services))
  )

  it("reads like a program: a line an op, a comment a layer, parameters under their names", () => {
    const form = Result.getOrThrow(
      formOf((scope, { x }) => ({
        y: Nn.relu(Scope.at("act")(scope))(Nn.linear(Scope.at("in")(scope), { out: 2 })(x))
      }))
    )
    assert.strictEqual(
      form.network,
      `class Network(nn.Module):
    """Generated from the network's graph, op by op."""

    def __init__(self):
        super().__init__()
        place(self, "in.weight", torch.zeros((2, 4)), True)
        place(self, "in.bias", torch.zeros((2,)), True)

    def forward(self, x):
        batch = len(x)
        w = {**dict(self.named_parameters()), **dict(self.named_buffers())}
        # in
        t3 = F.linear(x, w["in.weight"], w["in.bias"])
        # act
        t4 = F.relu(t3)
        return t4`
    )
    const text = Result.getOrThrow(PyTorch.module(trainedOf(everyOp)))
    assert.match(text, /^ {4}def forward\(self, image, words\):$/m)
    assert.match(text, /\.reshape\(\(batch, 1, 8\)\)/)
  })

  it("gives names that Python has taken another end", () => {
    const model = Model.make({
      inputs: { class: Model.input([2]), t1: Model.input([2]), "2d map": Model.input([2]) },
      forward: (_, inputs) => ({ y: Op.add(inputs.class, Op.add(inputs.t1, inputs["2d map"])) })
    })
    assert.include(Result.getOrThrow(GraphModule.of(model)).network, "def forward(self, class_, t1_, _2d_map):")
  })

  it("says which op has no form, and what depends on the batch", () => {
    assert.strictEqual(
      said((_, { x }) => ({ y: Op.scatterAdd(x, Op.constant(new Int32Array(x.shape[0]), [x.shape[0]]), 3) })),
      "the op constant (at ) depends on the batch size"
    )
    assert.match(
      said((_, { x }) => ({ y: Op.scale(x, 1 / x.shape[0]) })),
      /^the op fill \(at .*\) depends on the batch size$/
    )
  })
})
