export * as Card from "./Card.ts"
export * as PyTorch from "./PyTorch.ts"
export * as Comparison from "./Comparison.ts"
export * as Python from "./Python.ts"
