/** A trial between the machines: a durable workflow of the driver's, whose one step is a message on a queue that any worker takes. */
import { NodeCrypto } from "@effect/platform-node"
import { Trial } from "@uninet/search"
import * as Cause from "effect/Cause"
import { createHash } from "node:crypto"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import {
  ClusterSchema,
  ClusterWorkflowEngine,
  RunnerAddress,
  RunnerHealth,
  Runners,
  RunnerStorage,
  Sharding,
  ShardingConfig,
  SqlMessageStorage
} from "effect/cluster"
import { PersistedQueue } from "effect/persistence"
import { SqlClient } from "effect/sql"
import { DurableDeferred, Workflow, WorkflowEngine } from "effect/workflow"
import { backoff, Database } from "../Database.ts"
import { quiet } from "./quiet.ts"

/** What came of an evaluation. Weights lie in `uninet_outcome`. */
export const Outcome = Schema.TaggedUnion({
  Evaluated: { evaluation: Trial.Evaluation, weights: Schema.Boolean },
  Failed: { reason: Trial.Reason, detail: Schema.String }
})
export type Outcome = typeof Outcome.Type

/** A trial on the queue. */
export const Item = Schema.Struct({
  search: Schema.String,
  /** The idempotency key: the same trial of the same search has the same. */
  key: Schema.String,
  trial: Trial.Trial,
  /** Where its outcome is awaited. */
  token: DurableDeferred.Token
})
export type Item = typeof Item.Type

const digest = (text: string, length: number) => createHash("sha256").update(text).digest("hex").slice(0, length)

const encodeTrial = Schema.encodeSync(Schema.fromJsonString(Trial.Trial))

/** Search, trial and fidelity in clear, and a digest of everything that the evaluation may depend on. */
export const keyOf = (search: string, trial: Trial.Trial): string =>
  `${search}/${trial.index}/${trial.until ?? trial.epochs ?? "own"}/${digest(encodeTrial(trial), 24)}`

/** A lost worker's trials are free again when its lock has not been refreshed for this long (seconds). */
export const lockSeconds = 8

/** How often idle workers look for trials, and the driver for outcomes. */
const poll = "250 millis"

/** The queue's table is looked at when the store is made: a database that is away just then is waited for. */
const queueStore = Layer.effect(
  PersistedQueue.PersistedQueueStore,
  Effect.gen(function* () {
    const { patience } = yield* Database
    return yield* PersistedQueue.makeStoreSql({
      tableName: "uninet_queue",
      pollInterval: poll,
      lockRefreshInterval: "2 seconds",
      lockExpiration: `${lockSeconds} seconds`
    }).pipe(
      Effect.sandbox,
      Effect.retry({
        schedule: Schedule.upTo(backoff, { duration: patience }),
        while: (cause) => !Cause.hasInterruptsOnly(cause)
      }),
      Effect.catch(Effect.failCause)
    )
  })
)

const queueName = (version: string) => `trials/${version}`

/** The trials of all searches of one version. Workers of another version never see them. */
export const queueOf = (version: string) =>
  PersistedQueue.make({
    name: queueName(version),
    schema: Item,
    // The worker itself counts how often a trial was taken, and says what became of the others.
    maxAttempts: 2 ** 31 - 1
  })

/** Takes a trial off the queue that no worker has finished; the one that has it gives it up at its next heartbeat. */
export const withdraw = (version: string, key: string) =>
  SqlClient.SqlClient.use(
    (sql) =>
      sql`delete from uninet_queue where queue_name = ${queueName(version)} and id = ${key} and state = 'pending'`
  )

/** Of these trials those that are on the queue still. */
export const stillQueued = (version: string, keys: ReadonlyArray<string>) =>
  SqlClient.SqlClient.use(
    (sql) =>
      sql<{
        readonly id: string
      }>`select id from uninet_queue where queue_name = ${queueName(version)} and ${sql.in("id", keys)}`
  )

export const outcome = DurableDeferred.make("outcome", { success: Outcome })

/** Its messages in the cluster's tables: every search has shards of its own, so that its driver reads nothing of another's. */
export const groupOf = (search: string) => `uninet-${digest(search, 20)}`

/** The workflow of the trials of a search. */
export const workflowOf = (search: string) =>
  Workflow.make(`Trial/${digest(search, 20)}`, {
    payload: { trial: Trial.Trial, key: Schema.String },
    success: Outcome,
    idempotencyKey: ({ key }) => key,
    suspendedRetrySchedule: Schedule.spaced("1 second")
  })
    .annotate(ClusterSchema.ShardGroup, () => groupOf(search))
    // It cannot fail by itself; what a lost database makes of it is no result, and is tried again.
    .annotate(Workflow.SuspendOnFailure, true)

/** What the workflow does: puts the trial on the queue, and waits for what a worker says. */
export const workflowLayer = (search: string, version: string) =>
  workflowOf(search).toLayer(
    Effect.fnUntraced(function* ({ key, trial }) {
      const queue = yield* queueOf(version)
      const token = yield* DurableDeferred.token(outcome)
      // Nothing happens where it is on the queue already.
      yield* Effect.orDie(queue.offer({ search, key, trial, token }, { id: key }))
      return yield* DurableDeferred.await(outcome)
    })
  )

const engineWith = (config: Partial<ShardingConfig.ShardingConfig["Service"]>) =>
  ClusterWorkflowEngine.layer.pipe(
    Layer.provide(Sharding.layer),
    Layer.provide(Runners.layerNoop),
    // `Database` has made the tables.
    Layer.provide(SqlMessageStorage.layerStorage({})),
    Layer.provide([NodeCrypto.layerDigest, RunnerStorage.layerMemory, RunnerHealth.layerNoop]),
    Layer.provide(ShardingConfig.layer({ shardsPerGroup: 4, entityMessagePollInterval: poll, ...config })),
    Layer.provide(quiet)
  )

/** The engine of the driver of a search: its one runner. */
export const driverEngine = (search: string) =>
  engineWith({
    runnerAddress: Option.some(RunnerAddress.make("driver", 1)),
    availableShardGroups: [groupOf(search)],
    assignedShardGroups: [groupOf(search)],
    entityTerminationTimeout: "1 second"
  })

/** The engine of a worker, which completes what others wait for. */
export const workerEngine = engineWith({ runnerAddress: Option.none() })

/** Says what became of a trial. The first to say it is heard. */
export const complete = Effect.fnUntraced(function* ({ search, token }: Item, what: Outcome) {
  const engine = yield* WorkflowEngine.WorkflowEngine
  const { executionId } = DurableDeferred.TokenParsed.fromString(token)
  // Makes the engine know the search's workflow, and with it where its messages go.
  yield* engine.poll(workflowOf(search), executionId)
  yield* DurableDeferred.succeed(outcome, { token, value: what })
})

export const queueLayer = PersistedQueue.layer.pipe(Layer.provide(Layer.orDie(queueStore)), Layer.provide(quiet))
