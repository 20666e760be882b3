/** `uninet worker`: trains what searches on a database ask for, on this machine. */
import { ClusterWorker } from "@uninet/cluster"
import { Telemetry } from "@uninet/search"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Option from "effect/Option"
import { Command, Flag } from "effect/cli"
import { availableParallelism } from "node:os"
import { fault, said, usage } from "../internal/CliFault.ts"
import * as Device from "../internal/device.ts"
import * as flags from "../internal/flags.ts"
import * as format from "../internal/format.ts"
import * as Health from "../internal/health.ts"
import * as log from "../internal/log.ts"
import * as machines from "../internal/machines.ts"

const line = (event: ClusterWorker.WorkerEvent): string => {
  if (event._tag === "Away") return `The database does not answer (${event.problem}); trying again`
  if (event._tag === "Back") return "The database is back"
  const trial = `trial ${event.trial.index} of ${event.search}`
  if (event._tag === "Taken") return `${trial}: training`
  if (event._tag === "Withdrawn") return `${trial}: withdrawn by its search`
  if (event._tag === "Unable")
    return `${trial}: left to other machines, since this one cannot train it (${event.problem})`
  const { outcome } = event
  const result =
    outcome._tag === "Evaluated"
      ? Object.entries(outcome.evaluation.measures)
          .map(([name, value]) => `${name} ${format.number(value)}`)
          .join(", ")
      : `${outcome.reason}: ${outcome.detail}`
  return `${trial}: ${result}, ${format.time(event.seconds)}`
}

/** The facts that programs read from an event. */
const facts = (event: ClusterWorker.WorkerEvent): log.Facts => {
  if (event._tag === "Away") return { event: event._tag, problem: event.problem }
  if (event._tag === "Back") return { event: event._tag }
  const of = { event: event._tag, search: event.search, trial: event.trial.index }
  if (event._tag === "Unable") return { ...of, problem: event.problem }
  if (event._tag !== "Done") return of
  const { outcome, seconds } = event
  return outcome._tag === "Evaluated"
    ? { ...of, measures: outcome.evaluation.measures, seconds }
    : { ...of, reason: outcome.reason, detail: outcome.detail, seconds }
}

export const worker = Command.make(
  "worker",
  {
    database: machines.database.pipe(
      Flag.withDescription(
        `PostgreSQL, such as postgresql://user@host/uninet (default: the environment's ${machines.variable}); the password is taken from PGPASSWORD, from the file that PGPASSWORD_FILE names, or from the environment's URL`
      )
    ),
    workers: flags.workers.pipe(
      Flag.optional,
      Flag.withDescription("Training processes of one thread each (default: one for each core)")
    ),
    device: flags.device.pipe(Flag.withDefault(Device.standard)),
    health: Flag.String("health").pipe(
      Flag.withMetavar("file"),
      Flag.optional,
      Flag.withDescription(
        "A file for probes, updated about every second: it says ready, or waiting while the database does not answer (default: none)"
      )
    )
  },
  Effect.fnUntraced(
    function* ({ database, device, health, workers }) {
      if (Option.isNone(database))
        return yield* usage(
          `--database is missing. Give the URL of a PostgreSQL database, here or in the environment's ${machines.variable}.`
        )
      const slots = Option.getOrElse(workers, availableParallelism)
      const probe = Option.isNone(health) ? Health.none : yield* Health.make(health.value)
      const connection = yield* probe.waiting(machines.connect(database.value))
      const fs = yield* FileSystem.FileSystem
      const checkpoints = yield* Effect.mapError(
        fs.makeTempDirectoryScoped({ prefix: "uninet-worker-" }),
        ({ message }) => fault(`a temporary folder for checkpoints cannot be made: ${message}`)
      )
      yield* probe.say("ready")
      yield* log.say(
        `Waiting for trials, ${slots} at a time. Ctrl-C stops; other workers take over what is unfinished.`,
        {
          event: "Ready",
          slots
        }
      )
      return yield* ClusterWorker.run({
        slots,
        checkpoints,
        evaluator: machines.evaluator(slots, yield* Device.choose(device)),
        onBeat: (isAnswered) => probe.say(isAnswered ? "ready" : "waiting"),
        onEvent: (event) => log.say(line(event), facts(event))
      }).pipe(
        Effect.provide(connection),
        Effect.provide(Telemetry.layer),
        Effect.mapError(({ message }) => fault(message))
      )
    },
    Effect.scoped,
    Effect.mapError(said)
  )
).pipe(
  Command.withDescription("Train trials for searches on a database, on this machine, until stopped"),
  Command.withExamples([
    {
      command: "uninet worker --database postgresql://uninet@db.lab/uninet",
      description: "On every machine that is to help"
    },
    {
      command: "uninet search --database postgresql://uninet@db.lab/uninet --trials 200",
      description: "And on any one of them, or elsewhere: the search"
    }
  ])
)
