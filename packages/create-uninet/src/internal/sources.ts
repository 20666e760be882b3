/** Where the files of projects are: in a checkout the examples are the repository's; a published package has copies. */
import { existsSync } from "node:fs"
import { fileURLToPath } from "node:url"

export const template = fileURLToPath(new URL("../../template", import.meta.url))

/** The copies in a published package. */
export const copied = fileURLToPath(new URL("../../dist/examples", import.meta.url))

const repository = fileURLToPath(new URL("../../../../examples", import.meta.url))

export const examples = (): string => (import.meta.url.endsWith(".ts") && existsSync(repository) ? repository : copied)
