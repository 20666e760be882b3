import { assert, describe, it } from "@effect/vitest"
import { Facts, Task } from "@uninet/model-space"
import { Model } from "@uninet/nn"
import * as Result from "effect/Result"
import { distances } from "./support/rows.ts"

describe("a custom task", () => {
  it("allows nothing to be done to its examples unless it says so", () => {
    assert.deepInclude(distances, {
      classes: null,
      shares: [],
      mixed: null,
      running: null,
      allows: { augmentation: "none", labelSmoothing: false }
    })
    const coloured = Task.make({ ...distances, allows: { augmentation: "values" } })
    assert.deepStrictEqual(coloured.allows, { augmentation: "values", labelSmoothing: false })
  })

  it("is decided by a measure that it has", () => {
    // @ts-expect-error: it measures no accuracy
    Task.make({ ...distances, decides: "accuracy" })
    assert.deepStrictEqual(Task.measuresOf(distances), ["distance"])
  })

  it("measures in a direction", () => {
    assert.isAbove(Task.worth("higher")(0.9), Task.worth("higher")(0.8))
    assert.isAbove(Task.worth("lower")(0.8), Task.worth("lower")(0.9))
  })

  it("takes outputs by name and shape, whatever else there is", () => {
    const task = { ...distances, outputs: { masks: [3, null, null], y: [] } }
    const fitting = { masks: Model.input([3, 4, 5]), y: Model.input([]), more: Model.input([2]) }
    assert.isTrue(Result.isSuccess(Task.takes(fitting)(task)))
    const { message } = Result.getOrThrow(Result.flip(Task.takes({ ...fitting, masks: Model.input([4, 4, 5]) })(task)))
    assert.include(message, "takes the outputs masks [3×any×any], y [], but the model gives masks [4×4×5], y []")
    // A name that every object has is none of the model's.
    assert.isTrue(Result.isFailure(Task.takes(fitting)({ ...distances, outputs: { constructor: [] } })))
  })
})

describe("the facts of a data set", () => {
  it("are its inputs, targets and number of classes", () => {
    const pictures = { inputs: { image: Model.input([1, 28, 28]) }, targets: Model.input([], "int32") }
    assert.deepStrictEqual(Facts.of({ ...pictures, classes: ["a", "b"] }), {
      inputs: { image: { shape: [1, 28, 28], dtype: "float32" } },
      targets: { shape: [], dtype: "int32" },
      classes: 2
    })
    assert.isNull(Facts.of(pictures).classes)
  })
})
