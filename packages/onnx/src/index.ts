export * as Export from "./Export.ts"
export * as Lowering from "./Lowering.ts"
export * as Model from "./Model.ts"
