/** Functions of square matrices in row-major order, for building scores in custom proxies. */
export { eigenvalues } from "./internal/eigenvalues.ts"
export { logDeterminant } from "./internal/logDeterminant.ts"
