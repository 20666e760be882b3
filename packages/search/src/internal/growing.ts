/** What tells that a journal's file has grown. */
import { statSync } from "node:fs"

/** Milliseconds: entries have the time at which they were handed over, and come into the file a moment later. */
export const slack = 5000

/** Changes with the file, or with its log. */
export const stampOf = (path: string): string =>
  ["", "-wal"]
    .map((end) => {
      const found = statSync(`${path}${end}`, { throwIfNoEntry: false })
      return found === undefined ? "" : `${found.mtimeMs} ${found.size}`
    })
    .join()
