/**
 * A search's trials as MLflow's file store (`mlruns`): one experiment, with a run for every trial that has its choices as parameters, and
 * its results and learning curve as metrics. Writes the files that `mlflow.store.tracking.file_store` reads.
 */
import { createHash } from "node:crypto"
import * as Trials from "./Trials.ts"

/** YAML with strings quoted as in JSON. */
const yaml = (fields: Readonly<Record<string, string | number | null | ReadonlyArray<never>>>) =>
  Object.entries(fields)
    .map(([name, value]) => `${name}: ${JSON.stringify(value)}\n`)
    .join("")

/** Names of parameters and metrics are file names: only letters, digits and `_ - .`. */
const plain = (name: string) => name.replace(/[^\w.-]+/g, "_")

const digest = (text: string, length: number) => createHash("sha256").update(text).digest("hex").slice(0, length)

/** MLflow's codes for the status of a run. */
const statuses = { running: 1, finished: 3, failed: 4, refused: 4 } as const satisfies Record<Trials.State, number>

/** MLflow refuses values longer than this. */
const longest = 6000

/**
 * The files by their paths inside the store's folder; a path that ends with `/` is a folder, which may be empty. Refused trials are left
 * out. The same table always gives the same files.
 *
 * `artifacts`: where MLflow keeps artifacts of these runs, should any be logged; by default next to them.
 */
export const files =
  (artifacts = "mlflow-artifacts:") =>
  ({ name, rows: all, seed, settings }: Trials.Table): ReadonlyMap<string, string> => {
    const rows = all.filter(({ state }) => state !== "refused")
    const out = new Map<string, string>()
    // A number with 18 digits, like MLflow's own.
    const experiment = String(BigInt(`0x${digest(JSON.stringify([name, seed, settings]), 16)}`) % 10n ** 18n).padStart(
      18,
      "1"
    )
    const [begun, ended] = [
      rows.reduce((least, row) => Math.min(least, row.begun), Infinity),
      rows.reduce((most, row) => Math.max(most, row.ended ?? row.begun), 0)
    ]
    out.set(
      `${experiment}/meta.yaml`,
      yaml({
        artifact_location: `${artifacts}/${experiment}`,
        creation_time: Math.round(Number.isFinite(begun) ? begun : 0),
        experiment_id: experiment,
        last_update_time: Math.round(ended),
        lifecycle_stage: "active",
        name
      })
    )
    for (const row of rows) {
      const run = digest(`${experiment}/${row.trial}`, 32)
      const below = (path: string) => `${experiment}/${run}/${path}`
      // MLflow recognises a folder as a run's only if all of these are in it.
      for (const folder of ["artifacts/", "metrics/", "params/", "tags/"]) out.set(below(folder), "")
      out.set(
        below("meta.yaml"),
        yaml({
          artifact_uri: `${artifacts}/${experiment}/${run}/artifacts`,
          end_time: row.state === "running" ? null : Math.round(row.ended ?? row.begun),
          entry_point_name: "",
          experiment_id: experiment,
          lifecycle_stage: "active",
          run_id: run,
          run_name: `trial-${row.trial}`,
          run_uuid: run,
          source_name: "",
          source_type: 4,
          source_version: "",
          start_time: Math.round(row.begun),
          status: statuses[row.state],
          tags: [],
          user_id: ""
        })
      )
      for (const [key, value] of Object.entries(row.parameters))
        out.set(below(`params/${plain(key)}`), String(value).slice(0, longest))
      const at = Math.round(row.ended ?? row.begun)
      const metric = (key: string, lines: ReadonlyArray<readonly [time: number, value: number, step: number]>) => {
        if (lines.length > 0)
          out.set(below(`metrics/${plain(key)}`), lines.map((line) => `${line.join(" ")}\n`).join(""))
      }
      if (row.reward !== null) metric("reward", [[at, row.reward, row.epochs ?? 0]])
      for (const [key, value] of Object.entries(row.costs)) metric(`cost.${key}`, [[at, value, 0]])
      const { curve } = row
      const epochs = curve?.epochs ?? []
      const when = (i: number) => Math.round(row.begun + ((at - row.begun) * (i + 1)) / epochs.length)
      const series = (values: ReadonlyArray<number | null> = []) =>
        epochs.flatMap((epoch, i) => {
          const value = values[i] ?? null
          return value === null ? [] : [[when(i), value, epoch] as const]
        })
      metric("train.loss", series(curve?.loss))
      // The result of the best epoch comes last, so that it is the final value.
      for (const [key, value] of Object.entries(row.measures))
        metric(key, [...series(curve?.measures[key]), [at, value, Math.max(row.epochs ?? 0, epochs.at(-1) ?? 0) + 1]])
      const tags = {
        "mlflow.runName": `trial-${row.trial}`,
        trial: String(row.trial),
        hash: row.hash,
        line: row.line,
        seed: row.seed,
        ...(row.reason === null ? {} : { reason: row.reason, detail: row.detail ?? "" }),
        ...(row.place === null ? {} : { host: row.place.host, engine: row.place.engine ?? "" })
      }
      for (const [key, value] of Object.entries(tags)) out.set(below(`tags/${key}`), value)
    }
    return out
  }
