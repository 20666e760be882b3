/** The reference vectors: PyTorch in float64, by the same definitions written there once more, stored as float32. */
import { Result } from "effect"
import { Safetensors } from "@uninet/nn"
import { readFileSync } from "node:fs"

export interface Reference {
  readonly metadata: Readonly<Record<string, string>>
  /** The names under a prefix, without it. */
  readonly names: (prefix: string) => ReadonlyArray<string>
  readonly shape: (name: string) => ReadonlyArray<number>
  readonly numbers: (name: string) => Float32Array
  readonly integers: (name: string) => Int32Array
}

const unwrap = <A>(value: A | undefined, name: string): A => {
  if (value === undefined) throw new Error(`the reference has no ${name} of the type asked for`)
  return value
}

export const reference = (file: string): Reference => {
  const bytes = readFileSync(new URL(`../fixtures/${file}.safetensors`, import.meta.url))
  const { metadata, tensors } = Result.getOrThrow(Safetensors.decode(bytes))
  const entry = (name: string) => unwrap(tensors.get(name), name)
  return {
    metadata,
    names: (prefix) =>
      [...tensors.keys()].filter((name) => name.startsWith(prefix)).map((name) => name.slice(prefix.length)),
    shape: (name) => entry(name).shape,
    numbers: (name) => unwrap(Safetensors.float32(entry(name)), name),
    integers: (name) => Int32Array.from(unwrap(Safetensors.int64(entry(name)), name), Number)
  }
}
