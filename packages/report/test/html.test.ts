import { assert, describe, it } from "@effect/vitest"
import { Html, Report, Run } from "@uninet/report"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import { gunzipSync } from "node:zlib"
import { journal } from "./support/journals.ts"

const hostile = `</script><script>document.body.dataset.hacked="yes"</script><!--$&$\``

describe("a report's file", () => {
  it.live("holds no name as it is, names nothing elsewhere, and gives the report back", () =>
    Effect.gen(function* () {
      const name = `runs/${hostile}`
      const run = Run.of(journal({ trials: 30, prefix: hostile }), { name, state: "stopped" })
      const report = Report.of([Report.shown()(run)], { made: 0, problems: [hostile] })
      const html = yield* Html.of(report)
      assert.notInclude(html, "hacked")
      assert.strictEqual(html.match(/<script/g)?.length, 2)
      assert.strictEqual(html.match(/<\/script>/g)?.length, 2)
      assert.notMatch(html.replace(/<script[^]*<\/script>/g, ""), /https?:/)
      assert.match(html, /Content-Security-Policy" content="default-src 'none'; script-src 'sha256-[^']+='/)
      const data = /id="report">([^<]*)</.exec(html)?.[1] ?? assert.fail("it has no data")
      const back = Report.fromBytes(new Uint8Array(gunzipSync(Buffer.from(data, "base64"))))
      assert.strictEqual(Result.getOrThrow(back).runs[0].info.name, name)
      assert.deepStrictEqual(Result.getOrThrow(back).problems, [hostile])
    })
  )
})
