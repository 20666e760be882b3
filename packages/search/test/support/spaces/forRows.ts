/** A module with a function that makes a space for the data set's examples. */
import type { Config } from "@uninet/search"
import * as Result from "effect/Result"
import { rows } from "../rows.ts"

const forRows: Config.SpaceFor = ({ inputs }) =>
  inputs["row"]?.shape[0] === 4
    ? Result.succeed(rows)
    : Result.fail({ message: `it takes rows of four numbers, and there are ${Object.keys(inputs).join(", ")}` })

export default forRows
