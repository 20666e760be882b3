/** A policy with its variables on an engine: samples sequences, updates the policy, reads its probabilities, saves and loads it. */
import type { Program } from "@uninet/graph"
import { type Data, type Executable, Runtime } from "@uninet/engine"
import { Constrained, Elementary, type Prng, Site } from "@uninet/search-space"
import * as Effect from "effect/Effect"
import * as Base64 from "effect/encoding/Base64"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import { InvalidSnapshot, PolicyFailed } from "../StrategyError.ts"
import * as Entries from "./entries.ts"
import type { Points } from "./points.ts"
import * as Programs from "./policyPrograms.ts"

export type Settings = Pick<
  Programs.Settings,
  "policy" | "hidden" | "rows" | "most" | "clip" | "memory" | "context" | "decay"
>

/** A sequence, as it was sampled from the policy. */
export interface Sampled {
  /** The token for every site, or absent. Not canonical: these are the policy's own actions. */
  readonly actions: Int32Array
  /** log π of the whole sequence when it was sampled; `undefined` if the policy did not propose it. */
  readonly logProbability: number | undefined
  /** For every site and option (or slot) 0, or −10⁹ if constraints bar it; `undefined` without constraints. */
  readonly mask: Float32Array | undefined
}

/** One sequence of an update. */
export interface Experience {
  readonly sampled: Sampled
  readonly advantage: number
}

export interface Policy {
  /** Many sequences, sampled in one run. */
  readonly sample: (prng: Prng.Prng) => Effect.Effect<ReadonlyArray<Sampled>, PolicyFailed>
  /** Wraps a sequence that the policy did not propose. */
  readonly foreign: (actions: Int32Array) => Sampled
  /** The probability of every option (or slot) of every site along a sequence. */
  readonly probabilities: (actions: Int32Array) => Effect.Effect<(site: number) => ReadonlyArray<number>, PolicyFailed>
  /** One AdamW step on up to `most` sequences; returns their log-probabilities before the step. */
  readonly update: (
    experiences: ReadonlyArray<Experience>,
    settings: { readonly learningRate: number; readonly entropy: number }
  ) => Effect.Effect<ArrayLike<number>, PolicyFailed>
  readonly save: Effect.Effect<Schema.Json, PolicyFailed>
  readonly load: (state: Schema.Json) => Effect.Effect<void, PolicyFailed | InvalidSnapshot>
}

const State = Schema.Struct({ step: Schema.Int, variables: Schema.Record(Schema.String, Schema.String) })

/** Noise that is large compared with a policy's logits. */
const forced = 1e6

/** A space without choices needs no programs. */
const idle: Executable<"sample" | "update"> = {
  run: () => Effect.succeed({}),
  read: Effect.succeed(new Map()),
  write: () => Effect.void
}

/** A policy over a space, with initial values drawn from the generator. */
export const make = Effect.fnUntraced(function* <A>(
  name: string,
  points: Points<A>,
  settings: Settings,
  prng: Prng.Prng
) {
  const { most, rows } = settings
  const { sites } = points
  const steps = sites.length
  const chosen = Entries.policySites(sites)
  const options = Math.max(1, ...chosen.map(({ count }) => count))
  const constrained = points.constrained.constraints.length > 0
  const failed = (cause: unknown) => new PolicyFailed({ strategy: name, cause })
  const invalid = (problem: string) => new InvalidSnapshot({ strategy: name, problem })

  const compiled = Effect.gen(function* () {
    const programs: Readonly<Record<"sample" | "update", Program.Program>> = yield* Effect.fromResult(
      Programs.make(chosen, { ...settings, constrained })
    )
    const executable = yield* (yield* Runtime).compile(programs)
    const values = new Map<string, Data>()
    const present = yield* executable.read
    for (const [variable, deviation] of Programs.deviations) {
      const size = present.get(variable)?.length
      if (size !== undefined)
        values.set(
          variable,
          Float32Array.from({ length: size }, () => deviation * prng.nextNormal())
        )
    }
    yield* executable.write(values)
    return executable
  })
  const executable = steps === 0 ? idle : yield* Effect.mapError(compiled, failed)
  const run = (program: "sample" | "update", inputs: Readonly<Record<string, Data>>) =>
    Effect.mapError(executable.run(program, inputs), failed)
  let step = 0

  const size = steps * rows * options
  const offset = (site: number, row: number) => (site * rows + row) * options
  const actionsOf = (drawn: ArrayLike<number>, spread: Float64Array, row: number): Int32Array => {
    const actions = new Int32Array(steps).fill(Site.absent)
    for (const site of sites) {
      const at = site.index * rows + row
      const entry = drawn[at]
      if (entry !== undefined && Site.exists(site, actions))
        actions[site.index] = Entries.tokenOf(site, entry, spread[at] ?? 0)
    }
    return actions
  }

  /**
   * Follows some actions as far as they are allowed, and bars in `mask` the options that the constraints bar on the way. Returns whether that changed anything.
   */
  const bar = (actions: Int32Array, mask: Float32Array): boolean => {
    let changed = false
    const prefix: Array<number> = []
    for (;;) {
      // the prefix contains only tokens that `next` allowed
      const next = Result.getOrThrow(Constrained.next(prefix)(points.constrained))
      if (Option.isNone(next)) return changed
      const { mask: allowed, site } = next.value
      const from = site.index * options
      for (const [entry, may] of allowed.entries()) {
        if (may || mask[from + entry] !== 0) continue
        mask[from + entry] = -Programs.never
        changed = true
      }
      const token = actions[site.index] ?? Site.absent
      if (allowed[Entries.entryOf(site, token)] !== true) return changed
      prefix.push(token)
    }
  }

  /**
   * Runs the sampling program until nothing is left to bar. Barring an option that was not drawn changes no draw. If a drawn option is barred, its site is drawn again
   * with the same noise, and the sites before it do not change, so every run settles at least one more site of every sequence.
   */
  const settled = Effect.fnUntraced(function* (gumbel: Float32Array, spread: Float64Array) {
    if (!constrained) return { out: yield* run("sample", { gumbel }), masks: undefined }
    const masks = Array.from({ length: rows }, () => new Float32Array(steps * options))
    const barred = new Float32Array(size)
    for (;;) {
      const out = yield* run("sample", { gumbel, barred })
      let changed = false
      for (const [row, mask] of masks.entries()) {
        if (!bar(actionsOf(out["tokens"] ?? [], spread, row), mask)) continue
        changed = true
        for (let t = 0; t < steps; t++) barred.set(mask.subarray(t * options, (t + 1) * options), offset(t, row))
      }
      if (!changed) return { out, masks }
    }
  })
  const sampledOf = (
    {
      masks,
      out
    }: {
      readonly out: Readonly<Record<string, Data>>
      readonly masks: ReadonlyArray<Float32Array> | undefined
    },
    spread: Float64Array
  ) =>
    Array.from({ length: rows }, (_, row): Sampled => ({
      actions: actionsOf(out["tokens"] ?? [], spread, row),
      logProbability: out["logProbability"]?.[row] ?? 0,
      mask: masks?.[row]
    }))

  const policy: Policy = {
    sample: (prng) =>
      Effect.suspend(() => {
        // the tiny number keeps the inner logarithm from being infinite
        const gumbel = new Float32Array(size)
        const spread = new Float64Array(steps * rows)
        for (const { count, index } of chosen) {
          for (let row = 0; row < rows; row++) {
            const from = offset(index, row)
            for (let o = 0; o < count; o++)
              gumbel[from + o] = -Elementary.log(-Elementary.log(prng.nextFloat() + 2 ** -55))
          }
        }
        for (const { index, slots } of sites) {
          if (slots !== undefined) for (let row = 0; row < rows; row++) spread[index * rows + row] = prng.nextFloat()
        }
        return Effect.map(settled(gumbel, spread), (drawn) => sampledOf(drawn, spread))
      }),
    foreign: (actions) => {
      const mask = constrained ? new Float32Array(steps * options) : undefined
      if (mask !== undefined) bar(actions, mask)
      return { actions, logProbability: undefined, mask }
    },
    probabilities: (actions) =>
      Effect.suspend(() => {
        const gumbel = new Float32Array(size)
        const spread = new Float64Array(steps * rows)
        for (const site of sites) {
          const token = actions[site.index] ?? Site.absent
          if (token === Site.absent) continue
          gumbel[offset(site.index, 0) + Entries.entryOf(site, token)] = forced
          spread[site.index * rows] = Entries.spreadOf(site, token)
        }
        return Effect.map(
          settled(gumbel, spread),
          ({ out }) =>
            (site: number) =>
              Array.from({ length: chosen[site]?.count ?? 0 }, (_, o) =>
                Elementary.exp(out["logs"]?.[offset(site, 0) + o] ?? 0)
              )
        )
      }),
    update: (experiences, { entropy, learningRate }) => {
      if (experiences.length === 0) return Effect.succeed([])
      const inputs = {
        taken: new Float32Array(steps * most * options),
        present: new Float32Array(steps * most),
        advantage: new Float32Array(most),
        former: new Float32Array(most),
        known: new Float32Array(most),
        weight: new Float32Array(most),
        entropyWeight: Float32Array.of(entropy),
        learningRate: Float32Array.of(learningRate),
        step: Float32Array.of(++step),
        ...(constrained ? { barred: new Float32Array(steps * most * options) } : {})
      }
      for (const [row, { advantage, sampled }] of experiences.entries()) {
        inputs.advantage[row] = advantage
        if (sampled.logProbability !== undefined) {
          inputs.former[row] = sampled.logProbability
          inputs.known[row] = 1
        }
        inputs.weight[row] = 1 / experiences.length
        for (const [t, site] of sites.entries()) {
          const token = sampled.actions[t] ?? Site.absent
          if (token === Site.absent) continue
          inputs.taken[(t * most + row) * options + Entries.entryOf(site, token)] = 1
          inputs.present[t * most + row] = 1
          const mask = sampled.mask?.subarray(t * options, (t + 1) * options)
          if (mask !== undefined) inputs.barred?.set(mask, (t * most + row) * options)
        }
      }
      return Effect.map(run("update", inputs), (out) => out["logProbability"] ?? [])
    },
    save: Effect.suspend(() =>
      Effect.map(Effect.mapError(executable.read, failed), (values) => ({
        step,
        variables: Object.fromEntries(
          [...values].map(([variable, data]) => [
            variable,
            Base64.encode(new Uint8Array(data.buffer, data.byteOffset, data.byteLength))
          ])
        )
      }))
    ),
    load: (given) =>
      Effect.gen(function* () {
        const state = yield* Effect.mapError(Schema.decodeUnknownEffect(State)(given), (e) => invalid(e.message))
        const values = new Map<string, Data>()
        for (const [variable, text] of Object.entries(state.variables)) {
          const bytes = yield* Effect.mapError(Effect.fromResult(Base64.decode(text)), (e) => invalid(e.message))
          if (bytes.length % 4 !== 0) return yield* invalid(`the variable ${variable} is truncated`)
          values.set(variable, new Float32Array(bytes.slice().buffer))
        }
        yield* Effect.mapError(executable.write(values), (e) => invalid(e.message))
        step = state.step
      })
  }
  return policy
})
