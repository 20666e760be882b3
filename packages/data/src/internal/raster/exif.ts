/** The orientation in an EXIF block (a small TIFF file). */

/** EXIF's tag with that name. */
const orientationTag = 0x0112

/** 1…8; 1 if the block does not say. */
export const orientationOf = (tiff: Uint8Array): number => {
  if (tiff.length < 14) return 1
  const view = new DataView(tiff.buffer, tiff.byteOffset, tiff.byteLength)
  const little = view.getUint16(0) === 0x4949
  const start = view.getUint32(4, little)
  if (start + 2 > tiff.length) return 1
  const count = view.getUint16(start, little)
  for (let i = 0; i < count; i++) {
    const at = start + 2 + 12 * i
    if (at + 12 > tiff.length) return 1
    if (view.getUint16(at, little) === orientationTag) return view.getUint16(at + 8, little)
  }
  return 1
}
