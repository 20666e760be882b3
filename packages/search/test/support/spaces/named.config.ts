/** A config that names a space known elsewhere. */
import { defineConfig } from "@uninet/search"

export default defineConfig({ space: "rows" })
