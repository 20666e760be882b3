/**
 * The size of a space, a graph, evolution and TPE in a browser: `src/bundled.ts` bundled by esbuild with its default settings, and also
 * minified.
 *
 *     node tools/bundle.ts
 *
 * Fails if esbuild warns, or if a bundle is larger than 120 KB after compression with gzip.
 */
import * as Bundle from "./src/Bundle.ts"

for (const minify of [false, true]) {
  const bundle = await Bundle.make(minify)
  for (const warning of bundle.warnings) console.error(warning)
  if (bundle.warnings.length > 0 || bundle.gzip > Bundle.limit) process.exitCode = 1
  console.log(`${minify ? "minified" : "as it is"}: ${Bundle.line(bundle)}`)
}
