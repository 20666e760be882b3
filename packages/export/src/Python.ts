/** Runs generated PyTorch modules in the machine's Python, if it has PyTorch. */
import type { Model } from "@uninet/nn"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import { ChildProcess, type ChildProcessSpawner } from "effect/process"
import * as Examples from "./Examples.ts"

/** None of the Python commands that were tried exists and has PyTorch. */
export class NoPython extends Schema.TaggedError<NoPython>()("NoPython", {
  tried: Schema.Array(Schema.String)
}) {
  override get message() {
    return `no Python with PyTorch was found (tried ${this.tried.join(", ")}); install PyTorch to have the module checked`
  }
}

/** The module failed to run. */
export class PythonFailed extends Schema.TaggedError<PythonFailed>()("PythonFailed", {
  python: Schema.String,
  detail: Schema.String
}) {
  override get message() {
    return `${this.python} cannot run the module: ${this.detail}; its PyTorch must be 1.13 or newer`
  }
}

/** Where Python is usually found. */
export const candidates: ReadonlyArray<string> = ["python3", "/usr/bin/python3"]

/** The driver's exit code for a missing PyTorch. */
const noTorch = 86

/** For each module named after it, reads as many examples as it is told to and writes the network's outputs. */
const driver = `
import importlib.util, math, struct, sys
try:
    import torch
except ImportError:
    sys.exit(${noTorch})
count = int(sys.argv[1])
for path in sys.argv[2:]:
    spec = importlib.util.spec_from_file_location("network", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    inputs = []
    for shape, kind in module.INPUTS.values():
        data = bytearray(sys.stdin.buffer.read(4 * count * math.prod(shape)))
        inputs.append(torch.frombuffer(data, dtype=getattr(torch, kind)).reshape(count, *shape))
    network = module.load()
    found = []
    with torch.inference_mode():
        for part in zip(*(values.split(16) for values in inputs)):
            given = network(*part)
            found.append(given if isinstance(given, tuple) else (given,))
    for values in zip(*found):
        flat = torch.cat(values).flatten().tolist()
        sys.stdout.buffer.write(struct.pack(f"<{len(flat)}f", *flat))
`

/** A module's file, its inputs and outputs, and the values of its inputs, with the same number of examples for each module. */
export interface Run {
  readonly file: string
  readonly inputs: Model.Ports
  readonly outputs: Model.Ports
  readonly examples: Examples.Examples["inputs"]
}

const joined = (parts: ReadonlyArray<Uint8Array>): Uint8Array<ArrayBuffer> => {
  const all = new Uint8Array(parts.reduce((n, part) => n + part.length, 0))
  let at = 0
  for (const part of parts) {
    all.set(part, at)
    at += part.length
  }
  return all
}

const attempt = (python: string, runs: ReadonlyArray<Run>, count: number) =>
  Effect.scoped(
    Effect.gen(function* () {
      const handle = yield* ChildProcess.make(
        python,
        ["-c", driver, String(count), ...runs.map(({ file }) => file)],
        // No __pycache__ next to the user's files.
        { env: { PYTHONDONTWRITEBYTECODE: "1" }, extendEnv: true }
      )
      const [out, complaints] = yield* Effect.all(
        [
          Stream.runCollect(handle.stdout),
          Stream.mkString(Stream.decodeText(handle.stderr)),
          // A Python process that has ended takes no more input: its exit code says why.
          Effect.ignore(
            Stream.run(
              Stream.fromIterable(
                runs.flatMap(({ examples, inputs }) =>
                  Object.values(Examples.rows(inputs, { size: count, inputs: examples }, 0, count)).map(
                    ({ buffer, byteLength, byteOffset }) => new Uint8Array(buffer, byteOffset, byteLength)
                  )
                )
              ),
              handle.stdin
            )
          )
        ],
        { concurrency: "unbounded" }
      )
      return { code: yield* handle.exitCode, out: joined(out), complaints }
    })
  )

/**
 * The outputs of each module for `count` examples, all in one Python process: the first of `pythons` that exists and has PyTorch.
 *
 * Fails with `NoPython`, or with `PythonFailed` and the end of Python's output.
 */
export const outputs = Effect.fn("Python.outputs")(function* (
  runs: ReadonlyArray<Run>,
  count: number,
  pythons: ReadonlyArray<string> = candidates
): Effect.fn.Return<
  { readonly python: string; readonly outputs: ReadonlyArray<Examples.Outputs> },
  NoPython | PythonFailed,
  ChildProcessSpawner.ChildProcessSpawner
> {
  for (const python of pythons) {
    const ran = yield* Effect.option(attempt(python, runs, count))
    if (ran._tag === "None" || Number(ran.value.code) === noTorch) continue
    const { code, complaints, out } = ran.value
    if (Number(code) !== 0)
      return yield* new PythonFailed({ python, detail: complaints.trim().split("\n").at(-1) ?? `exit code ${code}` })
    const numbers = new Float32Array(out.buffer)
    let at = 0
    const next = (port: Model.Port) => numbers.subarray(at, (at += count * Examples.volume(port)))
    return {
      python,
      outputs: runs.map(({ outputs }) =>
        Object.fromEntries(Object.entries(outputs).map(([name, port]) => [name, next(port)]))
      )
    }
  }
  return yield* new NoPython({ tried: pythons })
})
