/** The version of uninet that this package is of: trials are only shared between equals. */
export const version = "0.2.0"
