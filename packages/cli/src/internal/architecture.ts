/** An architecture as a person names it: a member of the family, a file, or a run's folder. */
import { UniNet } from "@uninet/network"
import { Architecture } from "@uninet/search-space"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Path from "effect/Path"
import * as Schema from "effect/Schema"
import { fault, usage } from "./CliFault.ts"
import * as runFolder from "./runFolder.ts"
import * as trainFolder from "./trainFolder.ts"

export const isName = (text: string): text is UniNet.Name => Object.hasOwn(UniNet.family, text)

/** An architecture, or a file that has one among other things, as `best.json` does. */
const File = Schema.fromJsonString(
  Schema.Union([Schema.Struct({ architecture: Architecture.Architecture }), Architecture.Architecture])
)

/** The file that a run's folder keeps its network in; any other path is that of a file. */
const fileOf = Effect.fnUntraced(function* (nameOrFile: string) {
  const fs = yield* FileSystem.FileSystem
  const path = yield* Path.Path
  const given = path.resolve(nameOrFile)
  for (const file of [runFolder.files.best, trainFolder.files.settings]) {
    const inside = path.join(given, file)
    if (yield* Effect.orElseSucceed(fs.exists(inside), () => false)) return inside
  }
  return given
})

/** The architecture of a family's name, a JSON file, or the folder of a search or a training. */
export const read = Effect.fnUntraced(function* (nameOrFile: string) {
  if (isName(nameOrFile)) return UniNet.family[nameOrFile]
  const fs = yield* FileSystem.FileSystem
  const names = Object.keys(UniNet.family)
  const text = yield* Effect.mapError(fs.readFileString(yield* fileOf(nameOrFile)), () =>
    usage(
      `"${nameOrFile}" is neither one of ${names.join(", ")} nor a file or run that can be read. Give one of them, or an architecture as JSON such as a search's best.json.`
    )
  )
  const decoded = yield* Effect.mapError(Schema.decodeEffect(File)(text), (error) =>
    fault(
      `${nameOrFile} holds no architecture: ${error.message.split("\n").join(" ")}. Give JSON as in a search's best.json.`
    )
  )
  return "architecture" in decoded ? decoded.architecture : decoded
})
