/** What a space declares about a point that is to be scaled: its cost, and its chain. */
import { ModelSpace, type Scaling } from "@uninet/model-space"
import * as Result from "effect/Result"
import { type ScaleError, Unscalable } from "../ScaleError.ts"

export type Space<A, C extends string, M extends string> = ModelSpace.ModelSpace<A, C, M>

/** Multiply-accumulates of a point, from the space's cost of that name. */
export const macsOf = <A, C extends string, M extends string>(
  of: Space<A, C, M>,
  point: A
): Result.Result<number, ScaleError> => {
  const unscalable = (reason: string) => new Unscalable({ space: of.name, network: of.line(point), reason })
  return Result.flatMap(ModelSpace.costsOf(point)(of), (costs): Result.Result<number, ScaleError> => {
    const macs = Object.entries<number>(costs).find(([name]) => name === "macs")?.[1]
    if (macs === undefined) return Result.fail(unscalable("the space has no cost named macs; add one"))
    if (Number.isFinite(macs)) return Result.succeed(macs)
    const built = of.model(point)
    return Result.fail(unscalable(`it cannot be built${Result.isFailure(built) ? `: ${built.failure.reason}` : ""}`))
  })
}

/** A point as a chain that can grow. */
export const chainOf = <A, C extends string, M extends string>(
  of: Space<A, C, M>,
  point: A,
  divisor: number | undefined
): Result.Result<Scaling.Chain<A>, ScaleError> =>
  of.scaling === null
    ? Result.fail(Unscalable.unsaid(of.name))
    : Result.mapError(
        of.scaling.chain(point, divisor ?? null),
        ({ message }) => new Unscalable({ space: of.name, network: of.line(point), reason: message })
      )
