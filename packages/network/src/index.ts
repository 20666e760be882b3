export {
  type ArchitectureError,
  FixedChannels,
  HeadMismatch,
  ImageTooSmall,
  StrideWithoutDsm,
  UnknownDsm,
  UnknownOperator
} from "./ArchitectureError.ts"
export * as Network from "./Network.ts"
export * as NetworkCosts from "./NetworkCosts.ts"
export * as Safetensors from "./Safetensors.ts"
export * as UniNet from "./UniNet.ts"
export * as Weights from "./Weights.ts"
