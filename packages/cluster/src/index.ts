export * as ClusterEvaluator from "./ClusterEvaluator.ts"
export * as ClusterWorker from "./ClusterWorker.ts"
export * as Database from "./Database.ts"
export * as Mirror from "./Mirror.ts"
export {
  type DatabaseError,
  DatabaseRefused,
  DatabaseUnavailable,
  SearchForeign,
  SearchTaken,
  VersionMismatch,
  WorkerUnable
} from "./ClusterError.ts"
export { version } from "./version.ts"
