/**
 * What a space, a graph, evolution and TPE weigh in a browser: `src/bundled.ts` bundled by esbuild with its default settings, and minified besides.
 *
 *     node tools/bundle.ts
 *
 * Fails where esbuild warns, or where a bundle has more than 120 KB when it is compressed by gzip.
 */
import * as Bundle from "./src/Bundle.ts"

for (const minify of [false, true]) {
  const bundle = await Bundle.make(minify)
  for (const warning of bundle.warnings) console.error(warning)
  if (bundle.warnings.length > 0 || bundle.gzip > Bundle.limit) process.exitCode = 1
  console.log(`${minify ? "minified" : "as it is"}: ${Bundle.line(bundle)}`)
}
