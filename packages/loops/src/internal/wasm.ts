/** WebAssembly's binary format: the few instructions that kernels use, and modules with one function over an imported memory. */
import type { TupleOf } from "effect/Types"

/** Bytes of instructions, in pieces. */
export type Code = number | ReadonlyArray<Code>

/** An integer in LEB128. */
const unsigned = (n: number): ReadonlyArray<number> => {
  const bytes: Array<number> = []
  let rest = n
  do {
    bytes.push((rest & 0x7f) | (rest > 0x7f ? 0x80 : 0))
    rest >>>= 7
  } while (rest > 0)
  return bytes
}

const signed = (n: number): ReadonlyArray<number> => {
  const bytes: Array<number> = []
  let rest = n | 0
  for (;;) {
    const byte = rest & 0x7f
    rest >>= 7
    const ends = (rest === 0 && (byte & 0x40) === 0) || (rest === -1 && (byte & 0x40) !== 0)
    bytes.push(ends ? byte : byte | 0x80)
    if (ends) return bytes
  }
}

const simd = (opcode: number): ReadonlyArray<number> => [0xfd, ...unsigned(opcode)]

/** A local variable, by index. */
export type Local = number

export const get = (local: Local): Code => [0x20, unsigned(local)]
export const set = (local: Local): Code => [0x21, unsigned(local)]
export const tee = (local: Local): Code => [0x22, unsigned(local)]

/**
 * Ends the life of vectors in locals. V8 assumes that a value set in a loop is needed in its next round, and then keeps halves apart that it could join.
 */
export const forget = (locals: ReadonlyArray<Local>): Code => locals.map((local) => [v128.floats(0), set(local)])

export const i32 = {
  const: (n: number): Code => [0x41, signed(n)],
  load: (offset = 0): Code => [0x28, 2, unsigned(offset)],
  store: (offset = 0): Code => [0x36, 2, unsigned(offset)],
  eqz: [0x45],
  ltUnsigned: [0x49],
  add: [0x6a],
  sub: [0x6b],
  mul: [0x6c],
  and: [0x71],
  shl: [0x74],
  shrUnsigned: [0x76]
} as const

/** `memory.fill`: takes an address, a byte and a number of bytes. */
export const fill: Code = [0xfc, 11, 0]

export const call = (index: number): Code => [0x10, unsigned(index)]
/** Calls a function with one integer argument, by its index in table 0. */
export const callIndirect = (type: number): Code => [0x11, unsigned(type), 0]

/** Adds to an address, or to another integer. */
export const moved = (local: Local, by: Code): Code => [get(local), by, i32.add, set(local)]
/** At the end of a loop: counts down, and repeats until nothing is left. */
export const again = (count: Local): Code => [get(count), i32.const(1), i32.sub, tee(count), branchIf(0)]

export const block = (body: Code): Code => [0x02, 0x40, body, 0x0b]
export const loop = (body: Code): Code => [0x03, 0x40, body, 0x0b]
export const when = (body: Code): Code => [0x04, 0x40, body, 0x0b]
export const branch = (depth: number): Code => [0x0c, unsigned(depth)]
export const branchIf = (depth: number): Code => [0x0d, unsigned(depth)]

const floatBytes = (x: number) => [...new Uint8Array(Float32Array.of(x).buffer)]
const wordBytes = (n: number) => [...new Uint8Array(Int32Array.of(n).buffer)]
const four = (bytes: ReadonlyArray<number>): Code => [simd(12), bytes, bytes, bytes, bytes]

/** Four numbers at once. */
export const v128 = {
  load: (offset = 0): Code => [simd(0), 4, unsigned(offset)],
  /** One number in all four. */
  splat: (offset = 0): Code => [simd(9), 2, unsigned(offset)],
  store: (offset = 0): Code => [simd(11), 4, unsigned(offset)],
  floats: (x: number): Code => four(floatBytes(x)),
  words: (n: number): Code => four(wordBytes(n)),
  /** Takes an address and a vector; gives the vector with one lane loaded. */
  loadLane: (lane: number, offset = 0): Code => [simd(86), 2, unsigned(offset), lane],
  loadLane64: (lane: number, offset = 0): Code => [simd(87), 3, unsigned(offset), lane],
  storeLane: (lane: number, offset = 0): Code => [simd(90), 2, unsigned(offset), lane],
  storeLane64: (lane: number, offset = 0): Code => [simd(91), 3, unsigned(offset), lane],
  /** Lanes of two vectors: 0 to 3 are the first's, 4 to 7 the second's. */
  shuffle: (...lanes: readonly [number, number, number, number]): Code => [
    simd(13),
    lanes.map((lane) => [4 * lane, 4 * lane + 1, 4 * lane + 2, 4 * lane + 3])
  ],
  splatWord: simd(17),
  not: simd(77),
  and: simd(78),
  andNot: simd(79),
  or: simd(80),
  xor: simd(81),
  select: simd(82)
} as const

export const f32x4 = {
  equal: simd(65),
  less: simd(67),
  greater: simd(68),
  lessOrEqual: simd(69),
  greaterOrEqual: simd(70),
  nearest: simd(106),
  floor: simd(104),
  abs: simd(224),
  neg: simd(225),
  sqrt: simd(227),
  add: simd(228),
  sub: simd(229),
  mul: simd(230),
  div: simd(231),
  min: simd(232),
  max: simd(233),
  /** `b < a ? b : a`: one instruction, where `min` takes six. */
  pseudoMin: simd(234),
  /** `a < b ? b : a`. */
  pseudoMax: simd(235),
  fromWords: simd(250),
  /** a·b + c, rounded once if the CPU has such an instruction. */
  relaxedMadd: simd(261),
  /** c − a·b, in the same way. */
  relaxedNmadd: simd(262)
} as const

export const i32x4 = {
  equal: simd(55),
  greater: simd(59),
  greaterOrEqual: simd(63),
  fromFloats: simd(248),
  shiftLeft: simd(171),
  shiftRight: simd(172),
  add: simd(174),
  sub: simd(177)
} as const

export type Type = "i32" | "v128"
const typeCode: Record<Type, number> = { i32: 0x7f, v128: 0x7b }

/** A function that is being written. Its arguments, all integers, are the first locals. */
export interface Writer {
  readonly parameters: ReadonlyArray<Local>
  readonly local: (type: Type) => Local
  /** Several at once. */
  readonly several: <Count extends number>(count: Count, type: Type) => Readonly<TupleOf<Count, Local>>
  readonly locals: ReadonlyArray<Type>
}

export const writer = (parameters = 1): Writer => {
  const locals: Array<Type> = []
  const local = (type: Type): Local => parameters + locals.push(type) - 1
  return {
    parameters: Array.from({ length: parameters }, (_, i) => i),
    locals,
    local,
    several: <Count extends number>(count: Count, type: Type) =>
      // As many as requested, which the type of `Array.from` does not say.
      Array.from({ length: count }, () => local(type)) as ReadonlyArray<Local> as Readonly<TupleOf<Count, Local>>
  }
}

const flat = (code: Code): ReadonlyArray<number> => {
  const bytes: Array<number> = []
  const add = (piece: Code): void => {
    if (typeof piece === "number") bytes.push(piece)
    else for (const part of piece) add(part)
  }
  add(code)
  return bytes
}

const text = (s: string): ReadonlyArray<number> => {
  const bytes = [...s].map((letter) => letter.charCodeAt(0))
  return [...unsigned(bytes.length), ...bytes]
}
const section = (id: number, content: Code): ReadonlyArray<number> => {
  const bytes = flat(content)
  return [id, ...unsigned(bytes.length), ...bytes]
}
const list = (items: ReadonlyArray<Code>): Code => [unsigned(items.length), items]

/** Whether a module's memory is shared by threads. */
export interface Sharing {
  readonly shared: boolean
}

/** A memory of any size, imported as `env.memory`. */
const memoryImport = ({ shared }: Sharing): Code => [
  text("env"),
  text("memory"),
  2,
  shared ? 3 : 1,
  1,
  unsigned(65_536)
]

const functionBody = (locals: ReadonlyArray<Type>, body: Code): Code => {
  const bytes = flat([list(locals.map((type) => [1, typeCode[type]])), body, 0x0b])
  return [unsigned(bytes.length), bytes]
}

/** `[0, "asm", version 1]`. */
const header = [0, 0x61, 0x73, 0x6d, 1, 0, 0, 0]

/** A function of a module. */
export interface Function {
  readonly writer: Writer
  readonly body: Code
}

/** The machine's kernels, a table imported as `env.kernels`. */
const kernelsImport: Code = [text("env"), text("kernels"), 1, 0x70, 0, 0]

/**
 * A module of functions, which call each other by index. The last one is exported as `run` and takes the address of its arguments. With `callsKernels`, they can call kernels by their index in the
 * machine's table.
 */
export const module = (
  functions: ReadonlyArray<Function>,
  sharing: Sharing,
  { callsKernels = false }: { readonly callsKernels?: boolean } = {}
): Uint8Array => {
  const words = (n: number) => list(Array.from({ length: n }, () => 0x7f))
  return Uint8Array.from([
    ...header,
    ...section(1, list(functions.map(({ writer }) => [0x60, words(writer.parameters.length), list([])]))),
    ...section(2, list([memoryImport(sharing), ...(callsKernels ? [kernelsImport] : [])])),
    ...section(3, list(functions.map((_, i) => unsigned(i)))),
    ...section(7, list([[text("run"), 0, unsigned(functions.length - 1)]])),
    ...section(10, list(functions.map(({ body, writer }) => functionBody(writer.locals, body))))
  ])
}

/**
 * The module that runs a list of kernels: `run(from, to)` goes through pairs of integers, a kernel's index in the table `env.kernels` and the address of its arguments.
 */
export const runner = (sharing: Sharing): Uint8Array => {
  const [from, to] = [0, 1]
  const body: Code = block(
    loop([
      [get(from), get(to), i32.ltUnsigned, i32.eqz, branchIf(1)],
      [get(from), i32.load(4), get(from), i32.load(0), callIndirect(0)],
      [get(from), i32.const(8), i32.add, set(from), branch(0)]
    ])
  )
  return Uint8Array.from([
    ...header,
    ...section(
      1,
      list([
        [0x60, list([0x7f]), list([])],
        [0x60, list([0x7f, 0x7f]), list([])]
      ])
    ),
    ...section(2, list([memoryImport(sharing), kernelsImport])),
    ...section(3, list([1])),
    ...section(7, list([[text("run"), 0, 0]])),
    ...section(10, list([functionBody([], body)]))
  ])
}
