/** A network for images of another size, if its space says how its networks grow. */
import * as Effect from "effect/Effect"
import { at, type CliFault, fault } from "./CliFault.ts"
import type * as networks from "./networks.ts"

/** The same network at another resolution: for UniNet's networks, the height of their images. */
export const to = Effect.fnUntraced(function* (
  found: networks.Found,
  resolution: number
): Effect.fn.Return<networks.Found, CliFault> {
  const { of, point } = found
  if (of.scaling === null)
    return yield* fault(
      `--image: ${of.name} does not say how its networks grow with the image, so their image size cannot be changed. Leave --image out.`
    )
  const chain = yield* Effect.mapError(Effect.fromResult(of.scaling.chain(point, null)), at("--image"))
  return { ...found, point: chain.apply({ ...chain.sizesOf(point), resolution }) }
})
