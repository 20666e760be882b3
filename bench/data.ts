/**
 * What data cost: batches from memory, with and without augmentation, and batches decoded from a folder of JPEGs.
 *
 *     node bench/data.ts [--images 20000] [--edge 256] [--size 160] [--batch 64] [--folder-batch 32]
 *
 * Prints a Markdown table. The folder is generated in the system's temporary folder and removed. Every folder figure is measured in a
 * separate process, so that its peak memory is the loader's.
 */
import { Augmentation, Dataset, Idx, ImageFolder, Mnist } from "@uninet/data"
import { Effect, Stream } from "effect"
import { execFileSync } from "node:child_process"
import { mkdir, mkdtemp, readdir, rm } from "node:fs/promises"
import { availableParallelism, cpus, tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { parseArgs } from "node:util"
import sharp from "sharp"

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    images: { type: "string", default: "20000" },
    edge: { type: "string", default: "256" },
    size: { type: "string", default: "160" },
    batch: { type: "string", default: "64" },
    "folder-batch": { type: "string", default: "32" }
  }
})
const images = Number(values.images)
const edge = Number(values.edge)
const size = Number(values.size)
const batch = Number(values.batch)
const folderBatch = Number(values["folder-batch"])
const classes = 20

const median = (numbers: ReadonlyArray<number>) => numbers.toSorted((a, b) => a - b)[numbers.length >> 1]!

const pipelines: Record<string, Augmentation.Augmentation> = {
  none: [],
  "crop + flip": [Augmentation.randomCrop(2), Augmentation.horizontalFlip()],
  "crop + flip + erasing": [Augmentation.randomCrop(2), Augmentation.horizontalFlip(), Augmentation.randomErasing()],
  "crop + flip + RandAugment m9 mstd0.5 + erasing": [
    Augmentation.randomCrop(2),
    Augmentation.horizontalFlip(),
    Augmentation.randAugment(),
    Augmentation.randomErasing()
  ],
  "resized crop + flip + colour jitter": [
    Augmentation.randomResizedCrop(),
    Augmentation.horizontalFlip(),
    Augmentation.colorJitter()
  ]
}

/** Milliseconds per batch over the first 100 batches of an epoch: the stream's total cost in this thread. */
const perBatch = (augment: Augmentation.Augmentation, epoch: number) =>
  Effect.gen(function* () {
    const { train } = yield* Dataset.Dataset
    const start = performance.now()
    yield* train.batches({ batch, shuffle: { seed: "bench", epoch }, augment }).pipe(Stream.take(100), Stream.runDrain)
    return (performance.now() - start) / 100
  })

const memory = Effect.gen(function* () {
  const { name } = yield* Dataset.Dataset
  for (const [label, augment] of Object.entries(pipelines)) {
    const times = yield* Effect.forEach([0, 1, 2, 3, 4, 5, 6], (epoch) => perBatch(augment, epoch))
    const measured = times.slice(1)
    console.log(
      `| ${name} | ${label} | ${median(measured).toFixed(3)} | ${Math.min(...measured).toFixed(3)}–${Math.max(...measured).toFixed(3)} |`
    )
  }
})

/** JPEGs with as much detail as photographs: enlarged noise, different for every image. */
const generate = async (folder: string) => {
  for (const [split, count] of [
    ["train", images * 0.9],
    ["val", images * 0.05],
    ["test", images * 0.05]
  ] as const) {
    for (let c = 0; c < classes; c++) await mkdir(join(folder, split, `class-${c}`), { recursive: true })
    let next = 0
    const one = async () => {
      for (let i = next++; i < count; i = next++) {
        const small = Buffer.from(
          Uint8Array.from({ length: 24 * 24 * 3 }, (_, k) => (k * 7919 + i * 104729 + ((k * i) % 251) ** 2) % 256)
        )
        await sharp(small, { raw: { width: 24, height: 24, channels: 3 } })
          .resize(edge, Math.round(edge * 0.75), { fit: "fill", kernel: "cubic" })
          .jpeg({ quality: 85 })
          .toFile(join(folder, split, `class-${i % classes}`, `${i}.jpg`))
      }
    }
    await Promise.all([one(), one(), one(), one()])
  }
}

/** Milliseconds of processor time, over all threads: hardly affected by what else the machine does. */
const cpuSince = (start: NodeJS.CpuUsage) => {
  const { system, user } = process.cpuUsage(start)
  return (system + user) / 1000
}

/** The decoder alone: training files through sharp to the same pixels as the loader's, as many at once as there are cores. */
const decodeOnly = async (folder: string) => {
  sharp.cache(false)
  sharp.concurrency(1)
  const names = await Promise.all(
    (await readdir(join(folder, "train"))).map(async (name) =>
      (await readdir(join(folder, "train", name))).map((file) => join(folder, "train", name, file))
    )
  )
  const paths = names.flat().slice(0, 4000)
  const resized = Math.floor((size * 256) / 224)
  let next = 0
  const one = async () => {
    for (let i = next++; i < paths.length; i = next++) {
      await sharp(paths[i]!)
        .resize(resized, resized, { fit: "cover", kernel: "cubic" })
        .extract({ left: (resized - size) >> 1, top: (resized - size) >> 1, width: size, height: size })
        .raw()
        .toBuffer()
    }
  }
  const [start, used] = [performance.now(), process.cpuUsage()]
  await Promise.all(Array.from({ length: availableParallelism() }, one))
  return { rate: (paths.length / (performance.now() - start)) * 1000, cpu: cpuSince(used) / paths.length }
}

const folderPipelines: Record<string, Augmentation.Augmentation> = {
  none: [],
  "resized crop + flip": [Augmentation.randomResizedCrop(), Augmentation.horizontalFlip()],
  "resized crop + flip + RandAugment": [
    Augmentation.randomResizedCrop(),
    Augmentation.horizontalFlip(),
    Augmentation.randAugment()
  ]
}

/** One epoch through the loader; `step` is the length of a simulated training step in milliseconds. */
const load = (folder: string, label: string, step: number) =>
  Effect.gen(function* () {
    const { train } = yield* Dataset.Dataset
    let seen = 0
    let waited = 0
    let start = performance.now()
    let used = process.cpuUsage()
    let asked = start
    yield* train
      .batches({
        batch: folderBatch,
        shuffle: { seed: "bench", epoch: 0 },
        augment: folderPipelines[label] ?? [],
        reuse: true
      })
      .pipe(
        Stream.runForEach((made) =>
          Effect.gen(function* () {
            if (seen === 0) start = performance.now() // the start of the workers is not part of the rate
            else waited += performance.now() - asked
            seen += made.size
            if (step > 0) yield* Effect.sleep(step)
            asked = performance.now()
          })
        )
      )
    const seconds = (performance.now() - start) / 1000
    return {
      rate: (seen - folderBatch) / seconds,
      cpu: cpuSince(used) / (seen - folderBatch),
      waiting: waited / 1000 / seconds,
      peak: process.resourceUsage().maxRSS / 1024
    }
  }).pipe(Effect.provide(ImageFolder.layer({ folder, size })))

const child = (...args: ReadonlyArray<string>): string => {
  const flags = [`--images=${images}`, `--edge=${edge}`, `--size=${size}`, `--folder-batch=${folderBatch}`]
  return execFileSync(process.execPath, [fileURLToPath(import.meta.url), ...flags, ...args], {
    encoding: "utf8",
    stdio: ["ignore", "pipe", "inherit"]
  })
}

interface Loaded {
  readonly rate: number
  readonly cpu: number
  readonly waiting: number
  readonly peak: number
}
const loaded = (folder: string, label: string, step = 0) =>
  JSON.parse(child("load", folder, label, String(step))) as Loaded // our own child's output

const [mode, folder = "", label = "none", step = "0"] = positionals
if (mode === "generate") await generate(folder)
else if (mode === "decode") console.log(JSON.stringify(await decodeOnly(folder)))
else if (mode === "load") console.log(JSON.stringify(await Effect.runPromise(load(folder, label, Number(step)))))
else {
  console.log(
    `${availableParallelism()} × ${cpus()[0]?.model ?? "unknown processor"}, Node ${process.version}, batch ${batch}\n`
  )
  console.log("| data set | augmentation | ms per batch, median of 6 × 100 | range |\n| --- | --- | --- | --- |")
  await Effect.runPromise(memory.pipe(Effect.provide(Mnist.layer)))
  await Effect.runPromise(
    memory.pipe(
      Effect.provide(Idx.layerFashion()),
      Effect.catchTag("FileUnavailable", (error) =>
        Effect.sync(() => console.log(`\n(no Fashion-MNIST: ${error.message})`))
      )
    )
  )
  const temporary = await mkdtemp(join(tmpdir(), "uninet-bench-"))
  try {
    child("generate", temporary)
    console.log(
      `\n${images} JPEGs of ${edge}×${Math.round(edge * 0.75)}, made into ${size}×${size}, batch ${folderBatch}\n`
    )
    console.log(
      "| augmentation | step | images/s | sharp alone, images/s | processor ms per image / sharp alone | waiting for data | peak memory, MB |"
    )
    console.log("| --- | --- | --- | --- | --- | --- | --- |")
    // The decoder alone runs before every row, so that both see the machine in the same state.
    const row = (label: string, step: number) => {
      const alone = JSON.parse(child("decode", temporary)) as Pick<Loaded, "rate" | "cpu"> // as above
      const { cpu, peak, rate, waiting } = loaded(temporary, label, step)
      const cells = [
        label,
        step === 0 ? "none" : `${step} ms`,
        rate.toFixed(0),
        alone.rate.toFixed(0),
        `${cpu.toFixed(2)} / ${alone.cpu.toFixed(2)}`,
        `${(100 * waiting).toFixed(1)}%`,
        peak.toFixed(0)
      ]
      console.log(`| ${cells.join(" | ")} |`)
      return rate
    }
    const rates = Object.keys(folderPipelines).map((label) => row(label, 0))
    // A step that takes half as long again as decoding its batch: the loader can keep up, so training should not wait.
    row("none", Math.ceil(((1.5 * folderBatch) / rates[0]!) * 1000))
  } finally {
    await rm(temporary, { recursive: true })
  }
}
