/**
 * Whether this Node is new enough, asked before anything is imported that an older one cannot read. So this file imports nothing.
 */

/** The oldest Node that the packages run on, as their manifests say (`engines`): its SQLite needs no flag. */
export const oldest = "22.13"

/** What there is to say to who has this version of Node: nothing where it will do. */
export const complaint = (version: string): string | undefined => {
  const [major = 0, minor = 0] = version.split(".").map(Number)
  const [neededMajor = 0, neededMinor = 0] = oldest.split(".").map(Number)
  return major > neededMajor || (major === neededMajor && minor >= neededMinor)
    ? undefined
    : `uninet needs Node ${oldest} or newer, and this is ${version}: install a newer one from https://nodejs.org.`
}
