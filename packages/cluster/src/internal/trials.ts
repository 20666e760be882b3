/**
 * The queue: one row for each trial, from its offer to its outcome.
 *
 * Every step may happen twice and may be lost half-way. A trial is offered by its key, taken under a name that the taker has chosen in
 * advance, kept by a count that its holder raises, and settled once. So no process has to know whether the database received its last
 * message.
 */
import { Safetensors } from "@uninet/nn"
import { Training, Trial } from "@uninet/search"
import { createHash } from "node:crypto"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import { SqlClient } from "effect/sql"

/** The outcome of an evaluation. Weights are stored separately. */
export const Outcome = Schema.TaggedUnion({
  Evaluated: {
    evaluation: Trial.Evaluation,
    weights: Schema.Boolean,
    training: Schema.optionalKey(Training.Training)
  },
  Failed: { reason: Trial.Reason, detail: Schema.String, training: Schema.optionalKey(Training.Training) }
})
export type Outcome = typeof Outcome.Type

/** A machine could not evaluate a trial for a reason of its own. */
export const Strike = Schema.Struct({ host: Schema.String, problem: Schema.String })
export type Strike = typeof Strike.Type

const digest = (text: string, length: number) => createHash("sha256").update(text).digest("hex").slice(0, length)

const TrialText = Schema.fromJsonString(Trial.Trial)
const encodeTrial = Schema.encodeSync(TrialText)

/** A trial in the queue, with its place in a trace in W3C format, if there is one. That place is not part of the trial or of its key. */
const Offered = Schema.Struct({ ...Trial.Trial.fields, traceparent: Schema.optionalKey(Schema.String) })
export type Offered = typeof Offered.Type
const OfferedText = Schema.fromJsonString(Offered)
const encodeOffered = Schema.encodeSync(OfferedText)
const decodeOffered = Schema.decodeOption(OfferedText)
const OutcomeText = Schema.fromJsonString(Outcome)
const encodeOutcome = Schema.encodeSync(OutcomeText)
const decodeOutcome = Schema.decodeOption(OutcomeText)
const decodeStrikes = Schema.decodeOption(Schema.fromJsonString(Schema.Array(Strike)))

/** Search, trial and fidelity in plain text, and a digest of everything that the evaluation may depend on. */
export const keyOf = (search: string, trial: Trial.Trial): string =>
  `${search}/${trial.index}/${trial.until ?? trial.epochs ?? "own"}/${digest(encodeTrial(trial), 24)}`

/** A search's folder inside a worker's: the search's name can be anything. */
export const folderOf = (search: string) => `uninet-${digest(search, 20)}`

/** Text in PostgreSQL cannot contain character 0. */
export const clean = (text: string) => text.replaceAll("\0", "")

/** Adds trials to the queue that are not in it yet. */
export const offer = (search: string, version: string, trials: ReadonlyMap<string, Offered>) => {
  const rows = JSON.stringify(Array.from(trials, ([key, trial]) => ({ key, trial: encodeOffered(trial) })))
  return SqlClient.SqlClient.use(
    (sql) => sql`insert into uninet_trial (key, search, version, trial)
      select key, ${search}, ${version}, trial from json_to_recordset(${rows}::json) as offered (key text, trial text)
      on conflict do nothing`
  )
}

/** Removes trials without an outcome from the queue; a worker that has one learns of it at its next heartbeat. */
export const withdraw = (keys: Iterable<string>) =>
  SqlClient.SqlClient.use(
    (sql) =>
      sql`delete from uninet_trial where outcome is null and key in (select json_array_elements_text(${JSON.stringify([...keys])}::json))`
  )

/** The state of a trial. */
export interface Standing {
  readonly key: string
  readonly progress: Trial.Progress
  /** Its outcome: none yet, or one that cannot be read. */
  readonly outcome: Option.Option<Outcome> | undefined
  /** The size in bytes of the weights that it left. */
  readonly bytes: number
  readonly strikes: ReadonlyArray<Strike>
  /** The machines that must not take it. */
  readonly avoid: ReadonlyArray<string>
  /** Whether a worker has it. */
  readonly isTaken: boolean
}

/** The states of those of these trials that are in the queue. */
export const look = (keys: Iterable<string>) =>
  SqlClient.SqlClient.use(
    (sql) => sql<{
      readonly key: string
      readonly done: number
      readonly loss: number | null
      readonly examples_per_second: number | null
      readonly outcome: string | null
      readonly bytes: number
      readonly strikes: string
      readonly avoid: string
      readonly taken: boolean
    }>`select key, done, loss, examples_per_second, outcome, coalesce(octet_length(weights), 0) as bytes,
        strikes::text as strikes, to_json(avoid)::text as avoid, claim is not null as taken
      from uninet_trial where key in (select json_array_elements_text(${JSON.stringify([...keys])}::json))`
  ).pipe(
    Effect.map((rows) =>
      rows.map(({ avoid, bytes, done, examples_per_second, key, loss, outcome, strikes, taken }): Standing => ({
        key,
        progress: {
          done,
          ...(loss === null ? {} : { loss }),
          ...(examples_per_second === null ? {} : { examplesPerSecond: examples_per_second })
        },
        outcome: outcome === null ? undefined : decodeOutcome(outcome),
        bytes,
        strikes: Option.getOrElse(decodeStrikes(strikes), () => []),
        avoid: Option.getOrElse(decodeNames(avoid), () => []),
        isTaken: taken
      }))
    )
  )

const decodeNames = Schema.decodeOption(Schema.fromJsonString(Schema.Array(Schema.String)))

/** Allows any machine to take these again. */
export const reopen = (keys: Iterable<string>) =>
  SqlClient.SqlClient.use(
    (sql) => sql`update uninet_trial set avoid = '{}'
      where outcome is null and claim is null and key in (select json_array_elements_text(${JSON.stringify([...keys])}::json))`
  )

/** The weights that a trial left. */
export const weightsOf = (key: string) =>
  SqlClient.SqlClient.use(
    (sql) => sql<{ readonly weights: Uint8Array | null }>`select weights from uninet_trial where key = ${key}`
  ).pipe(Effect.map(([row]) => (row?.weights instanceof Uint8Array ? decodeWeights(row.weights) : Option.none())))

/** Who takes a trial, and under which name: a new one for each, chosen in advance, so that a lost answer can be asked for again. */
export interface Taker {
  readonly claim: string
  readonly worker: string
  readonly host: string
  readonly version: string
}

/** A trial that was taken. */
export interface Item {
  readonly key: string
  readonly search: string
  readonly claim: string
  /** The trial to evaluate, if this version can read it. */
  readonly trial: Option.Option<Trial.Trial>
  /** The span of the trial, as given by its search. */
  readonly traceparent: string | undefined
  /** How many workers were lost while evaluating it. */
  readonly lost: number
  /** How its search is evaluated, if the search exists. */
  readonly description: string | null
}

interface ItemRow {
  readonly key: string
  readonly search: string
  readonly trial: string
  readonly lost: number
  readonly description: string | null
}

const itemOf =
  (claim: string) =>
  ([row]: ReadonlyArray<ItemRow>): Item | undefined => {
    if (row === undefined) return undefined
    const offered = decodeOffered(row.trial)
    return {
      ...row,
      claim,
      trial: Option.map(offered, ({ traceparent: _traceparent, ...trial }) => trial),
      traceparent: Option.getOrUndefined(offered)?.traceparent
    }
  }

/** Takes the trial that has waited longest, or the one that was already taken under this name. */
export const take = ({ claim, host, version, worker }: Taker) =>
  SqlClient.SqlClient.use(
    (sql) => sql<ItemRow>`with free as (
        select key from uninet_trial
        where outcome is null and (claim = ${claim} or (claim is null and version = ${version} and not ${host} = any (avoid)))
        order by claim is null, number limit 1 for update skip locked
      )
      update uninet_trial as trial
      set claim = ${claim}, worker = ${worker}, beat = 0, done = 0, loss = null, examples_per_second = null
      from free where trial.key = free.key
      returning trial.key, trial.search, trial.trial, trial.lost,
        (select description from uninet_search where id = trial.search) as description`
  ).pipe(Effect.map(itemOf(claim)))

/** A trial that a worker has. */
export interface Held {
  readonly key: string
  readonly claim: string
  readonly beat: number
}

/** The trials that workers have, with the counts that show that they are active. */
export const held = (version: string) =>
  SqlClient.SqlClient.use(
    (sql) =>
      sql<Held>`select key, claim, beat from uninet_trial where version = ${version} and outcome is null and claim is not null`
  )

/** Takes over a trial from a worker that has gone silent, unless it has been heard from since. */
export const takeOver = ({ claim, host, worker }: Taker, from: Held) =>
  SqlClient.SqlClient.use(
    (sql) => sql<ItemRow>`update uninet_trial as trial
      set claim = ${claim}, worker = ${worker}, beat = 0, done = 0, loss = null, examples_per_second = null, lost = lost + 1
      where key = ${from.key} and claim = ${from.claim} and beat = ${from.beat} and outcome is null and not ${host} = any (avoid)
      returning trial.key, trial.search, trial.trial, trial.lost,
        (select description from uninet_search where id = trial.search) as description`
  ).pipe(Effect.map(itemOf(claim)))

/** How far a worker has got with a trial. */
export interface Beat {
  readonly key: string
  readonly claim: string
  readonly progress: Trial.Progress | undefined
}

/** Shows that the holder of these trials is active, and returns those that are still wanted: neither withdrawn nor settled by another worker. */
export const beat = (beats: ReadonlyArray<Beat>) => {
  const rows = JSON.stringify(
    beats.map(({ claim, key, progress }) => ({
      key,
      claim,
      done: progress?.done ?? null,
      loss: progress?.loss ?? null,
      examples: progress?.examplesPerSecond ?? null
    }))
  )
  return SqlClient.SqlClient.use(
    (sql) => sql<{ readonly key: string }>`with mine as (
        select * from json_to_recordset(${rows}::json)
          as mine (key text, claim text, done double precision, loss double precision, examples double precision)
      ), beaten as (
        update uninet_trial as trial
        set beat = trial.beat + 1, done = coalesce(mine.done, trial.done), loss = coalesce(mine.loss, trial.loss),
          examples_per_second = coalesce(mine.examples, trial.examples_per_second)
        from mine where trial.key = mine.key and trial.claim = mine.claim and trial.outcome is null
      )
      select trial.key from uninet_trial as trial join mine on trial.key = mine.key where trial.outcome is null`
  ).pipe(Effect.map((found) => new Set(found.map(({ key }) => key))))
}

/** An outcome in its stored form. */
export interface Settlement {
  readonly key: string
  readonly outcome: string
  readonly weights: Uint8Array | null
}

export const settlementOf = (key: string, what: Outcome, weights: Trial.Weights | undefined): Settlement => ({
  key,
  outcome: encodeOutcome(what),
  weights: weights === undefined ? null : encodeWeights(weights)
})

/** Stores a trial's outcome, if it is still wanted; the first one stays. */
export const settle = ({ key, outcome, weights }: Settlement) =>
  SqlClient.SqlClient.use(
    (sql) =>
      sql`update uninet_trial set outcome = ${outcome}, weights = ${weights} where key = ${key} and outcome is null`
  )

/** Gives back trials that were taken under these names. */
export const giveBack = (claims: Iterable<string>) =>
  SqlClient.SqlClient.use(
    (sql) => sql`update uninet_trial set claim = null
      where outcome is null and claim in (select json_array_elements_text(${JSON.stringify([...claims])}::json))`
  )

/** Gives back a trial that this machine cannot evaluate: it is left to others, and the reason is recorded. */
export const strike = ({ claim, key }: Item, { host, problem }: Strike) => {
  const strikes = JSON.stringify([{ host: clean(host), problem: clean(problem) }])
  return SqlClient.SqlClient.use(
    (
      sql
    ) => sql`update uninet_trial set claim = null, strikes = strikes || ${strikes}::jsonb, avoid = avoid || ${host}::text
      where key = ${key} and claim = ${claim} and outcome is null`
  )
}

const encodeWeights = (weights: Trial.Weights): Uint8Array =>
  Safetensors.encode({
    tensors: new Map(Array.from(weights, ([name, data]) => [name, Safetensors.fromFloat32(data, [data.length])])),
    metadata: {}
  })

const decodeWeights = (bytes: Uint8Array): Option.Option<Trial.Weights> =>
  Option.map(
    Result.getSuccess(Safetensors.decode(bytes)),
    ({ tensors }) =>
      new Map(
        Array.from(tensors).flatMap(([name, entry]) => {
          const data = Safetensors.float32(entry)
          return data === undefined ? [] : [[name, data] as const]
        })
      )
  )
