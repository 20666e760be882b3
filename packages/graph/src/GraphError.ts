/**
 * Mistakes in building a graph.
 *
 * Building never throws. The tensor that an op would have made carries the error, as does every tensor made from it, and
 * `Program.make` fails with it.
 */
import * as Schema from "effect/Schema"
import { print } from "./Shape.ts"

/** An op was given tensors whose shapes do not fit it. */
export class ShapeError extends Schema.TaggedError<ShapeError>()("ShapeError", {
  /** The layer's path, such as `stages.3.blocks.0.attention`; empty at the root. */
  path: Schema.String,
  /** The op's kind, such as `conv2d`. */
  op: Schema.String,
  /** The shapes of the op's inputs, in order. */
  shapes: Schema.Array(Schema.Array(Schema.Finite)),
  /** What was wrong. */
  reason: Schema.String
}) {
  override get message() {
    const where = this.path === "" ? this.op : `${this.path} (${this.op})`
    return `${where}: ${this.reason}; the inputs have shapes ${this.shapes.map(print).join(", ") || "none"}`
  }
}

/** Two different inputs or variables of one program have the same name. */
export class NameClash extends Schema.TaggedError<NameClash>()("NameClash", {
  name: Schema.String,
  shapes: Schema.Array(Schema.Array(Schema.Finite))
}) {
  override get message() {
    return `two different inputs or variables are named ${this.name} (${this.shapes.map(print).join(" and ")}); give each layer its own path`
  }
}

/** A program gives one variable two new values. */
export class UpdateClash extends Schema.TaggedError<UpdateClash>()("UpdateClash", { name: Schema.String }) {
  override get message() {
    return `the variable ${this.name} is given two new values, but a run can end with only one; update it once`
  }
}

/** A gradient was requested through an op that has none, or of something that is not a scalar. */
export class GradientError extends Schema.TaggedError<GradientError>()("GradientError", {
  path: Schema.String,
  op: Schema.String,
  reason: Schema.String
}) {
  override get message() {
    return `${this.path === "" ? this.op : `${this.path} (${this.op})`}: ${this.reason}`
  }
}

/** Every error that building a program can fail with. */
export type GraphError = ShapeError | NameClash | UpdateClash | GradientError
