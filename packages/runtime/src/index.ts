export * as OnnxRuntime from "./OnnxRuntime.ts"
export { type Data, type Executable, Runtime } from "./Runtime.ts"
export { CompileFailed, RunFailed, type RuntimeError, WrongInput, WrongVariables } from "./RuntimeError.ts"
