/** What a new search takes from others: networks to start with, and results to learn from. */
import type { Lesson } from "@uninet/controller"
import type { Dataset } from "@uninet/data"
import { ModelSpace } from "@uninet/model-space"
import { Search, Setup } from "@uninet/search"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import { type CliFault, fault } from "./CliFault.ts"
import * as format from "./format.ts"
import * as plans from "./plan.ts"
import * as runFolder from "./runFolder.ts"
import * as runs from "./runs.ts"
import * as spaces from "./spaces.ts"

/** How many networks are taken from a run. */
const ofRun = 10

const Json = Schema.fromJsonString(Schema.Json)

/** A field of an object, if it is an object and has the field. */
const field = (of: Schema.Json, name: string) =>
  typeof of === "object" && of !== null && !Array.isArray(of) && Object.hasOwn(of, name)
    ? (of as Readonly<Record<string, Schema.Json>>)[name] // not an array, so a record
    : undefined

/** A file has one point, several, or the content of `best.json`. */
const pointsIn = (json: Schema.Json): ReadonlyArray<Schema.Json> =>
  Array.isArray(json) ? json : [field(field(json, "network") ?? json, "point") ?? json]

/** The best networks of a run, or the networks in a file, as points of the space to search. */
export const startWith = Effect.fnUntraced(function* (of: ModelSpace.Any, from: string) {
  const fs = yield* FileSystem.FileSystem
  const name = yield* runFolder.shown(from)
  const isRun = yield* runFolder.has(from, runFolder.files.journal)
  const found = isRun
    ? (yield* runs.ranked(from)).slice(0, ofRun).map(({ point }) => point)
    : yield* fs.readFileString(from).pipe(
        Effect.mapError(() => `it is neither the folder of a search nor a file that can be read`),
        Effect.flatMap((text) => Effect.mapError(Schema.decodeEffect(Json)(text), () => "it is not JSON")),
        Effect.map(pointsIn),
        Effect.mapError((problem) =>
          fault(
            `--start-with ${name}: ${problem}. Give a file with points of the space, best.json, or the folder of a search.`
          )
        )
      )
  if (found.length === 0) return yield* fault(`--start-with ${name}: it has no networks. Give one that has some.`)
  const points = found.map((json) => ModelSpace.read(json)(of))
  const wrong = points.findIndex(Result.isFailure)
  const first = points[wrong]
  if (first !== undefined && Result.isFailure(first))
    return yield* fault(
      `--start-with ${name}: network ${wrong + 1} of ${points.length} is not a point of the space ${of.name} (${first.failure.message.replace(/\s+/g, " ").replace(/\.$/, "")}). Leave it out, or search the space that it comes from.`
    )
  return points.flatMap((point) => (Result.isSuccess(point) ? [point.success] : []))
})

/** The results of a run's trials, as they were reported to the strategy: on the first rung, so that all can be compared. */
const resultsOf = ({ entries }: plans.Recorded) => {
  const points = new Map<number, Schema.Json>()
  const results: Array<{ readonly point: Schema.Json; readonly reward: number | null }> = []
  for (const { entry } of entries) {
    if (entry._tag === "Proposed") points.set(entry.trial, entry.point)
    const point = points.get(entry.trial)
    if (point === undefined || (entry._tag !== "Finished" && entry._tag !== "Failed") || (entry.rung ?? 0) > 0) continue
    results.push({ point, reward: entry._tag === "Finished" ? entry.reward : null })
  }
  return results
}

/** A run's results as a lesson for a space: the run's own, or one that has choices in common with it. */
const lessonOf = Effect.fnUntraced(function* (of: ModelSpace.Any, folder: string) {
  const name = yield* runFolder.shown(folder)
  const recorded = yield* plans.recorded(folder, "--learn-from ")
  const results = resultsOf(recorded)
  const within = (space: ModelSpace.Any) => {
    const points = results.flatMap(({ point, reward }) => {
      const found = ModelSpace.read(point)(space)
      return Result.isSuccess(found) ? [{ point: found.success, reward }] : []
    })
    return Search.lessonOf(of.space, space.space)(points)
  }
  const same = within(of)
  if (results.length > 0 && same.results.length === results.length) return same
  const plan = yield* plans.ofRun(folder, recorded, Option.none())
  const other = yield* Effect.option(Setup.space(spaces.known)(plan.space))
  const lesson = Option.match(other, { onNone: () => same, onSome: within })
  const useful = lesson.results.filter(({ vector }) => vector.some((token) => token >= 0))
  if (useful.length === 0)
    return yield* fault(
      `--learn-from ${name}: none of its ${format.plural(results.length, "result")} has a choice in common with the space ${of.name}. Give a search of this space, or of one with choices of the same names.`
    )
  if (useful.length < results.length)
    yield* Console.error(
      `note: ${name} has ${format.plural(results.length, "result")}, of which ${useful.length} say something about the space ${of.name}`
    )
  return { results: useful }
})

/** What a search is given: for a new one by its flags, for a resumed one by its journal. */
export const of = Effect.fnUntraced(function* (
  space: ModelSpace.Any,
  plan: plans.Plan
): Effect.fn.Return<
  Pick<Search.Options<unknown, string, string>, "startWith" | "learnFrom" | "retryFailed">,
  CliFault,
  Dataset.Dataset | runFolder.Services
> {
  const { given } = plan
  const points: Array<unknown> = []
  for (const json of given.points)
    points.push(
      yield* Effect.mapError(Effect.fromResult(ModelSpace.read(json)(space)), ({ message }) =>
        fault(`the journal: ${message}.`)
      )
    )
  if (given.startWith !== undefined) points.push(...(yield* startWith(space, given.startWith)))
  const lessons: Array<Lesson.Lesson> = [...given.lessons]
  for (const folder of given.learnFrom) lessons.push(yield* lessonOf(space, folder))
  return { startWith: points, learnFrom: lessons, retryFailed: given.retryFailed }
})
