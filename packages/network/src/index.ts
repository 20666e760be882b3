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
export * as UniNet from "./UniNet.ts"
