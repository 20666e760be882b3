export * as Lowering from "./Lowering.ts"
export * as Model from "./Model.ts"
