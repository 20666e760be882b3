export * as Tfjs from "./Tfjs.ts"
