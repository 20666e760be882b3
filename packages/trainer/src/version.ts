/** The version of uninet that this package belongs to. */
export const version = "0.2.0"
