export * as OnnxRuntime from "./OnnxRuntime.ts"
export * from "./engine.ts"
