/** Images of two classes; `UNINET_TEST_CLASSES` gives them other names, or the same names in another order, with labels to match. */
import { type DataError, type Dataset, Memory } from "@uninet/data"
import type * as Layer from "effect/Layer"

const classes = (process.env["UNINET_TEST_CLASSES"] ?? "ramp,bright").split(",")
const bright = classes.indexOf("bright")
const other = classes.findIndex((name) => name !== "bright")

/** Hard enough for some to be mistaken for the other class. */
const images = Uint8Array.from({ length: 96 * 144 }, (_, i) =>
  Math.floor(i / 144) % 3 === 0 ? (i * 2654435761) % 251 : 190 + ((i * 40503) % 61)
)
const labels = Array.from({ length: 96 }, (_, i) => (i % 3 === 0 ? other : Math.max(0, bright)))
const samples = { images, labels }

const layer: Layer.Layer<Dataset.Dataset, DataError.DataError> = Memory.layer({
  name: "stripes",
  classes,
  image: { channels: 1, height: 12, width: 12 },
  train: samples,
  validation: samples,
  test: samples
})

export default layer
