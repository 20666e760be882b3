/** The service that says which networks a search may choose from. */
import * as Context from "effect/Context"
import type { Architecture } from "./Architecture.ts"
import type { Space } from "./Space.ts"

/**
 * The space of a search, as a service: `yield* SearchSpace` gives a `Space<Architecture>`. `UniNetSpace.layer` provides UniNet's;
 * any space whose values are architectures is provided by `Layer.succeed(SearchSpace, space)`.
 */
export class SearchSpace extends Context.Service<SearchSpace, Space<Architecture>>()(
  "@uninet/search-space/SearchSpace"
) {}
