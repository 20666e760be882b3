/** Measured speeds that ship. A kind of CPU that was not measured has the figures of the nearest one, and its `source` says so. */
import type { CostModel, Kind } from "./CostModel.ts"

const amd: CostModel = {
  format: "uninet cost model",
  version: 1,
  processor: "amd-avx512",
  source:
    "AMD EPYC (AVX-512), onnxruntime-node 1.30.0, Node 24.21, 2026-11-29: slopes between chains of 4 and 20 in one graph, one thread, the processor's clock, the fastest of three measurements on a machine that others used too",
  products: [
    { orientation: "columns", out: 96, in: 16, many: 16384, gflops: 71.6 },
    { orientation: "columns", out: 144, in: 24, many: 4096, gflops: 85.9 },
    { orientation: "columns", out: 192, in: 48, many: 12800, gflops: 78.6 },
    { orientation: "columns", out: 240, in: 40, many: 1024, gflops: 91.7 },
    { orientation: "columns", out: 384, in: 96, many: 1024, gflops: 98.7 },
    { orientation: "rows", out: 96, in: 16, many: 16384, gflops: 78.9 },
    { orientation: "rows", out: 144, in: 24, many: 4096, gflops: 84.7 },
    { orientation: "rows", out: 192, in: 48, many: 12800, gflops: 71.2 },
    { orientation: "rows", out: 240, in: 40, many: 1024, gflops: 95.1 },
    { orientation: "rows", out: 384, in: 96, many: 1024, gflops: 105 },
    { orientation: "gradient", out: 96, in: 16, many: 16384, gflops: 79.9 },
    { orientation: "gradient", out: 144, in: 24, many: 4096, gflops: 74.5 },
    { orientation: "gradient", out: 192, in: 48, many: 12800, gflops: 102 },
    { orientation: "gradient", out: 240, in: 40, many: 1024, gflops: 71.7 },
    { orientation: "gradient", out: 384, in: 96, many: 1024, gflops: 95.5 }
  ],
  passes: [
    { bytes: 393216, gigabytes: 83.9 },
    { bytes: 6291456, gigabytes: 60.9 },
    { bytes: 25165824, gigabytes: 51.3 }
  ],
  elements: {
    Neg: 0.0763,
    Erf: 0.513,
    Exp: 0.16,
    Tanh: 0.263,
    Sigmoid: 0.252,
    Sqrt: 0.317,
    Relu: 0.0744,
    Softmax: 0.288,
    Transpose: 0.128,
    Add: 0.16,
    Mul: 0.0935,
    Div: 0.225,
    MaxPool: 0.654,
    Conv: 2.03,
    ConvTranspose: 3.75,
    "nchwc Conv": 0.241
  },
  call: 125
}

const intel: CostModel = {
  format: "uninet cost model",
  version: 1,
  processor: "intel-avx512",
  source:
    "Intel Xeon (AVX-512, AMX), two threads of one core, onnxruntime-node 1.30.0, 2026-11-28: slopes between chains of two lengths in one graph, middles of the ranges that were seen",
  products: [
    { orientation: "columns", out: 96, in: 16, many: 16384, gflops: 39 },
    { orientation: "columns", out: 144, in: 24, many: 4096, gflops: 48 },
    { orientation: "columns", out: 192, in: 48, many: 12800, gflops: 38 },
    { orientation: "columns", out: 240, in: 40, many: 1024, gflops: 65 },
    { orientation: "columns", out: 384, in: 96, many: 1024, gflops: 72 },
    { orientation: "rows", out: 96, in: 16, many: 16384, gflops: 57 },
    { orientation: "rows", out: 144, in: 24, many: 4096, gflops: 61 },
    { orientation: "rows", out: 192, in: 48, many: 12800, gflops: 55 },
    { orientation: "rows", out: 240, in: 40, many: 1024, gflops: 68 },
    { orientation: "rows", out: 384, in: 96, many: 1024, gflops: 79 },
    { orientation: "gradient", out: 144, in: 24, many: 4096, gflops: 75 }
  ],
  passes: [{ bytes: 2 ** 26, gigabytes: 15 }],
  elements: { Neg: 0.25, Erf: 1.2, Tanh: 0.56, Sigmoid: 0.5, Mul: 0.24, Add: 0.43, Gelu: 1.4 },
  call: 350
}

const costs: { readonly [K in Kind]: CostModel } = {
  "amd-avx512": amd,
  "intel-avx512": intel,
  avx2: { ...amd, processor: "avx2", source: `not measured; the figures of: ${amd.source}` },
  other: { ...amd, processor: "other", source: `not measured; the figures of: ${amd.source}` }
}
export default costs
