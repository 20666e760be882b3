// pnpm reads this: packages are packed and published with what only the published ones need.
import { manifest } from "./tools/published.mjs"

export const hooks = { beforePacking: manifest }
