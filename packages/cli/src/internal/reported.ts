/** What a report says about the run in a folder: its search, and the networks of its trials. */
import { Dataset } from "@uninet/data"
import { Facts, ModelSpace } from "@uninet/model-space"
import { Report, Run } from "@uninet/report"
import { Comparison, Follow, Journal, Setup, SpaceSource } from "@uninet/search"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import { join } from "node:path"
import * as best from "./best.ts"
import { type CliFault, fault, said } from "./CliFault.ts"
import * as command from "./command.ts"
import * as comparing from "./comparing.ts"
import * as plans from "./plan.ts"
import * as runFolder from "./runFolder.ts"
import * as runState from "./runs.ts"
import * as spaces from "./spaces.ts"

/** A run's journal. */
export const follow = Effect.fnUntraced(function* (folder: string) {
  const name = yield* runFolder.shown(folder)
  return yield* Effect.mapError(Follow.make(join(folder, runFolder.files.journal)), ({ message }) =>
    fault(`${name}: ${message}`)
  )
})

/** What is said about a run besides its journal, when this many trials have been started. */
export const about = Effect.fnUntraced(function* (
  folder: string,
  { damaged }: Pick<Follow.Found, "damaged">,
  begun: number
): Effect.fn.Return<Run.About, never, runFolder.Services> {
  const name = yield* runFolder.shown(folder)
  const isRunning = Journal.holder(join(folder, runFolder.files.journal)) !== undefined
  return {
    name,
    state: isRunning ? "running" : (yield* runState.isFinished(folder, begun)) ? "finished" : "stopped",
    replay: command.uninet("replay", name),
    notes:
      damaged === 0
        ? []
        : [
            damaged === 1
              ? "One entry of its journal cannot be read and is left out."
              : `${damaged} entries of its journal cannot be read and are left out.`
          ]
  }
})

/** The search in a folder in its current state, and its journal. */
export const read = Effect.fnUntraced(function* (folder: string) {
  const { first } = yield* follow(folder)
  const begun = first.entries.filter(({ entry }) => entry._tag === "Proposed").length
  return { journal: first, run: Run.of(first, yield* about(folder, first, begun)) }
})

/** How searches compare by the first one's deciding measure; `undefined` for fewer than two, and if they do not have the same measures. */
export const compared = (
  all: ReadonlyArray<{ readonly journal: Follow.Found; readonly run: Run.Run }>
): Comparison.Compared | undefined => {
  const measured = all.map(({ run: { info } }) => ({
    name: info.name,
    measures: Object.fromEntries(info.measures.map(({ direction, name }) => [name, direction]))
  }))
  const decides = all[0]?.run.info.decides ?? null
  const by = decides === null || all.length < 2 ? undefined : comparing.by(decides, measured)
  return by === undefined || Result.isFailure(by)
    ? undefined
    : Comparison.of(
        all.map(({ journal, run }) => Comparison.runOf(run.info.name, journal, by.success)),
        by.success
      )
}

/** The space of a run: from its best network, or otherwise as it was searched, for which its data set is read. */
export const spaceOf = Effect.fnUntraced(function* (
  folder: string
): Effect.fn.Return<ModelSpace.Any, CliFault, runFolder.Services> {
  const found = yield* best.found(folder)
  const recorded = yield* plans.recorded(folder, "")
  const plan = yield* plans.ofRun(folder, recorded, Option.none())
  if (found !== undefined)
    return yield* Effect.mapError(SpaceSource.load(found.network.facts, spaces.known)(plan.space), said)
  return yield* Effect.scoped(
    Effect.gen(function* () {
      const data = yield* Layer.build(Setup.dataset(plan.config, plan.dataset, { skipBad: plan.skipBad }))
      const facts = Facts.of(yield* Effect.provide(Dataset.Dataset, data))
      return yield* SpaceSource.load(facts, spaces.known)(plan.space)
    })
  ).pipe(Effect.mapError(said))
})

/** Describes the structure of networks from a run's trials. */
export type Detailing = (trial: number, point: unknown) => Effect.Effect<Report.Detail, CliFault>

/** The one for a run's folder. Fails if its space is not available. */
export const detailing = (folder: string): Effect.Effect<Detailing, CliFault, runFolder.Services> =>
  Effect.map(
    spaceOf(folder),
    (of): Detailing =>
      (trial, point) =>
        Effect.gen(function* () {
          const json = yield* Schema.decodeUnknownEffect(Schema.Json)(point)
          const value = yield* Effect.fromResult(ModelSpace.read(json)(of))
          const parts = yield* Effect.fromResult(of.parts(value))
          return { trial, picture: of.picture(value), parts }
        }).pipe(Effect.mapError(({ message }) => fault(`The network of trial ${trial} cannot be built: ${message}`)))
  )
