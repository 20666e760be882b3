/** The same space for the command line: `npx uninet search`, with workers, finals and a report. Flags override fields. */
import { defineConfig } from "@uninet/search"
import { UniNetSpace } from "@uninet/uninet"
import { kit } from "./operator.ts"

export default defineConfig({ space: UniNetSpace.forData({ kit }), trials: 16, targetMacs: "1M" })
