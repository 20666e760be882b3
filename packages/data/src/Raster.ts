/**
 * Reads image files as Pillow does, in Node and in a browser: `Image.open`, `ImageOps.exif_transpose`, `convert("L" | "RGB")`. This is how
 * images were read for networks trained with PyTorch.
 *
 * `decode` reads the formats whose pixels a browser or sharp would change (BMP, GIF, PNG, Netpbm's). The output of any other decoder is
 * converted to Pillow's by `fromSamples`, `withChannels` and `oriented`. Imports nothing from Node.
 */
import * as bmp from "./internal/raster/bmp.ts"
import * as gif from "./internal/raster/gif.ts"
import * as png from "./internal/raster/png.ts"
import * as pnm from "./internal/raster/pnm.ts"
import type { Raster, Undecodable } from "./internal/raster/raster.ts"

export {
  fromSamples,
  luma,
  maxPixels,
  oriented,
  type Raster,
  type Samples,
  type Undecodable,
  withChannels
} from "./internal/raster/raster.ts"

/**
 * The format that a file's first bytes indicate; `undefined` for any other format.
 *
 * @example
 * ```ts
 * import { Raster } from "@uninet/data"
 *
 * // Told by the file's content, whatever its name.
 * console.log(Raster.formatOf(new TextEncoder().encode("P3 1 1 255 255 0 0\n"))) // pnm
 * console.log(Raster.formatOf(new TextEncoder().encode("<svg>"))) // undefined
 * ```
 */
export const formatOf = (bytes: Uint8Array): "bmp" | "gif" | "jpeg" | "png" | "pnm" | undefined => {
  const begins = (...values: ReadonlyArray<number>) => values.every((value, i) => bytes[i] === value)
  if (begins(0xff, 0xd8)) return "jpeg"
  if (begins(0x89, 0x50, 0x4e, 0x47)) return "png"
  if (begins(0x47, 0x49, 0x46, 0x38)) return "gif"
  if (begins(0x42, 0x4d)) return "bmp"
  const [, kind = 0, space = 0] = bytes
  return begins(0x50) && kind >= 0x31 && kind <= 0x36 && (space === 35 || space === 32 || (space >= 9 && space <= 13))
    ? "pnm"
    : undefined
}

/**
 * The pixels of a BMP, GIF (its first frame), PNG, PBM, PGM or PPM file, oriented by its EXIF data, or the reason why there are none. At
 * most `maxPixels`.
 *
 * @example
 * ```ts
 * import { Raster } from "@uninet/data"
 *
 * const pixel = new TextEncoder().encode("P3 1 1 255 255 0 0\n")
 * const decoded = await Raster.decode(pixel)
 * if ("bytes" in decoded) console.log(Raster.withChannels(1)(decoded).bytes) // [76]: pure red in grey
 * ```
 */
export const decode = async (bytes: Uint8Array): Promise<Raster | Undecodable> => {
  try {
    switch (formatOf(bytes)) {
      case "bmp":
        return bmp.decode(bytes)
      case "gif":
        return gif.decode(bytes)
      case "png":
        return await png.decode(bytes)
      case "pnm":
        return pnm.decode(bytes)
      default:
        return { reason: "not an image in a known format" }
    }
  } catch (cause) {
    return { reason: cause instanceof RangeError ? "cut short" : "damaged" }
  }
}
