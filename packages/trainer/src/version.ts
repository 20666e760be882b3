/** The version of uninet that this package is of. */
export const version = "0.2.0"
