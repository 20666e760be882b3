/** Rows of examples as ONNX Runtime takes them. */
import type { Model } from "@uninet/nn"
import * as ort from "onnxruntime-node"
import type * as Examples from "../Examples.ts"

/** What a session is given of `count` rows. An input that the network does not use is not an input of the file. */
export const feedsOf = (
  session: Pick<ort.InferenceSession, "inputNames">,
  inputs: Model.Ports,
  rows: Examples.Examples["inputs"],
  count: number
): ort.InferenceSession.OnnxValueMapType =>
  Object.fromEntries(
    Object.entries(inputs).flatMap(([name, { dtype, shape }]) => {
      const values = session.inputNames.includes(name) ? rows[name] : undefined
      return values === undefined ? [] : [[name, new ort.Tensor(dtype, values, [count, ...shape])]]
    })
  )
