/** What an engine implements and needs; contains no engine, and nothing that depends on Node. */
export * as Check from "./Check.ts"
export * as FirstValues from "./FirstValues.ts"
export * as Guarded from "./Guarded.ts"
export * as Packing from "./Packing.ts"
export { type Compiling, type Data, type Executable, Runtime } from "./Runtime.ts"
export * as Updates from "./Updates.ts"
export {
  CompileFailed,
  DeviceUnavailable,
  failedRun,
  MissingKernel,
  OutOfDeviceMemory,
  RunFailed,
  type RuntimeError,
  UninitialisedVariables,
  WrongInput,
  WrongVariables
} from "./RuntimeError.ts"
