export * as Architecture from "./Architecture.ts"
export {
  type ArchitectureError,
  FixedChannels,
  HeadMismatch,
  ImageTooSmall,
  StrideWithoutDsm,
  UnknownDsm,
  UnknownOperator
} from "./ArchitectureError.ts"
export * as Kit from "./Kit.ts"
export * as Network from "./Network.ts"
export * as NetworkCosts from "./NetworkCosts.ts"
export * as StageCost from "./StageCost.ts"
export * as UniNet from "./UniNet.ts"
export * as UniNetSpace from "./UniNetSpace.ts"
