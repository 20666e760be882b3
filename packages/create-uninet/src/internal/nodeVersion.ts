/** The oldest Node that runs a project's TypeScript without compiling. */
export const oldest = "22.18"

/** What to tell users of this Node version; nothing if it is new enough. */
export const complaint = (version: string): string | undefined => {
  const [major = 0, minor = 0] = version.split(".").map(Number)
  const [neededMajor = 0, neededMinor = 0] = oldest.split(".").map(Number)
  return major > neededMajor || (major === neededMajor && minor >= neededMinor)
    ? undefined
    : `a project needs Node ${oldest} or newer, but this is ${version}: install a newer one from https://nodejs.org.`
}
