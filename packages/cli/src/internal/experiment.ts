/**
 * The searches and trainings of an experiment. Each arm and seed has a folder with the journal of its search, as `uninet search` leaves it,
 * and `again/` with the journal of the retraining. What is left to do, and every figure, is read from these journals.
 */
import { Dataset } from "@uninet/data"
import { ModelSpace, Recipe } from "@uninet/model-space"
import { Runtime } from "@uninet/runtime"
import {
  Evaluator,
  Experiment,
  Fidelity,
  Finals,
  Journal,
  Reward,
  Search,
  SpaceSource,
  WorkerEvaluator
} from "@uninet/search"
import { Constrained, Space } from "@uninet/search-space"
import { Surroundings, Trainer } from "@uninet/trainer"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Equal from "effect/Equal"
import * as FileSystem from "effect/FileSystem"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import type * as Scope from "effect/Scope"
import * as Semaphore from "effect/Semaphore"
import { dirname, join, resolve } from "node:path"
import { type CliFault, fault, said } from "./CliFault.ts"
import type * as Device from "./device.ts"
import * as domain from "./domain.ts"
import type { Display } from "./experimentProgress.ts"
import * as format from "./format.ts"
import * as networks from "./networks.ts"
import * as plans from "./plan.ts"
import * as runFolder from "./runFolder.ts"
import * as spaces from "./spaces.ts"
import * as teachers from "./teachers.ts"
import * as training from "./training.ts"

/** The device that trains, where it runs, and how many trainings run at a time. */
export interface Machine {
  readonly workers: number
  readonly device: Device.Chosen
  /** Whether it may be continued with other data, software, engines and kinds of machines. */
  readonly allowMixed?: boolean
  /** Evaluates the trials of a plan. Default: worker processes. */
  readonly evaluator?: (plan: plans.Plan, of: ModelSpace.Any) => Layer.Layer<Evaluator.Evaluator>
}

/** The folder of the retraining's journal, inside the arm's folder. */
export const again = "again"

type Phase = "search" | "retrain"

/** More trials than any budget of MACs or time allows. */
const endless = 1_000_000

/** The plan of an arm's search or retraining: the plan of `uninet search` with the same fields. */
const planOf = Effect.fnUntraced(function* (
  { experiment, path }: Experiment.Loaded,
  name: string,
  {
    folder,
    machine,
    phase,
    seed
  }: { readonly folder: string; readonly machine: Machine; readonly phase: Phase; readonly seed: string }
) {
  const arm = experiment.arms[name] ?? {}
  const beside = dirname(resolve(path))
  const { budget = {}, retrain } = experiment
  // A given network has no trials.
  const recipe = yield* Effect.fromResult(
    Experiment.recipeOf(name, arm.network === undefined ? phase : "retrain")(experiment)
  )
  const spaceName = arm.space ?? experiment.space
  const source =
    SpaceSource.isModule(spaceName) || spaces.names.includes(spaceName)
      ? yield* spaces.named(SpaceSource.isModule(spaceName) ? resolve(beside, spaceName) : spaceName)
      : yield* fault(
          `there is no space ${spaceName}. Give ${spaces.names.join(", ")}, or a module such as my-space.ts.`
        )
  const given =
    arm.network === undefined ? undefined : yield* networks.read(resolve(beside, arm.network), Option.none())
  const deviceFile = arm.deviceFile ?? experiment.deviceFile
  const teacher = Experiment.teacherOf(name, arm.network === undefined ? phase : "retrain")(experiment)
  const plan: plans.Plan = {
    ...runFolder.asked(folder),
    resume: false,
    config: undefined,
    own: [],
    deviceFile: deviceFile === undefined ? undefined : resolve(beside, deviceFile),
    ...(teacher === undefined ? {} : { teacher: { file: resolve(beside, teacher) } }),
    space: given?.source ?? (arm.only === undefined ? source : { ...source, only: arm.only }),
    // With a given network nothing is proposed.
    strategy: given === undefined ? (arm.strategy ?? experiment.strategy) : "random",
    dataset: yield* plans.datasetNamed(experiment.dataset, beside),
    skipBad: false,
    seed,
    recipe,
    recipeFits: false,
    reward: given === undefined ? (arm.reward ?? experiment.reward ?? Reward.measure) : Reward.measure,
    rewarded: undefined,
    also: [],
    target: undefined,
    most: undefined,
    within: given === undefined ? Experiment.withinOf(name)(experiment) : {},
    ahead: experiment.ahead,
    fidelity: Fidelity.full,
    objectives: [],
    trialTime: null,
    trialMemory: null,
    maxTime: null,
    maxTotalMacs: budget.macs ?? null,
    trials: budget.trials ?? endless,
    finalists: 1,
    finalEpochs: retrain.epochs,
    workers: machine.workers,
    device: machine.device,
    allowMixed: false,
    isMixed: false,
    given: { startWith: undefined, learnFrom: [], points: [], lessons: [], retryFailed: false },
    isReplaced: false
  }
  return { plan, given }
})

/** The plan by which the data set is read, which is the same for all arms. */
export const dataPlan = (loaded: Experiment.Loaded, machine: Machine, folder: string) =>
  Effect.map(
    planOf(loaded, Object.keys(loaded.experiment.arms)[0] ?? "", { folder, machine, phase: "search", seed: "0" }),
    ({ plan }) => plan
  )

type Domain = Effect.Success<ReturnType<typeof domain.make>>

/** An arm that has passed all checks. */
export interface Arm {
  readonly name: string
  readonly plan: plans.Plan
  readonly again: plans.Plan
  readonly domain: Domain
  /** The digest of the retraining's teacher; `undefined` for none. */
  readonly taughtBy: string | undefined
  /** The given network's point, if there is one. */
  readonly point: Option.Option<unknown>
}

/** A search or training in one arm with one seed. */
export interface Unit {
  readonly arm: Arm
  readonly seed: string
  readonly folder: string
}

const inArm =
  (name: string) =>
  <A, E extends { readonly message: string }, R>(self: Effect.Effect<A, E, R>) =>
    // Where a search names a flag, an arm names a field.
    Effect.mapError(self, (error) => fault(`the arm ${name}: ${said(error).message.replace(/^--([\w-]+: )?/, "")}`))

/** Why an arm cannot use up the budget that all arms have, if that can be known in advance. */
const shortOf = (
  { budget = {}, epochs }: Experiment.Experiment,
  { of, within }: Domain,
  examples: number
): string | undefined => {
  const count = Space.distinct(of.space)
  if (budget.trials !== undefined && count < budget.trials)
    return `its space has ${Space.showCount(count)} ${count === 1n ? "network" : "networks"}, fewer than the ${budget.trials} trials of every arm`
  if (budget.macs === undefined) return undefined
  if (!ModelSpace.costNames(of).includes("macs"))
    return `its space counts no MACs, but the budget of every arm is ${format.count(budget.macs)} MACs`
  const most = budget.macs / (3 * examples * epochs)
  const max = Math.min(most, within["macs"]?.max ?? Infinity)
  const affordable = Constrained.make(
    of.space,
    ModelSpace.within<string>({ ...within, macs: { ...within["macs"], max } })(of)
  )
  return Result.isFailure(affordable)
    ? `no network of its space can be trained with the ${format.count(budget.macs)} MACs of every arm, since one training of ${format.plural(epochs, "epoch")} may use at most ${format.count(most)} MACs per example`
    : undefined
}

/** Why a given network is outside the bounds of all arms. */
const beyond = (
  experiment: Experiment.Experiment,
  name: string,
  of: ModelSpace.Any,
  point: unknown
): Effect.Effect<string | undefined, { readonly message: string }> =>
  Effect.map(Effect.fromResult(ModelSpace.costsOf(point)(of)), (costs: Readonly<Record<string, number>>) => {
    for (const [cost, { max = Infinity, min = -Infinity }] of Object.entries(Experiment.withinOf(name)(experiment))) {
      const value = costs[cost]
      if (value === undefined) return `its space has no cost ${cost}, on which the arms have a bound`
      if (value > max || value < min)
        return `its network has ${format.cost(cost, value)}, but every arm has ${value > max ? `at most ${format.cost(cost, max)}` : `at least ${format.cost(cost, min)}`}`
    }
    return undefined
  })

/** A plan with the location of its teacher's logits. */
const taught = Effect.fnUntraced(function* (plan: plans.Plan, digest: string | undefined, folder: string) {
  const { recipe, teacher } = plan
  return teacher === undefined || digest === undefined
    ? plan
    : { ...plan, teacher: yield* teachers.place(teacher.file, { digest, folder, recipe }) }
})

/** All arms, after checking that each can run and can be compared with the others. Nothing is written. */
export const arms = Effect.fnUntraced(function* (loaded: Experiment.Loaded, machine: Machine, folder: string) {
  const { experiment } = loaded
  const dataset = yield* Dataset.Dataset
  const found: Array<Arm> = []
  for (const name of Object.keys(experiment.arms)) {
    const arm = yield* inArm(name)(
      Effect.gen(function* () {
        const common = { folder: join(folder, name), machine, seed: experiment.seeds[0] ?? "0" }
        const { given, plan } = yield* planOf(loaded, name, { ...common, phase: "search" })
        const { plan: retrained } = yield* planOf(loaded, name, { ...common, phase: "retrain" })
        const made =
          given === undefined ? yield* domain.make(plan) : yield* domain.make(retrained, Option.some(given.point))
        const { of } = made
        let { taughtBy } = made
        if (given === undefined) {
          const short = shortOf(experiment, made, Recipe.examplesOf(dataset.train.size)(plan.recipe))
          if (short !== undefined)
            return yield* fault(`${short}. Give an arm that can use up the budget, or a smaller budget.`)
          // Checked now rather than after the search.
          taughtBy = yield* domain.trainable(of, Space.seedPoint(of.space), retrained, "the recipe for retraining")
        } else {
          const outside = yield* beyond(experiment, name, of, given.point)
          if (outside !== undefined) return yield* fault(`${outside}. Give another network.`)
        }
        return {
          name,
          plan: yield* taught(plan, made.taughtBy, folder),
          again: yield* taught(retrained, taughtBy, folder),
          taughtBy,
          domain: made,
          point: given === undefined ? Option.none() : Option.some(given.point)
        } satisfies Arm
      })
    )
    const [first] = found
    if (first !== undefined) {
      const [a, b] = [first, arm].map(({ domain: { of } }) => ({
        decides: of.task.decides,
        measures: of.task.measures
      }))
      if (!Equal.equals(a, b))
        return yield* fault(
          `the arm ${name} is trained for ${arm.domain.of.task.name}, decided by ${b?.decides}, and the arm ${first.name} for ${first.domain.of.task.name}, decided by ${a?.decides}: they cannot be compared. Give arms with the same task.`
        )
    }
    found.push(arm)
  }
  return found
})

/** Every search and retraining, for each seed arm by arm, so that all arms progress equally. */
export const unitsOf = (
  { seeds }: Experiment.Experiment,
  all: ReadonlyArray<Arm>,
  folder: string
): ReadonlyArray<Unit> =>
  seeds.flatMap((seed) => all.map((arm) => ({ arm, seed, folder: join(folder, arm.name, seed) })))

type Services = Trainer | Dataset.Dataset | Runtime | runFolder.Services | Scope.Scope

/** The evaluator of the trials, limited to the number of workers for everything. */
const evaluatorOf = Effect.fnUntraced(function* (
  { device, evaluator, workers }: Machine,
  plan: plans.Plan,
  of: ModelSpace.Any,
  more: Parameters<typeof plans.training>[1],
  slots: Semaphore.Semaphore,
  onSeconds: (seconds: number) => void
) {
  const layer: Layer.Layer<Evaluator.Evaluator, WorkerEvaluator.WorkerFailed> =
    evaluator?.(plan, of) ??
    WorkerEvaluator.layer({
      module: training.module,
      options: training.toJson(plans.training({ ...plan, device }, more)),
      workers
    })
  const given = Context.get(yield* Layer.build(layer), Evaluator.Evaluator)
  return Evaluator.Evaluator.of({
    concurrency: given.concurrency,
    evaluate: (trial, report) =>
      slots.withPermits(1)(
        Effect.suspend(() => {
          const begun = performance.now()
          return Effect.ensuring(
            given.evaluate(trial, report),
            Effect.sync(() => onSeconds((performance.now() - begun) / 1000))
          )
        })
      )
  })
})

const journalOf = (folder: string, { allowMixed = false }: Machine) =>
  Layer.build(
    Journal.sqlite(join(folder, runFolder.files.journal), {
      existing: "resume",
      mixed: allowMixed ? "allow" : "refuse"
    })
  )

/** What workers have to agree on. */
const agreed = ({ machine: { allowMixed = false }, surroundings }: Running) => (allowMixed ? {} : { surroundings })

/** The seconds of training in a search's journal. */
const secondsIn = (journal: Journal.Journal["Service"]) =>
  Effect.map(journal.trainings?.() ?? Effect.succeed([]), (trainings) =>
    trainings.reduce((sum, { begun, ended }) => sum + (ended - begun) / 1000, 0)
  )

/** What a unit's trainings run with. */
interface Running {
  readonly experiment: Experiment.Experiment
  readonly machine: Machine
  readonly slots: Semaphore.Semaphore
  readonly surroundings: Surroundings.Surroundings
  readonly display: Display
}

/** The surroundings under which a journal is continued; nothing if no training is left to do, so that it keeps those it has. */
type Now = Partial<Pick<Running, "surroundings">>

/** Runs or resumes the search, and returns the best network. */
const searched = Effect.fnUntraced(function* ({ arm, folder, seed }: Unit, running: Running, now: Now) {
  const { budget = {} } = running.experiment
  const { macsOf, of, reward, services, settings, within } = arm.domain
  const plan = { ...arm.plan, seed }
  const asked = {
    trials: plan.trials,
    seed,
    reward,
    within,
    ahead: plan.ahead,
    settings,
    ...now,
    notes: plans.notesOf(plan, of.task)
  }
  const journal = yield* journalOf(folder, running.machine)
  const before = yield* Context.get(journal, Journal.Journal).open(
    yield* Effect.provide(Search.identity(of, asked), services)
  )
  let seconds = yield* secondsIn(Context.get(journal, Journal.Journal))
  const evaluator = yield* evaluatorOf(
    running.machine,
    plan,
    of,
    agreed(running),
    running.slots,
    (more) => (seconds += more)
  )
  let macs = before.reduce((sum, { entry }) => sum + (entry._tag === "Proposed" ? macsOf(entry.costs) : 0), 0)
  const told = running.display.search(
    { arm: arm.name, seed },
    {
      trials: before.filter(({ entry }) => entry._tag === "Finished" || entry._tag === "Failed").length,
      seconds,
      macs
    }
  )
  const found = yield* Search.run(of, {
    ...asked,
    ...(budget.macs === undefined ? {} : { budget: { most: budget.macs, of: macsOf } }),
    ...(budget.seconds === undefined ? {} : { until: Effect.sync(() => seconds >= (budget.seconds ?? Infinity)) }),
    onEvent: (event) => {
      if (event._tag === "Started") macs += macsOf(event.candidate.costs)
      return told(event, { seconds, macs })
    }
  }).pipe(Effect.provide(Context.mergeAll(journal, services, Context.make(Evaluator.Evaluator, evaluator))))
  const [best] = Search.ranking(of)(found.records)
  return best ?? (yield* fault("no trial has a result. See what failed with uninet status."))
}, Effect.scoped)

/** A given network as a trial with a result. */
export const candidateOf = (
  of: ModelSpace.Any,
  point: unknown
): Effect.Effect<Search.Scored<unknown>, ModelSpace.CostFailed> =>
  Effect.map(Effect.fromResult(ModelSpace.costsOf(point)(of)), (costs) => ({
    trial: 0,
    hash: Result.getOrElse(ModelSpace.networkDigest(point)(of), () => of.line(point)),
    point,
    line: of.line(point),
    costs,
    outcome: { _tag: "Scored", evaluation: { measures: {}, epochs: null }, reward: 0 }
  }))

/** Trains the network again with every fresh seed, and tests each training once. */
const retrained = Effect.fnUntraced(function* (
  { arm, folder, seed }: Unit,
  running: Running,
  best: Search.Scored<unknown>,
  now: Now
) {
  const { of, services, within } = arm.domain
  const { teacher: _, ...settings } = arm.domain.settings
  const { retrain } = running.experiment
  const plan = { ...arm.again, seed }
  const below = join(folder, again)
  const journal = yield* journalOf(below, running.machine)
  const identity = yield* Effect.provide(
    Search.identity(of, {
      trials: retrain.seeds,
      seed,
      reward: Reward.measure,
      within,
      ahead: plan.ahead,
      settings: {
        ...settings,
        ...(arm.taughtBy === undefined ? {} : { teacher: arm.taughtBy }),
        recipe: Recipe.toJson(plan.recipe),
        network: best.hash
      },
      ...now,
      notes: { ...plans.notesOf(plan, of.task), trials: retrain.seeds }
    }),
    services
  )
  const stored = yield* Context.get(journal, Journal.Journal).open(identity)
  const tested = new Set(stored.flatMap(({ entry }) => (entry._tag === "Tested" ? [entry.trial] : [])))
  const left = Array.from({ length: retrain.seeds }, (_, i) => i).filter((i) => !tested.has(i))
  const told = running.display.retrain({ arm: arm.name, seed }, tested.size)
  if (left.length === 0) return
  const evaluator = yield* evaluatorOf(
    running.machine,
    plan,
    of,
    { ...agreed(running), checkpoints: resolve(below, runFolder.checkpoints) },
    running.slots,
    () => {}
  )
  yield* Effect.forEach(
    left,
    (i) =>
      Finals.run(of, {
        // The seed of a training contains its number: the same in every arm.
        candidates: [{ ...best, trial: i }],
        epochs: retrain.epochs,
        seed,
        recipe: (point) => ({ ...plan.recipe, ...of.recipe(point) }),
        retrain: false,
        onProgress: (_, { done }) => told(i, done)
      }).pipe(Effect.scoped),
    { concurrency: evaluator.concurrency, discard: true }
  ).pipe(Effect.provide(Context.add(journal, Evaluator.Evaluator, evaluator)))
  yield* Effect.ignore((yield* FileSystem.FileSystem).remove(join(below, runFolder.checkpoints), { recursive: true }))
}, Effect.scoped)

/** Runs everything that the journals do not have yet. `onUnit`: called after each unit. */
export const run = Effect.fnUntraced(function* <E, R>(
  experiment: Experiment.Experiment,
  units: ReadonlyArray<Unit>,
  machine: Machine,
  display: Display,
  onUnit: Effect.Effect<unknown, E, R>
): Effect.fn.Return<void, CliFault | E, Services | R> {
  const slots = yield* Semaphore.make(machine.workers)
  const oneAtATime = yield* Semaphore.make(1)
  const surroundings = yield* Effect.mapError(Surroundings.here, said)
  const running = { experiment, machine, slots, surroundings, display }
  // An experiment as a whole is mixed or not: unless mixing is allowed, everything still to be trained has to match everything there is.
  const begun = yield* Effect.forEach(units, stand)
  const isFinished = begun.every((stood) => isWhole(experiment, stood))
  const mayBeOld = isFinished || machine.allowMixed === true
  const now = (isDone: boolean): Now => (isDone && mayBeOld ? {} : { surroundings })
  for (const arm of isFinished ? [] : new Set(units.map(({ arm }) => arm)))
    for (const { recipe, teacher } of [arm.plan, arm.again])
      if (teacher !== undefined) yield* inArm(arm.name)(teachers.prepare(teacher, recipe))
  const one = (stood: Stood) => {
    const { unit } = stood
    return Effect.gen(function* () {
      const best = yield* Option.match(unit.arm.point, {
        onSome: (point) => candidateOf(unit.arm.domain.of, point),
        // What was trained again had been found.
        onNone: () => searched(unit, running, now(stood.again !== undefined))
      })
      yield* retrained(unit, running, best, now(isWhole(experiment, stood)))
    }).pipe(inArm(unit.arm.name), Effect.andThen(oneAtATime.withPermits(1)(onUnit)))
  }
  // Workers that a search leaves idle at its end are used by the next one.
  const beside = machine.workers > 1 ? 1 + Math.ceil(machine.workers / experiment.ahead) : 1
  yield* Effect.forEach(begun, one, { concurrency: beside, discard: true })
})

/** What a unit's journal holds. */
export interface Recorded extends Journal.Read {
  readonly trainings: ReadonlyArray<Journal.Trained>
}

/** What the journals of a unit hold: the search's and the retraining's. */
export interface Stood {
  readonly unit: Unit
  readonly search: Recorded | undefined
  readonly again: Recorded | undefined
}

/** Whether everything in a unit has been trained and tested. */
const isWhole = ({ retrain }: Experiment.Experiment, { again }: Stood) =>
  (again?.entries ?? []).filter(({ entry }) => entry._tag === "Tested").length >= retrain.seeds

const opened = Effect.fnUntraced(function* (folder: string) {
  if (!(yield* runFolder.has(folder, runFolder.files.journal))) return undefined
  const reader = yield* Journal.reader(join(folder, runFolder.files.journal))
  return {
    identity: yield* reader.identity,
    entries: yield* reader.entries(),
    trainings: yield* reader.trainings(),
    isCut: reader.isCut
  } satisfies Recorded
}, Effect.scoped)

/** Reads them, even while another process is writing to them. */
export const stand = (unit: Unit): Effect.Effect<Stood, CliFault, runFolder.Services> =>
  Effect.all({ search: opened(unit.folder), again: opened(join(unit.folder, again)) }).pipe(
    Effect.mapBoth({ onFailure: said, onSuccess: (found) => ({ unit, ...found }) })
  )
