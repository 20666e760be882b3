export * as Uninet from "./Uninet.ts"
