export * as Dsm from "./Dsm.ts"
export { Dsms } from "./Dsms.ts"
export * as DsmSet from "./DsmSet.ts"
