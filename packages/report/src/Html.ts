/** A report as a single file that any browser opens. */
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { promisify } from "node:util"
import { gzip } from "node:zlib"
import * as Bundle from "./internal/bundle.ts"
import * as Report from "./Report.ts"

/** The page cannot be made here. */
export class PageUnavailable extends Schema.TaggedError<PageUnavailable>()("PageUnavailable", {
  problem: Schema.String
}) {
  override get message() {
    return `The report's page cannot be made (${this.problem}). Install the dependencies of this version again.`
  }
}

const page = Effect.tryPromise({
  try: () => Bundle.page(),
  catch: (cause) => new PageUnavailable({ problem: cause instanceof Error ? cause.message : String(cause) })
})

/** The page with some data in its place. The data are inserted literally, without interpreting patterns. */
const filled = (data: string) => Effect.map(page, (text) => text.replace(Bundle.marker, () => data))

const compress = promisify(gzip)

/**
 * The text of a file that shows a report. It requests nothing from elsewhere, and no name in the data can become markup or a script,
 * because the data are encoded as letters and digits.
 *
 * Fails with `PageUnavailable` if the page's scripts cannot be bundled.
 */
export const of = (report: Report.Report): Effect.Effect<string, PageUnavailable> =>
  Effect.flatMap(
    Effect.promise(() => compress(Report.toBytes(report), { level: 7 })),
    (packed) => filled(`<script type="application/octet-stream" id="report">${packed.toString("base64")}</script>`)
  )

/** The page that requests everything from its server. */
export const live: Effect.Effect<string, PageUnavailable> = filled(
  '<script type="application/octet-stream" id="report" data-live></script>'
)
