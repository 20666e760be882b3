/**
 * A network as data, and by the ways to name it: a member of UniNet's family, a JSON file, or a run's folder. What is stored of a network
 * is its space, the examples that the space was made for, and its point.
 */
import { Facts, ModelSpace } from "@uninet/model-space"
import { type ConfigError, SpaceSource } from "@uninet/search"
import { Architecture, UniNet } from "@uninet/uninet"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Option from "effect/Option"
import * as Path from "effect/Path"
import * as Predicate from "effect/Predicate"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as SchemaIssue from "effect/SchemaIssue"
import { Flag } from "effect/cli"
import { at, type CliFault, fault, usage } from "./CliFault.ts"
import * as command from "./command.ts"
import * as paths from "./paths.ts"
import * as runFolder from "./runFolder.ts"
import * as spaces from "./spaces.ts"

/** What is stored of a network. A module's path is relative to the folder in which the command ran. */
export const Network = Schema.Struct({
  space: SpaceSource.SpaceSource,
  facts: Facts.Facts,
  point: Schema.Json,
  /**
   * The point's network at the time, by `ModelSpace.networkDigest`: a module may now make a different one from the same point. Absent in
   * files from earlier versions.
   */
  graph: Schema.optionalKey(Schema.String)
})
export type Network = typeof Network.Type

/** A network whose space is available. */
export interface Found {
  readonly source: SpaceSource.SpaceSource
  readonly facts: Facts.Facts
  readonly of: ModelSpace.Any
  readonly point: unknown
}

/** `--config` for commands that take a network: for a run whose space's module has moved. */
export const config = Flag.Path("config").pipe(
  Flag.withMetavar("file"),
  Flag.optional,
  Flag.withDescription("The module of the network's space, if it has moved")
)

/** The network in its stored form. */
export const kept = ({ facts, of, point, source }: Found): Network => ({
  space: source._tag === "Named" ? source : { ...source, path: paths.portable(source.path) },
  facts,
  point: ModelSpace.write(point)(of),
  ...Result.match(ModelSpace.networkDigest(point)(of), { onSuccess: (graph) => ({ graph }), onFailure: () => ({}) })
})

const encode = Schema.encodeSync(Schema.toCodecJson(Network))

/** The network as plain JSON. */
export const toJson = (found: Found): Schema.Json => Schema.decodeUnknownSync(Schema.Json)(encode(kept(found)))

/** Whether this is a member of the family. */
export const isFamily = (text: string): text is UniNet.Name => Object.hasOwn(UniNet.family, text)

export const family: ReadonlyArray<string> = Object.keys(UniNet.family)

/** What a person typed: `b0` means B0. */
export const named = (text: string): string => family.find((name) => name.toLowerCase() === text.toLowerCase()) ?? text

/** The message for a network that is not there: an unknown name is a mistake in the command line, a missing file or run is not. */
export const missing = (text: string): CliFault => {
  const problem = `"${text}" is neither one of ${family.join(", ")} nor a file or run that can be read. Give one of them, or a network as JSON such as a search's best.json.`
  return /^b\d+$/i.test(text) ? usage(problem) : fault(problem)
}

/** An architecture of UniNet as a network. */
const ofArchitecture = (architecture: Architecture.Architecture): Network => {
  const { classes, image } = architecture
  return {
    space: spaces.standard,
    facts: {
      inputs: { image: { shape: [image.channels, image.height, image.width], dtype: "float32" } },
      targets: { shape: [], dtype: "int32" },
      classes
    },
    point: Schema.decodeUnknownSync(Schema.Json)(JSON.parse(JSON.stringify(architecture)))
  }
}

/** A member of the family for the examples of a data set, with its image size and its classes. */
export const memberFor = (name: UniNet.Name, { classes, inputs }: Facts.Facts): Network => {
  const [channels, height, width, ...others] = inputs["image"]?.shape ?? []
  const isPicture = channels !== undefined && height !== undefined && width !== undefined && others.length === 0
  return ofArchitecture(
    isPicture && classes !== null
      ? UniNet.withImage({ channels, height, width }, classes)(UniNet.family[name])
      : UniNet.family[name]
  )
}

const form =
  <A>(schema: Schema.Codec<A, unknown>, networkOf: (said: A) => Network) =>
  (json: unknown): Result.Result<Network, Schema.SchemaError> =>
    Result.map(Schema.decodeUnknownResult(schema)(json), networkOf)

/** What a file may say about a network, by the key that identifies the form: this version's own, or an architecture of UniNet, alone or among other things. */
const forms = Object.entries({
  network: form(Schema.Struct({ network: Network }), ({ network }) => network),
  point: form(Network, (network) => network),
  architecture: form(Schema.Struct({ architecture: Architecture.Architecture }), ({ architecture }) =>
    ofArchitecture(architecture)
  ),
  stages: form(Architecture.Architecture, ofArchitecture)
})

const issues = SchemaIssue.makeFormatterStandardSchemaV1()

/** A file's description of a network, or what is wrong with it, in words. */
export const parse = (text: string): Result.Result<Network, string> => {
  const json = Schema.decodeUnknownResult(Schema.fromJsonString(Schema.Json))(text)
  if (Result.isFailure(json)) return Result.fail("it is not JSON")
  const known = forms.find(([key]) => Predicate.hasProperty(json.success, key))
  if (known === undefined) return Result.fail("it has neither a network nor a point with its space")
  const [, read] = known
  return Result.mapError(read(json.success), ({ issue }) => {
    const [first] = issues(issue).issues
    return `${(first?.path ?? []).map(String).join(".")}: ${first?.message.replace(/^./, (letter) => letter.toLowerCase())}`
  })
}

/** The source with its module found: where it was recorded, relative to here or to a folder above `beside`; or the one that is given. */
const present = Effect.fnUntraced(function* (
  source: SpaceSource.SpaceSource,
  {
    beside,
    name,
    override
  }: { readonly beside: string; readonly name: string; readonly override: Option.Option<string> }
): Effect.fn.Return<SpaceSource.SpaceSource, ConfigError | ReturnType<typeof fault>, runFolder.Services> {
  if (source._tag === "Named") return source
  const found = Option.isSome(override) ? override.value : yield* paths.find(source.path, beside)
  if (found === undefined)
    return yield* fault(
      `the space of ${name} comes from the module ${source.path}, which does not exist. Give it with --config ${source.path.split("/").at(-1) ?? "file"}.`
    )
  const now = yield* SpaceSource.ofModule(found)
  if (now._tag === "Module" && now.version !== source.version)
    yield* Console.error(`note: ${yield* runFolder.shown(found)} has changed since ${name} was made from its space`)
  return now
})

/** Opens a network from what was stored of it. `name`: what it was read from. */
export const open = Effect.fnUntraced(function* (
  { facts, graph, point, space }: Network,
  where: { readonly beside: string; readonly name: string; readonly override: Option.Option<string> }
) {
  const source = yield* Effect.mapError(present(space, where), ({ message }) => fault(message))
  const of = yield* Effect.mapError(SpaceSource.load(facts, spaces.known)(source), at(where.name))
  const read = ModelSpace.read(point)(of)
  if (Result.isFailure(read))
    return yield* fault(
      `${where.name} holds no network of ${of.name}: ${read.failure.message} Give another space's module with --config.`
    )
  const now = ModelSpace.networkDigest(read.success)(of)
  if (graph !== undefined && Result.isSuccess(now) && now.success !== graph)
    return yield* fault(
      `${where.name} is of another network than ${of.name} now has at its point: ${source._tag === "Module" ? `${yield* runFolder.shown(source.path)} has changed` : "this is another version"}. Restore the earlier one, or train the network again.`
    )
  return { source, facts, of, point: read.success } satisfies Found
})

/** The file in which a run's folder stores its network; any other path is a file's. */
const fileOf = Effect.fnUntraced(function* (nameOrFile: string) {
  const fs = yield* FileSystem.FileSystem
  const path = yield* Path.Path
  const given = path.resolve(nameOrFile)
  for (const file of [runFolder.files.best, "train.json"]) {
    const inside = path.join(given, file)
    if (yield* Effect.orElseSucceed(fs.exists(inside), () => false)) return inside
  }
  return given
})

/** What to read for a network given as a family's name, a JSON file, or the folder of a search or a training. */
export const kindOf = Effect.fnUntraced(function* (nameOrFile: string) {
  if (isFamily(nameOrFile)) return { network: ofArchitecture(UniNet.family[nameOrFile]), beside: process.cwd() }
  const fs = yield* FileSystem.FileSystem
  const path = yield* Path.Path
  const file = yield* fileOf(nameOrFile)
  const unfinished = yield* Effect.orElseSucceed(fs.exists(path.join(file, runFolder.files.journal)), () => false)
  if (unfinished)
    return yield* fault(
      `${nameOrFile} has no best network yet, since its search has not ended. Continue with: ${command.uninet("search", "--resume", nameOrFile)}`
    )
  const text = yield* Effect.mapError(fs.readFileString(file), () => missing(nameOrFile))
  const network = yield* Effect.mapError(Effect.fromResult(parse(text)), (reason) =>
    fault(`${nameOrFile} holds no network: ${reason}. Give JSON as in a search's best.json.`)
  )
  return { network, beside: path.dirname(file) }
})

/** The network given as a family's name, a JSON file, or the folder of a search or a training. */
export const read = Effect.fnUntraced(function* (nameOrFile: string, override: Option.Option<string>) {
  const { beside, network } = yield* kindOf(nameOrFile)
  return yield* open(network, { beside, name: nameOrFile, override })
})

/** The network in the metadata of weights, if there is one. */
export const inMetadata = (metadata: Readonly<Record<string, string>>): Option.Option<Network> =>
  Option.orElse(Schema.decodeUnknownOption(Schema.fromJsonString(Network))(metadata["network"]), () =>
    Option.map(
      Schema.decodeUnknownOption(Schema.fromJsonString(Architecture.Architecture))(metadata["architecture"]),
      ofArchitecture
    )
  )
