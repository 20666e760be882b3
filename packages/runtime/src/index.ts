export * as OnnxRuntime from "./OnnxRuntime.ts"
export * as Profile from "./Profile.ts"
export * from "./engine.ts"
