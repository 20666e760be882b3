export * as CommandLine from "./internal/command.ts"
export * as Flags from "./internal/flags.ts"
export * as Format from "./internal/format.ts"
export * as Uninet from "./Uninet.ts"
