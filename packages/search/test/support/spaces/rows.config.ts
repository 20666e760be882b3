/** A config with its own space, data set, reward, objective, bounds and strategy, and a version. */
import { Random } from "@uninet/controller"
import { defineConfig } from "@uninet/search"
import { data, rows } from "../rows.ts"

export default defineConfig({
  trials: 4,
  space: rows,
  dataset: data,
  strategy: Random.layer(),
  reward: ({ mae = 0, width = 0 }: Readonly<Record<string, number>>) => -mae - width / 100,
  objectives: ["mae", { name: "rate", direction: "lower", of: ({ macs = 0 }) => macs }],
  within: { width: { min: 2, max: 8 } },
  ahead: 1,
  version: "7"
})
