/** Detects that a journal's file has grown. */
import { statSync } from "node:fs"

/** Milliseconds: entries carry the time at which they were submitted, and reach the file a moment later. */
export const slack = 5000

/** Changes when the file or its log changes. */
export const stampOf = (path: string): string =>
  ["", "-wal"]
    .map((end) => {
      const found = statSync(`${path}${end}`, { throwIfNoEntry: false })
      return found === undefined ? "" : `${found.mtimeMs} ${found.size}`
    })
    .join()
