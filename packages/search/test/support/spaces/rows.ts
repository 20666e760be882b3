/** A module with a space. */
export { rows as default } from "../rows.ts"
