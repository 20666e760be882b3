/** What `--screen-by` knows of a network before it is trained: its scores by proxies, on training examples. */
import { type DataError, Dataset } from "@uninet/data"
import { ModelSpace } from "@uninet/model-space"
import { Proxies } from "@uninet/predictor"
import { Runtime } from "@uninet/runtime"
import type { Search } from "@uninet/search"
import { Space } from "@uninet/search-space"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"

const batch = 32

/** Scores by the proxies with these names, the same for the same seed; prints how long they take per network. */
export const make = Effect.fnUntraced(function* (
  name: string,
  of: ModelSpace.Any,
  seed: string
): Effect.fn.Return<Search.Known<unknown>, DataError.DataError, Dataset.Dataset | Runtime> {
  const data = yield* Dataset.Dataset
  const runtime = yield* Runtime
  const first = yield* Stream.runHead(data.train.batches({ batch, shuffle: { seed } }))
  const examples = Option.isSome(first) && first.value.size === batch ? { examples: first.value } : {}
  const proxies = name.split(",").flatMap((each) => (Proxies.isName(each) ? [Proxies.all[each]] : []))
  const scores = (point: unknown) =>
    Effect.fromResult(ModelSpace.trainable(point)(of)).pipe(
      Effect.flatMap(Proxies.score(proxies, { seed, batch, ...examples })),
      Effect.map((scored) => scored.map(({ score }) => score ?? Number.NaN)),
      // A network that cannot be scored is taken to be average.
      Effect.orElseSucceed(() => proxies.map(() => Number.NaN)),
      Effect.provideService(Runtime, runtime)
    )
  const began = performance.now()
  yield* scores(Space.seedPoint(of.space))
  const seconds = ((performance.now() - began) / 1000).toPrecision(2)
  yield* Console.error(`note: ${name} take about ${seconds} s for each proposed network`)
  return { name, of: scores }
})
