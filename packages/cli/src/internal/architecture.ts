/** An architecture as a person names it: a member of the family, or a file. */
import { UniNet } from "@uninet/network"
import { Architecture } from "@uninet/search-space"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Path from "effect/Path"
import * as Schema from "effect/Schema"
import { fault, usage } from "./CliFault.ts"

const isName = (text: string): text is UniNet.Name => Object.hasOwn(UniNet.family, text)

/** An architecture, or a file that has one among other things, as `best.json` does. */
const File = Schema.fromJsonString(
  Schema.Union([Schema.Struct({ architecture: Architecture.Architecture }), Architecture.Architecture])
)

/** The architecture of a family's name or a JSON file. */
export const read = Effect.fnUntraced(function* (nameOrFile: string) {
  if (isName(nameOrFile)) return UniNet.family[nameOrFile]
  const fs = yield* FileSystem.FileSystem
  const path = yield* Path.Path
  const names = Object.keys(UniNet.family)
  const text = yield* Effect.mapError(fs.readFileString(path.resolve(nameOrFile)), () =>
    usage(
      `"${nameOrFile}" is neither one of ${names.join(", ")} nor a file that can be read. Give one of them, or an architecture as JSON such as a search's best.json.`
    )
  )
  const decoded = yield* Effect.mapError(Schema.decodeEffect(File)(text), (error) =>
    fault(
      `${nameOrFile} holds no architecture: ${error.message.split("\n").join(" ")}. Give JSON as in a search's best.json.`
    )
  )
  return "architecture" in decoded ? decoded.architecture : decoded
})
