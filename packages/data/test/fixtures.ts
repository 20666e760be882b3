/** Small data sets on disk and in memory, in their exact formats. */
import { Memory } from "@uninet/data"
import { Effect, type Scope } from "effect"
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { dirname, join } from "node:path"
import sharp from "sharp"

/** A folder that is removed with the scope. */
export const temporaryFolder: Effect.Effect<string, never, Scope.Scope> = Effect.acquireRelease(
  Effect.promise(() => mkdtemp(join(tmpdir(), "uninet-data-"))),
  (folder) => Effect.promise(() => rm(folder, { recursive: true, force: true }))
)

/** A temporary folder with these files. */
export const folderOf = (files: Record<string, Uint8Array | string>) =>
  Effect.tap(temporaryFolder, (folder) =>
    Effect.promise(async () => {
      for (const [name, content] of Object.entries(files)) {
        const path = join(folder, name)
        await mkdir(dirname(path), { recursive: true })
        await writeFile(path, content)
      }
    })
  )

/** Values that differ from place to place, and are the same on every machine. */
export const pattern = (length: number, offset = 0): Uint8Array =>
  Uint8Array.from({ length }, (_, i) => ((i + offset) * 2654435761) >>> 24)

/** `size` images of `channels`×`edge`×`edge`, labels 0, 1, …, classes − 1 in turn. */
export const samples = (size: number, classes: number, channels = 1, edge = 4, offset = 0) => ({
  images: pattern(size * channels * edge * edge, offset),
  labels: Array.from({ length: size }, (_, i) => i % classes)
})

/** 30 + 9 + 7 images of 2×4×4 in three classes. */
export const small = Memory.make({
  name: "small",
  classes: ["a", "b", "c"],
  image: { channels: 2, height: 4, width: 4 },
  train: samples(30, 3, 2),
  validation: samples(9, 3, 2, 4, 1),
  test: samples(7, 3, 2, 4, 2)
})

/** An IDX file of bytes. */
export const idx = (sizes: ReadonlyArray<number>, data: ArrayLike<number>): Uint8Array => {
  const file = new Uint8Array(4 + 4 * sizes.length + data.length)
  const view = new DataView(file.buffer)
  view.setUint32(0, 0x0800 + sizes.length)
  for (const [i, size] of sizes.entries()) view.setUint32(4 + 4 * i, size)
  file.set(data, 4 + 4 * sizes.length)
  return file
}

/** A JPEG or PNG of one colour. */
export const picture = (
  format: "jpeg" | "png",
  width: number,
  height: number,
  background: { readonly r: number; readonly g: number; readonly b: number }
): Promise<Buffer> =>
  sharp({ create: { width, height, channels: 3, background } })
    .toFormat(format)
    .toBuffer()
