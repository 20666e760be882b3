/** The versions of a project's dependencies, besides the packages with this one's version. */
export const versions: Readonly<Record<string, string>> = {
  "@effect/platform-node": "^4.1.0",
  "@types/node": "^24",
  effect: "^4.1.0",
  mnist: "1.1.0",
  typescript: "^7.0.2"
}
