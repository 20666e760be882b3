export * as ArchitectureError from "./ArchitectureError.ts"
export * as Network from "./Network.ts"
export * as UniNet from "./UniNet.ts"
