/** A compiler from the tensor IR to loops in WebAssembly, in stages that are values, and the engines that use it. */
export * as Explain from "./Explain.ts"
export * as Expression from "./Expression.ts"
export * as Loops from "./Loops.ts"
export * as Lower from "./Lower.ts"
export * as Memory from "./Memory.ts"
export * as Rewrite from "./Rewrite.ts"
export * as Schedule from "./Schedule.ts"
export * as View from "./View.ts"
