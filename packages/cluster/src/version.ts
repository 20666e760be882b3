/** The version of uninet that this package is of: trials are only shared between equals. */
export { version } from "@uninet/trainer"
