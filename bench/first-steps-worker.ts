/**
 * The first training steps of the proxy on a device, as figures to compare with another device's:
 *
 *   node bench/first-steps-worker.ts <device> <batch> <file for the variables>
 *
 * Prints the losses of three steps as JSON.
 */
import { writeFileSync } from "node:fs"
import { Effect } from "effect"
import * as devices from "./devices.ts"
import { prepare } from "./first-steps.ts"
import { networks } from "./networks.ts"

const [device, batch, file] = process.argv.slice(2)
if (!devices.isName(device)) throw new Error(`there is no device ${device}`)

const steps = Effect.gen(function* () {
  const { executable, step } = yield* prepare(networks.proxy.architecture, Number(batch))
  const losses: Array<number> = []
  for (let i = 0; i < 3; i++) losses.push((yield* step)["loss"][0])
  const variables = [...(yield* executable.read)].toSorted(([a], [b]) => (a < b ? -1 : 1))
  writeFileSync(file, new Float32Array(variables.flatMap(([, values]) => Array.from(values))))
  process.stdout.write(JSON.stringify({ losses }))
}).pipe(Effect.scoped, Effect.provide(devices.layer(device, 1)))

// The last line on standard error says why not.
const failure = await Effect.runPromise(
  Effect.match(steps, { onFailure: (error) => error.message, onSuccess: () => undefined })
)
if (failure !== undefined) {
  console.error(failure)
  process.exitCode = 1
}
