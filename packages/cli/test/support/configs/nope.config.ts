/** As someone without a type checker might write it: this operator does not exist. */
import { OperatorSet } from "@uninet/operators"
import { defineConfig } from "@uninet/search"
import { Kit, UniNetSpace } from "@uninet/uninet"

const name: OperatorSet.Name = JSON.parse('"Nope"')

export default defineConfig({
  space: UniNetSpace.forData({ kit: Kit.make({ operators: OperatorSet.only(name) }) })
})
