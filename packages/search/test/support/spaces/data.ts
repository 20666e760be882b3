/** A module with a data set. */
export { data as default } from "../rows.ts"
