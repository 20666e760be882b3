import { assert, describe, it } from "@effect/vitest"
import { Device, Form, Measures, Operation, Predictor } from "@uninet/latency"
import { ModelSpace } from "@uninet/model-space"
import { Model } from "@uninet/nn"
import { Constrained, Prng, Space } from "@uninet/search-space"
import { MobileNet } from "@uninet/spaces"
import { UniNetSpace } from "@uninet/uninet"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"

const spaceFor = (classes: number) =>
  Result.getOrThrow(MobileNet.models({ channels: 1, height: 16, width: 16, classes }))
const mine = spaceFor(10)

const operationsOf = (point: MobileNet.Architecture) =>
  Operation.ofProgram(Result.getOrThrow(Model.evaluation()(Result.getOrThrow(mine.model(point)))))

/** A machine that takes so long for an op, whatever its neighbours. */
const price = ({ amounts: [, macs = 0, out = 0], family }: Operation.Operation) =>
  0.002 + 0.05 * macs + (family.startsWith("conv2d depthwise") ? 3 : 1) * out
const takes = (operations: ReadonlyArray<Operation.Operation>) =>
  operations.reduce((sum, operation) => sum + price(operation), 0.05)

const fit = () => {
  const prng = Prng.fromSeed("device")
  const points = Array.from({ length: 90 }, () => Space.sample(prng)(mine.space))
  const [seen, unseen] = [points.slice(0, 60), points.slice(60)]
  const { error, predictor } = Predictor.fit(
    seen.map((point) => ({ operations: operationsOf(point), milliseconds: takes(operationsOf(point)) }))
  )
  return { error, predictor, unseen }
}

let made: ReturnType<typeof fit> | undefined
const fitted = () => (made ??= fit())

const device = (predictor: Predictor.Predictor): Device.Device => ({
  format: "uninet device",
  version: Device.version,
  space: { name: mine.name, fingerprint: ModelSpace.fingerprint(mine) },
  target: { threads: 1, batch: 1 },
  machine: { processor: "a processor", cores: 2, system: "linux x64", onnxruntime: "1.30.0", node: "v24" },
  reference: 1.3,
  measured: 60,
  others: 0,
  error: { median: 0.01, ninety: 0.03 },
  predictor
})

const said = (text: string) => Result.getOrThrow(Result.flip(Device.parse(text))).message

describe("a device", () => {
  it("predicts networks that it has not seen, by whole networks alone, and says how well", () => {
    const { error, predictor, unseen } = fitted()
    const latency = Device.latency(device(predictor))(mine)
    const errors = unseen.map((point) => Math.abs(latency(point) / takes(operationsOf(point)) - 1))
    assert.isBelow(Math.max(...errors), 0.05)
    assert.isBelow(error.median, 0.02)
  })

  it("is the same from its file, and refused where it is damaged, edited or of another version", () => {
    const made = device({ fixed: 0.1, families: { relu: [1, 0, 0, 0, 0] }, corrections: {} })
    assert.deepEqual(Result.getOrThrow(Device.parse(Device.print(made))), made)
    assert.match(said("{}"), /^the device file contains no profile, or only part of one; give /)
    assert.match(said(Device.print(made).slice(0, 99)), /contains no profile/)
    assert.match(
      said(Device.print(made).replace('"fixed":0.1', '"fixed":0.2')),
      /has been changed since it was written; /
    )
    // Other spaces and lines between its numbers are the same file.
    const spread = JSON.stringify(JSON.parse(Device.print(made)), null, 2)
    assert.deepEqual(Result.getOrThrow(Device.parse(spread)), made)
    assert.match(said(JSON.stringify({ ...made, version: 99 })), /has version 99, but this uninet reads version 1; /)
    assert.match(said(JSON.stringify({ ...made, target: {} })), /is damaged; /)
  })

  it("is of one space for one kind of data, and refused for any other", () => {
    const made = device({ fixed: 0.1, families: {}, corrections: {} })
    assert.isTrue(Result.isSuccess(Device.fits(mine)(made)))
    const error = Result.getOrThrow(Result.flip(Device.fits(spaceFor(7))(made)))
    assert.match(error.message, /is for another mobilenet \(.*\), not for the mobilenet of this search; profile/)
    const taking = { ...made, space: { ...made.space, takes: "image [1×16×16], for 10 classes" } }
    assert.match(
      Result.getOrThrow(Result.flip(Device.fits(spaceFor(7))(taking))).message,
      /is for networks that take image \[1×16×16\], for 10 classes, but the networks of this search take image \[1×16×16\], for 7 classes; /
    )
  })

  it("prices what it has never seen at nothing, and what cannot be built at infinity", () => {
    const predictor = { fixed: 0.1, families: {}, corrections: {} }
    assert.strictEqual(Predictor.predict(predictor)(operationsOf(Space.seedPoint(mine.space))), 0.1)
    const no = new ModelSpace.Unbuildable({ space: "mobilenet", point: "it", reason: "no" })
    const broken: typeof mine = { ...mine, byParts: null, model: () => Result.fail(no) }
    assert.strictEqual(Device.latency(device(predictor))(broken)(Space.seedPoint(mine.space)), Infinity)
  })

  it("adds up along a space's parts to what the whole network's ops take", () => {
    const { predictor } = fitted()
    const facts = {
      inputs: { image: { shape: [1, 28, 28], dtype: "float32" as const } },
      targets: { shape: [], dtype: "int32" as const },
      classes: 10
    }
    for (const of of [
      ModelSpace.erased(Result.getOrThrow(MobileNet.forData()(facts))),
      ModelSpace.erased(Result.getOrThrow(UniNetSpace.forData()(facts)))
    ]) {
      const [byParts, whole] = [of, { ...of, byParts: null }].map((each) => Device.latency(device(predictor))(each))
      for (const point of [Space.seedPoint(of.space), Space.sample(Prng.fromSeed("parts"))(of.space)])
        assert.closeTo(byParts(point), whole(point), 1e-9)
    }
  })

  it("bounds latency along the chain", () => {
    const { predictor } = fitted()
    const of = Measures.add(ModelSpace.erased(mine), [], device(predictor))
    const most = 1.2 * (of.costs["latency"]?.(Space.seedPoint(of.space)) ?? 0)
    const constraints = ModelSpace.within<string>({ latency: { max: most } })(of)
    assert.deepEqual(
      constraints.map(({ chain }) => chain?.key),
      ["latency"]
    )
    const { mismatches } = Result.getOrThrow(Constrained.make(of.space, constraints))
    assert.deepEqual(mismatches, [])
  })

  it("gives a space its costs by their names, for bounds like any other", () => {
    const predictor = { fixed: 0.1, families: {}, corrections: {} }
    const of = Measures.add(ModelSpace.erased(mine), ["peakMemory", "fileSize"], device(predictor))
    const point = Space.seedPoint(mine.space)
    const { fileSize, latency, peakMemory } = Result.getOrThrow(ModelSpace.costsOf(point)(of))
    assert.strictEqual(latency, 0.1)
    assert.strictEqual(fileSize, Result.getOrThrow(Form.of(Result.getOrThrow(mine.model(point)))).length)
    // At least the first convolution's result, and the map that it reads.
    assert.isAtLeast(peakMemory, 4 * 16 * 16)
    const [bound] = ModelSpace.within<string>({ latency: { max: 0.05 } })(of)
    assert.strictEqual(bound?.of(point), 0.1)
    assert.isFalse(Object.hasOwn(Measures.add(ModelSpace.erased(mine), [], undefined).costs, "latency"))
  })

  it("that was profiled in eight bits bounds int8Latency, and knows no latency in floats", () => {
    const { predictor } = fitted()
    const int8: Device.Device = { ...device(predictor), precision: "int8" }
    const of = Measures.add(ModelSpace.erased(mine), [], Result.getOrThrow(Device.parse(Device.print(int8))))
    const point = Space.seedPoint(mine.space)
    assert.strictEqual(of.costs["int8Latency"]?.(point), Device.latency(int8)(mine)(point))
    assert.isFalse(Object.hasOwn(of.costs, "latency"))
    const [bound] = ModelSpace.within<string>({ int8Latency: { max: 1 } })(of)
    assert.deepEqual([bound?.chain?.key, bound?.of(point)], ["int8Latency", of.costs["int8Latency"]?.(point)])
    // What it is measured on is a file of bytes for the most part.
    const [float, bytes] = [Form.of, Form.int8].map((form) =>
      Result.getOrThrow(Result.flatMap(mine.model(point), (model): ReturnType<typeof form> => form(model)))
    )
    assert.isBelow(bytes?.length ?? 0, 0.8 * (float?.length ?? 0))
  })

  it.effect("needs some networks for a profile", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(Device.profile({ target: { threads: 1, batch: 1 }, seconds: 1e-9 })(mine))
      assert.match(error.message, /^only 0 networks were measured, but 40 are needed; /)
    })
  )
})
