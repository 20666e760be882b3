/** Of square matrices, rows one after the other: what proxies of one's own make scores of. */
export { eigenvalues } from "./internal/eigenvalues.ts"
export { logDeterminant } from "./internal/logDeterminant.ts"
