/**
 * Creates the Python environment of the comparisons, `bench/pytorch/.venv`, from `requirements.txt`; `npm test` also looks for PyTorch
 * there.
 *
 *   pnpm bench:pytorch [--python python3]
 *
 * The wheels are PyTorch's own for machines without a GPU, 0.2 GB; if its index cannot be reached, those of the default index, which come
 * with 5 GB of CUDA. `torch.compile` needs a C++ compiler.
 */
import { spawnSync } from "node:child_process"
import { existsSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { parseArgs } from "node:util"

const { values: options } = parseArgs({ options: { python: { type: "string", default: "python3" } } })
const here = (file: string) => new URL(file, import.meta.url).pathname
const environment = here(".venv")
const python = join(environment, "bin", "python")

const run = (command: string, ...args: ReadonlyArray<string>): boolean =>
  spawnSync(command, args, { stdio: "inherit" }).status === 0
const pip = (...args: ReadonlyArray<string>) => run(python, "-m", "pip", "install", "--quiet", ...args)

const requirements = here("requirements.txt")
const torch = readFileSync(requirements, "utf8").match(/^torch==.*$/m)?.[0] ?? "torch"

const failed = (sentence: string) => {
  console.error(sentence)
  process.exitCode = 1
}

if (!existsSync(python) && !run(options.python, "-m", "venv", environment))
  failed(`${options.python} makes no environment: name a Python from 3.10 on, with its venv module, by --python`)
else {
  const small = pip("--retries", "0", "--no-deps", "--index-url", "https://download.pytorch.org/whl/cpu", torch)
  if (!small) console.error("The wheel without CUDA cannot be had; the one with it follows.")
  if (pip("--requirement", requirements))
    run(
      python,
      "-c",
      "import torch; print('PyTorch', torch.__version__, 'on', torch.backends.cpu.get_cpu_capability())"
    )
  else failed(`${environment} is not complete: pip says above what it could not get; run this again once it can`)
}
