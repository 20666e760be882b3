/**
 * A journal as pieces of text, for copying it elsewhere while it grows: `source` gives what was added to a journal, `target` builds the
 * same journal from it in another place.
 *
 * @example
 * ```ts
 * import { Random } from "@uninet/controller"
 * import { Evaluator, Journal, JournalCopy, Search } from "@uninet/search"
 * import { NasBench201 } from "@uninet/spaces"
 * import { Console, Effect, Result } from "effect"
 *
 * const cells = Result.getOrThrow(NasBench201.models({ channels: 3, height: 32, width: 32, classes: 10, cells: 1 }))
 * const evaluator = Evaluator.fromFunction(cells, (cell) =>
 *   Effect.succeed({ accuracy: NasBench201.convolutions(cell).threes / 6, top5: 1, loss: 1, calibrationError: 0 })
 * )
 * const program = Effect.gen(function* () {
 *   yield* Search.run(cells, { trials: 4, seed: "demo" }).pipe(
 *     Effect.provide([Random.layer(), evaluator, Journal.sqlite("original.db", { existing: "resume" })])
 *   )
 *   // A copy that grows with its original, which a search may be writing to.
 *   const source = yield* JournalCopy.source("original.db")
 *   const copy = yield* JournalCopy.target("copy.db")
 *   const batch = yield* source.next
 *   yield* copy.add(batch)
 *   yield* Console.log(batch.pieces.length, (yield* source.next).pieces.length) // all, and nothing since
 * })
 * Effect.runPromise(Effect.scoped(program))
 * ```
 */
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import type { JournalLocked, JournalNotWritten } from "./JournalError.ts"
import { JournalUnreadable } from "./JournalError.ts"
import { slack, stampOf } from "./internal/growing.ts"
import * as Sqlite from "./internal/sqlite.ts"

/** An entry and how its training went, as text; there is one for each trial and step. */
export interface Piece {
  /** The trial's number, from 0. */
  readonly trial: number
  /** The entry's step, as `Journal.stepOf` counts. */
  readonly step: number
  readonly text: string
}

/** What was added to a journal. */
export interface Batch {
  /** The journal's header, as text. */
  readonly header: string
  readonly pieces: ReadonlyArray<Piece>
}

const Text = Schema.fromJsonString(
  Schema.Struct({
    kind: Schema.String,
    at: Schema.Finite,
    data: Schema.String,
    training: Schema.optionalKey(
      Schema.Struct({
        place: Schema.String,
        begun: Schema.Finite,
        ended: Schema.Finite,
        curve: Schema.NullOr(Schema.Uint8ArrayFromBase64)
      })
    )
  })
)
// Plain data of its own type, so encoding cannot fail.
const encode = Schema.encodeSync(Text)
const decode = Schema.decodeUnknownOption(Text)

/** A journal to copy from. */
export interface Source {
  /** What was added since the last call; everything on the first. Costs next to nothing if there is nothing new. */
  readonly next: Effect.Effect<Batch, JournalUnreadable>
}

const headerOf = (path: string, { header }: Sqlite.File) =>
  Effect.flatMap(header, (text) =>
    text === undefined
      ? new JournalUnreadable({
          path,
          problem: "is half-written: it holds no search yet",
          remedy: "Wait until its search has started"
        })
      : Effect.succeed(text)
  )

/** Follows a journal's file, which a search may be writing to. Fails if the file is not a journal. */
export const source = Effect.fnUntraced(function* (path: string): Effect.fn.Return<Source, JournalUnreadable> {
  // A reader takes no lock.
  const opened = Effect.catchTag(Sqlite.open(path, { durability: "readOnly" }), "JournalLocked", Effect.die)
  let header = yield* Effect.scoped(Effect.flatMap(opened, (file) => headerOf(path, file)))
  let stamp = ""
  let latest = 0
  const taken = new Set<string>()
  const next = Effect.gen(function* (): Effect.fn.Return<Batch, JournalUnreadable, Scope.Scope> {
    const now = stampOf(path)
    if (now === stamp) return { header, pieces: [] }
    const file = yield* opened
    header = yield* headerOf(path, file)
    const rows = (yield* file.rows(taken.size === 0 ? undefined : latest - slack)).filter(
      ({ step, trial }) => !taken.has(`${trial}/${step}`)
    )
    const trainings = new Map(
      (yield* file.trainings(rows.map(({ trial }) => trial))).map((each) => [`${each.trial}/${each.step}`, each])
    )
    for (const { at, step, trial } of rows) {
      taken.add(`${trial}/${step}`)
      latest = Math.max(latest, at)
    }
    stamp = now
    return {
      header,
      pieces: rows.map(({ at, data, kind, step, trial }) => {
        const training = trainings.get(`${trial}/${step}`)
        return { trial, step, text: encode({ kind, at, data, ...(training === undefined ? {} : { training }) }) }
      })
    }
  }).pipe(Effect.scoped)
  return { next }
})

/** A journal to copy to. */
export interface Target {
  /** Adds what was added to the original. Existing entries stay as they are; a damaged piece is left out. */
  readonly add: (batch: Batch) => Effect.Effect<void, JournalNotWritten | JournalUnreadable>
}

/** Creates a journal and extends it with what `source` gives. One process writes at a time, until the scope ends. */
export const target = (path: string): Effect.Effect<Target, JournalLocked | JournalUnreadable, Scope.Scope> =>
  Effect.gen(function* () {
    // A copy can be made again.
    const file = yield* Sqlite.open(path, { durability: "process" })
    let header = yield* file.header
    const has = new Set((yield* file.rows()).map(({ step, trial }) => `${trial}/${step}`))
    return {
      add: Effect.fnUntraced(function* (batch) {
        if (header === undefined) yield* file.begin(batch.header)
        else if (header !== batch.header) yield* file.rewrite(batch.header)
        header = batch.header
        const wanted = batch.pieces.flatMap(({ step, text, trial }) => {
          const found = has.has(`${trial}/${step}`) ? undefined : decode(text)
          if (found === undefined || found._tag === "None") return []
          has.add(`${trial}/${step}`)
          return [{ trial, step, ...found.value }]
        })
        yield* Effect.forEach(
          wanted,
          ({ at, data, kind, step, training, trial }) =>
            file.add(
              { trial, step, kind, at, data },
              training === undefined ? undefined : { trial, step, ...training }
            ),
          // The pieces of one turn share a commit.
          { concurrency: "unbounded", discard: true }
        )
      })
    } satisfies Target
  })
