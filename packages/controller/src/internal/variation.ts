/** New points near known ones. */
import type { Bench } from "./engine.ts"
import * as Points from "./points.ts"

/** A new point near the parent: one mutation; where those are all taken, mutations of mutations; then a random point. */
export const child = <A>(bench: Bench<A>, parent: Points.Point): Points.Point | undefined => {
  for (let distance = 1; distance <= 4; distance++) {
    for (let attempt = 0; attempt < 8; attempt++) {
      let point = parent
      for (let step = 0; step < distance; step++) point = Points.mutated(bench.points, point, bench.prng())
      if (bench.claim(point)) return point
    }
  }
  return bench.random()
}
