/** New points near known ones. */
import type { Bench } from "./engine.ts"
import * as Points from "./points.ts"

/** A point near the parent that may be claimed: one mutation away; where those are all taken, mutations of mutations; undefined where none was found. */
export const variant = <A>(bench: Bench<A>, parent: Points.Point): Points.Point | undefined => {
  for (let distance = 1; distance <= 4; distance++) {
    for (let attempt = 0; attempt < 8; attempt++) {
      let point = parent
      for (let step = 0; step < distance; step++) point = Points.mutated(bench.points, point, bench.prng())
      if (bench.isNew(point) && bench.points.feasible(point)) return point
    }
  }
  return undefined
}

/** A new point near the parent, claimed; a random one where none was found. */
export const child = <A>(bench: Bench<A>, parent: Points.Point): Points.Point | undefined => {
  const point = variant(bench, parent)
  return point !== undefined && bench.claim(point) ? point : bench.random()
}
