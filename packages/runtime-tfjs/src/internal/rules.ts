import * as Basic from "../rules/basic.ts"
import * as Gather from "../rules/gather.ts"
import * as Images from "../rules/images.ts"
import * as Norms from "../rules/norms.ts"
import * as Products from "../rules/products.ts"
import * as Resize from "../rules/resize.ts"
import type { Rules } from "./context.ts"

/** One row per op; a missing one is a type error. */
export const rules: Rules = {
  ...Basic.rules,
  ...Products.rules,
  ...Norms.rules,
  ...Images.rules,
  ...Resize.rules,
  ...Gather.rules
}
