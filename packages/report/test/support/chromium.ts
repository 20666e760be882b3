/** A headless Chromium of the machine. */
import * as Effect from "effect/Effect"
import { existsSync } from "node:fs"
import { chromium as driver } from "playwright-core"

/** Where it is, if it is. */
export const executable = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"].find((file) =>
  existsSync(file)
)

/** A browser that ends with the scope. */
export const browser = (executablePath: string) =>
  Effect.acquireRelease(
    Effect.promise(() => driver.launch({ executablePath, args: ["--no-sandbox", "--disable-dev-shm-usage"] })),
    (opened) => Effect.promise(() => opened.close())
  )
