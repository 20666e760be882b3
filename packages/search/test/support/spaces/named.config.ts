/** A config that names a space which somebody else knows. */
import { defineConfig } from "@uninet/search"

export default defineConfig({ space: "rows" })
