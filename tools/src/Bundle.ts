/** A browser bundle of a space, a graph, evolution and TPE (`bundled.ts`). */
import { build } from "esbuild"
import { fileURLToPath } from "node:url"
import { gzipSync } from "node:zlib"

/** The largest size of a bundle in bytes, compressed with gzip. */
export const limit = 120_000

export interface Bundle {
  readonly bytes: number
  readonly gzip: number
  readonly warnings: ReadonlyArray<string>
}

/** Bundled by esbuild with its default settings, or minified in addition. */
export const make = async (minify: boolean): Promise<Bundle> => {
  const { outputFiles, warnings } = await build({
    entryPoints: [fileURLToPath(new URL("bundled.ts", import.meta.url))],
    bundle: true,
    format: "esm",
    minify,
    write: false,
    logLevel: "silent"
  })
  const bytes = outputFiles[0]?.contents ?? new Uint8Array()
  return {
    bytes: bytes.length,
    gzip: gzipSync(bytes, { level: 9 }).length,
    warnings: warnings.map(({ text }) => text)
  }
}

/** On one line. */
export const line = ({ bytes, gzip, warnings }: Bundle): string =>
  `${(bytes / 1000).toFixed(1)} KB, ${(gzip / 1000).toFixed(1)} KB by gzip, ${warnings.length} warnings`
