/**
 * Attention whose scores are too many to be stored: a few queries and keys of a head at a time go through everything that is computed from their scores, which stay in the second-level cache. The gradients
 * compute scores and exponentials again. All sums are in the same order as for whole matrices.
 */
import { Shape, Tensor } from "@uninet/graph"
import * as Arr from "effect/Array"
import * as E from "../Expression.ts"
import * as Functions from "../Functions.ts"
import { fused } from "../Fuse.ts"
import * as Repeat from "../kernels/repeat.ts"
import { toWork } from "../Nest.ts"
import { pieceOf } from "../rewrites/attention.ts"
import * as Split from "../Split.ts"
import { stepsOf } from "../Steps.ts"
import * as View from "../View.ts"
import type { Arg, Repeated, Work } from "../Work.ts"
import {
  allocate,
  type Attended,
  type Context,
  domainOf,
  filled,
  inLanes,
  joined,
  type Lazy,
  newBuffer,
  rowMajor,
  seen
} from "./context.ts"
import { tiled } from "./matmul.ts"
import { storeInto } from "./movement.ts"
import { divisorUpTo } from "./products.ts"
import { reduceInto } from "./reduce.ts"
import type { Rules } from "./rules.ts"

/** The most bytes of scores that are processed together, so that they stay in the second-level cache. */
const most = 524_288

/** This many keys at a time stay in the first-level cache while the loop goes over queries. */
const near = 32

/** What a multi-head attention works on, and how it is divided. */
interface Cut {
  /** Batch entries side by side, heads, pieces of queries, and pieces of keys. */
  readonly rounds: Repeat.Rounds
  readonly queries: number
  readonly keys: number
  /** Features per head. */
  readonly size: number
  readonly channels: number
}

const cutOf = (heads: number, query: View.View, key: View.View, keys: number): Cut => {
  const [m, allQueries, channels] = Shape.ofRank(3)(View.shapeOf(query))
  const allKeys = View.lengthOf(Arr.getUnsafe(key.axes, 1))
  const queries = divisorUpTo(pieceOf(allQueries), Math.max(1, Math.floor(most / (32 * keys))))
  return { rounds: [m, heads, allQueries / queries, allKeys / keys], queries, keys, size: channels / heads, channels }
}

/** What a piece of queries and keys sees of the tensors. */
interface Piece {
  /** Where its work is emitted. */
  readonly ctx: Context
  /** From tokens in row-major order, the piece's queries of a head, or its keys. */
  readonly queriesOf: (view: View.View) => View.View
  readonly keysOf: (view: View.View) => View.View
  /** The piece's part of one number per query and head. */
  readonly numbersOf: (view: View.View) => View.View
  /** Memory of its own. */
  readonly room: (...shape: ReadonlyArray<number>) => View.View
}

const turned = (view: View.View) => View.transpose(view, [1, 0])

/** The same view repeated along a new leading axis. */
const along = (view: View.View, length: number): View.View => ({
  ...view,
  axes: [[{ length, stride: 0 }], ...view.axes]
})

/** An expression of views with the same shape. */
const lazily = <Views extends readonly [View.View, ...ReadonlyArray<View.View>]>(
  views: Views,
  f: (...xs: { readonly [I in keyof Views]: E.Expression }) => E.Expression
): Lazy => {
  const { expressions, operands } = joined(views.map(seen))
  // One expression per view.
  const xs = expressions as ReadonlyArray<E.Expression> as { readonly [I in keyof Views]: E.Expression }
  return { lanes: true, shape: View.shapeOf(views[0]), expression: f(...xs), operands }
}

const product = (
  { ctx }: Piece,
  node: Tensor.Tensor,
  views: Parameters<typeof tiled>[2],
  how?: Parameters<typeof tiled>[3]
): void => {
  // Features of a head are adjacent, and there are at least two.
  if (!tiled(ctx, node, views, how)) throw new Error("no loops lead through the heads of an attention")
}

const buffers = (views: ReadonlyArray<View.View>) => views.map(({ buffer }) => buffer)
const names = (views: ReadonlyArray<View.View>) => views.map(({ buffer }) => `%${buffer.id}`).join()

/** One piece of work that repeats what is emitted for one piece of queries and keys for all of them. */
const inPieces = (
  ctx: Context,
  node: Tensor.Tensor,
  { channels, keys, queries, rounds, size }: Cut,
  { reads, writes }: { readonly reads: ReadonlyArray<View.View>; readonly writes: ReadonlyArray<View.View> },
  body: (piece: Piece) => void
): void => {
  const [many, heads, pieces, keyPieces] = rounds
  // Buffers that represent a piece's views of others, and its own memory.
  const seenAs = new Map<number, { readonly view: View.View; readonly strides: Repeat.Rounds }>()
  const rooms = new Map<number, number>()
  let bytes = 0
  const sub: Context = { ...ctx, instructions: [] }
  const standIn = (
    view: View.View,
    shape: ReadonlyArray<number>,
    strides: ReadonlyArray<number>,
    moves: Repeat.Rounds
  ): View.View => {
    const buffer = newBuffer(ctx, "lanes", 0)
    seenAs.set(buffer.id, { view, strides: moves })
    return {
      buffer,
      offset: 0,
      axes: shape.map((length, axis) => (length === 1 ? [] : [{ length, stride: 8 * Arr.getUnsafe(strides, axis) }]))
    }
  }
  const [head, token] = [32 * size, 32 * channels]
  const tokens =
    (count: number, all: number, ...steps: readonly [number, number]) =>
    (view: View.View) =>
      standIn(view, [count, size], [channels, 1], [token * all, head, token * steps[0], token * steps[1]])
  body({
    ctx: sub,
    queriesOf: tokens(queries, queries * pieces, queries, 0),
    keysOf: tokens(keys, keys * keyPieces, 0, keys),
    numbersOf: (view) =>
      standIn(view, [queries], [1], [32 * queries * pieces * heads, 32 * queries * pieces, 32 * queries, 0]),
    room: (...shape) => {
      const buffer = newBuffer(
        ctx,
        "lanes",
        shape.reduce((n, length) => n * length, 1)
      )
      rooms.set(buffer.id, bytes)
      bytes += 4 * buffer.size
      return View.contiguous(buffer, shape)
    }
  })
  const steps = stepsOf(sub.instructions)
  const works = fused(steps, [...steps.keys()], (id) => seenAs.has(id)).map((instruction): Work => {
    const work = instruction._tag === "Nest" ? toWork(instruction, 1) : instruction
    // Only products and loops over rows of a piece are emitted here.
    if (work === undefined || work._tag === "Host") throw new Error("no loops lead through a piece of an attention")
    return work
  })
  const kernels = works.map(({ args, kernel }): Repeated => {
    const moves = new Map<number, Repeat.Rounds>()
    const own = args.map((arg, place): Arg => {
      if (typeof arg !== "object" || !("buffer" in arg)) return arg
      const room = rooms.get(arg.buffer.id)
      if (room !== undefined) return { scratch: room + arg.at }
      const known = seenAs.get(arg.buffer.id)
      if (known === undefined) return arg
      moves.set(place, known.strides)
      return { buffer: known.view.buffer, at: 4 * known.view.offset + arg.at }
    })
    return { kernel, args: own, moves }
  })
  ctx.room.bytes = Math.max(ctx.room.bytes, bytes)
  const count = many * heads * pieces * keyPieces
  const shared = many >= heads ? 0 : 1
  const tables = works.flatMap((work) => work.reads.filter(({ kind }) => kind === "plain"))
  ctx.instructions.push({
    _tag: "Work",
    node,
    text: `${count} × ${queries} queries of ${keys} keys: ${names(writes)} of ${names(reads)}; ${works.map(({ text }) => text).join("; ")}`,
    kernel: Repeat.kernel,
    args: [],
    repeats: { rounds, kernels, shared },
    split: Split.best([{ steps: rounds[shared], grain: 1, counts: [], moves: new Map() }]),
    tiles: ctx.groups,
    reads: [...new Set([...buffers(reads), ...tables])],
    writes: buffers(writes),
    macs: count * works.reduce((sum, { macs }) => sum + macs, 0),
    bytes: 4 * ctx.groups * buffers([...reads, ...writes]).reduce((sum, buffer) => sum + buffer.size, 0)
  })
}

/** The exponentials of a piece's scores, after subtracting the largest score in each row. */
const powersOf = (scores: View.View, largest: View.View, scale: number): Lazy =>
  lazily([scores, along(largest, View.lengthOf(Arr.getUnsafe(scores.axes, 0)))], (s, top) =>
    Functions.expOfNegative(E.sub(E.mul(s, E.number(scale)), top))
  )

const tokensOf = (ctx: Context, node: Tensor.Tensor, x: Tensor.Tensor): View.View =>
  rowMajor(ctx, node, inLanes(ctx, x))

const inTokens = (ctx: Context, like: Tensor.Tensor): View.View => {
  const shape = domainOf(ctx, like.shape, true)
  return allocate(
    ctx,
    shape,
    true,
    shape.map((_, axis) => axis)
  )
}

/** The result of an attention, computed when it is first asked for. */
const attended = (
  ctx: Context,
  node: Tensor.Tensor,
  { heads, scale }: { readonly heads: number; readonly scale: number },
  inputs: readonly [
    query: Tensor.Tensor,
    key: Tensor.Tensor,
    value: Tensor.Tensor,
    ...mask: ReadonlyArray<Tensor.Tensor>
  ]
): Attended => {
  const known = ctx.attended.find(
    (other) => other.heads === heads && other.scale === scale && inputs.every((x, i) => x === other.inputs[i])
  )
  if (known !== undefined) return known
  const [q, k, v] = Tensor.each((x) => tokensOf(ctx, node, x))(inputs)
  const cut = cutOf(heads, q, k, View.lengthOf(Arr.getUnsafe(k.axes, 1)))
  const y = inTokens(ctx, inputs[0])
  const [m, queries] = Shape.ofRank(3)(View.shapeOf(q))
  const numbers = () => allocate(ctx, [m, heads, queries], true)
  const made: Attended = { heads, scale, inputs, y, largest: numbers(), share: numbers(), gradients: new Map() }
  const views = { reads: [q, k, v], writes: [y, made.largest, made.share] }
  inPieces(ctx, node, cut, views, (piece) => {
    const [largest, share] = [piece.numbersOf(made.largest), piece.numbersOf(made.share)]
    // A line of queries for every key: a few queries stay in registers during the loop over keys.
    const scores = piece.room(cut.keys, cut.queries)
    product(piece, node, { x: piece.keysOf(k), w: piece.queriesOf(q), y: scores })
    const scaled = lazily([scores], (s) => E.mul(s, E.number(scale)))
    reduceInto(piece.ctx, node, scaled, "max", [0], largest)
    // Each overwrites what it is made from.
    const powers = scores
    storeInto(piece.ctx, node, powersOf(scores, largest, scale), powers)
    const sum = piece.room(cut.queries)
    reduceInto(piece.ctx, node, seen(powers), "sum", [0], sum)
    const inverse = lazily([sum], (x) => E.div(E.number(1), x))
    storeInto(piece.ctx, node, inverse, share)
    const weighted = piece.room(cut.queries, cut.size)
    product(piece, node, { x: turned(powers), w: turned(piece.keysOf(v)), y: weighted }, { chunk: near })
    storeInto(piece.ctx, node, lazily([weighted, turned(along(share, cut.size))], E.mul), piece.queriesOf(y))
  })
  ctx.attended.push(made)
  return made
}

export const rules: Pick<Rules, "attention" | "attentionGrad"> = {
  attention: (node, ctx) => ({ view: attended(ctx, node, node.attributes, node.inputs).y }),
  attentionGrad: (node, ctx) => {
    const { heads, of, scale } = node.attributes
    const [gradient, ...inputs] = node.inputs
    const forward = attended(ctx, node, node.attributes, inputs)
    const known = forward.gradients.get(gradient)
    if (known !== undefined) return { view: known[of] }
    const [dy, q, k, v] = Tensor.each((x) => tokensOf(ctx, node, x))(node.inputs)
    const cut = cutOf(heads, q, k, pieceOf(View.lengthOf(Arr.getUnsafe(k.axes, 1))))
    const [query, key, value] = Tensor.each((x) => inTokens(ctx, x))(inputs)
    filled(ctx, node, query)
    filled(ctx, node, key)
    filled(ctx, node, value)
    const writes = [query, key, value]
    const reads = [dy, q, k, v, forward.y, forward.largest, forward.share, ...writes]
    inPieces(ctx, node, cut, { reads, writes }, (piece) => {
      const [largest, share] = [piece.numbersOf(forward.largest), piece.numbersOf(forward.share)]
      const [d, queries, y] = [piece.queriesOf(dy), piece.queriesOf(q), piece.queriesOf(forward.y)]
      const [keys, values] = [piece.keysOf(k), piece.keysOf(v)]
      const scores = piece.room(cut.keys, cut.queries)
      product(piece, node, { x: keys, w: queries, y: scores })
      const dp = piece.room(cut.keys, cut.queries)
      product(piece, node, { x: values, w: d, y: dp })
      // Through the softmax: dS = P ∘ (dP − Σ dP ∘ P), and that sum over the keys is Σ dy ∘ y over a head's features.
      const sums = piece.room(cut.queries)
      reduceInto(piece.ctx, node, lazily([d, y], E.mul), "sum", [1], sums)
      // Each overwrites what it is made from.
      const [powers, ds] = [scores, dp]
      storeInto(piece.ctx, node, powersOf(scores, largest, scale), powers)
      const all = lazily([powers, along(share, cut.keys), dp, along(sums, cut.keys)], (p, part, through, sum) =>
        E.mul(E.mul(E.mul(p, part), E.sub(through, sum)), E.number(scale))
      )
      storeInto(piece.ctx, node, all, ds)
      const shared = piece.room(cut.queries, cut.size)
      storeInto(piece.ctx, node, lazily([d, turned(along(share, cut.size))], E.mul), shared)
      const added = { start: "result" } as const
      product(piece, node, { x: turned(ds), w: turned(keys), y: piece.queriesOf(query) }, added)
      product(piece, node, { x: ds, w: turned(queries), y: piece.keysOf(key) }, added)
      product(piece, node, { x: powers, w: turned(shared), y: piece.keysOf(value) }, added)
    })
    const made = { query, key, value }
    forward.gradients.set(gradient, made)
    return { view: made[of] }
  }
}
