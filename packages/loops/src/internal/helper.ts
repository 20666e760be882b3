/** A thread that helps a machine; it receives the machine's memory and kernels. */
import { workerData } from "node:worker_threads"
import * as Instance from "./instance.ts"
import * as Team from "./team.ts"

// Sent by the machine, which alone starts this file.
const { at, kernels, memory, runner } = workerData as Instance.Parts & { readonly at: number }
Team.help({ memory: new Int32Array(memory.buffer), at, run: Instance.make({ kernels, memory, runner }) })
