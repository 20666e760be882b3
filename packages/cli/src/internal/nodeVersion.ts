/** Whether this Node is new enough. Checked before anything is imported that an older one cannot read, so this file imports nothing. */

/** The oldest Node that the packages run on, as their manifests say (`engines`): its SQLite needs no flag. */
export const oldest = "22.13"

/** What to tell users of this Node version; nothing if it is new enough. */
export const complaint = (version: string): string | undefined => {
  const [major = 0, minor = 0] = version.split(".").map(Number)
  const [neededMajor = 0, neededMinor = 0] = oldest.split(".").map(Number)
  return major > neededMajor || (major === neededMajor && minor >= neededMinor)
    ? undefined
    : `uninet needs Node ${oldest} or newer, but this is ${version}: install a newer one from https://nodejs.org.`
}
