/**
 * How often scaling meets its target, how far members are from what their coefficients say, and how long it takes.
 *
 *     node bench/scaler.ts [architectures of each space, default 250]
 */
import { Coefficients, Compound, LimitReached, StepsTooCoarse } from "@uninet/scaler"
import { Prng, Space } from "@uninet/search-space"
import { UniNetSpace } from "@uninet/uninet"
import * as Result from "effect/Result"

const each = Number(process.argv[2] ?? 250)
const grid = [Coefficients.efficientNet, ...Coefficients.grid()]
const phis = [1, 2, 3]

const median = (numbers: ReadonlyArray<number>) =>
  numbers.toSorted((a, b) => a - b)[Math.floor(numbers.length / 2)] ?? 0

console.log(
  "| image | coefficients | families | whole | at a limit | steps too coarse | worst MACs | median off the ideal | ms a family |"
)
console.log(
  "| ----: | ------------ | -------: | ----: | ---------: | ---------------: | ---------: | -------------------: | ----------: |"
)
for (const image of [28, 32, 64, 224])
  for (const [name, coefficients] of [
    ["EfficientNet's", [Coefficients.efficientNet]],
    ["of the grid", grid]
  ] as const) {
    const of = Result.getOrThrow(UniNetSpace.models({ image, classes: 10 }))
    const prng = Prng.fromSeed(`scaler ${image}`)
    const failed = { limit: 0, coarse: 0 }
    const times: Array<number> = []
    const off: Array<number> = []
    let worst = 0
    for (let i = 0; i < each; i++) {
      const chosen = coefficients[i % coefficients.length] ?? Coefficients.efficientNet
      // A third of the families keep the image size, if that leaves something to scale.
      const fixedImage = i % 3 === 0 && chosen.depth * chosen.width > 1
      const baseline = Space.sample(prng)(of.space)
      const started = performance.now()
      const family = Compound.family(of, baseline, phis, { coefficients: chosen, fixedImage })
      times.push(performance.now() - started)
      if (Result.isFailure(family)) {
        if (family.failure instanceof LimitReached) failed.limit++
        else if (family.failure instanceof StepsTooCoarse) failed.coarse++
        else throw family.failure
        continue
      }
      for (const { effective, factors, macs, target } of family.success) {
        worst = Math.max(worst, Math.abs(macs / target - 1))
        const wanted = { ...chosen, ...(fixedImage ? { resolution: 1 } : {}) }
        const logs = (["depth", "width", "resolution"] as const).map(
          (key) => Math.log(factors[key]) - (effective ?? 0) * Math.log(wanted[key])
        )
        off.push(Math.exp(Math.sqrt(logs.reduce((sum, x) => sum + x * x, 0) / 3)) - 1)
      }
    }
    const whole = each - failed.limit - failed.coarse
    console.log(
      `| ${image} | ${name} | ${each} | ${whole} | ${failed.limit} | ${failed.coarse} | ${(100 * worst).toFixed(2)}% | ${(100 * median(off)).toFixed(1)}% | ${median(times).toFixed(0)} |`
    )
  }
