/**
 * A search's trials as TensorBoard's event files: one folder per trial, with its learning curve and results as scalars and its choices as
 * hyper-parameters (the dashboard HPARAMS).
 *
 * An event file is a sequence of records: a length, a masked CRC-32C of it, a message of `event.proto` and a masked CRC-32C of that. Field
 * numbers are those of TensorFlow's `event.proto`, `summary.proto`, `tensor.proto` and TensorBoard's `plugins/hparams/*.proto`.
 */
import { PbfWriter as Pbf } from "pbf"
import * as Trials from "./Trials.ts"

const polynomial = 0x82f63b78

const crcTable = Uint32Array.from({ length: 256 }, (_, byte) => {
  let crc = byte
  for (let bit = 0; bit < 8; bit++) crc = (crc & 1) === 1 ? (crc >>> 1) ^ polynomial : crc >>> 1
  return crc >>> 0
})

/**
 * CRC-32C (Castagnoli) of some bytes.
 *
 * @example
 * ```ts
 * import { TensorBoard } from "@uninet/export"
 *
 * console.log(TensorBoard.crc32c(new TextEncoder().encode("123456789")).toString(16)) // e3069283, the check value of the standard
 * ```
 */
export const crc32c = (bytes: Uint8Array): number => {
  let crc = 0xffffffff
  for (const byte of bytes) crc = (crcTable[(crc ^ byte) & 0xff] ?? 0) ^ (crc >>> 8)
  return (crc ^ 0xffffffff) >>> 0
}

/** Masked as in the records, so that a checksum over data that contain checksums is not valid by accident. */
const masked = (bytes: Uint8Array): number => {
  const crc = crc32c(bytes)
  return (((crc >>> 15) | (crc << 17)) + 0xa282ead8) >>> 0
}

const record = (data: Uint8Array): Uint8Array => {
  const out = new Uint8Array(data.length + 16)
  const view = new DataView(out.buffer)
  view.setBigUint64(0, BigInt(data.length), true)
  view.setUint32(8, masked(out.subarray(0, 8)), true)
  out.set(data, 12)
  view.setUint32(12 + data.length, masked(data), true)
  return out
}

const message = (write: (pbf: Pbf) => void): Uint8Array => {
  const pbf = new Pbf()
  write(pbf)
  return pbf.finish()
}

/** Every value is written, including zeros. */
const bytes = (pbf: Pbf, field: number, value: Uint8Array) => pbf.writeBytesField(field, value)

interface Event {
  /** Seconds since 1970. */
  readonly at: number
  readonly step?: number
  readonly version?: string
  readonly values?: ReadonlyArray<Uint8Array>
}

const event = ({ at, step = 0, values, version }: Event): Uint8Array =>
  message((pbf) => {
    pbf.writeDoubleField(1, at)
    pbf.writeVarintField(2, step)
    if (version !== undefined) pbf.writeStringField(3, version)
    if (values !== undefined)
      bytes(
        pbf,
        5,
        message((summary) => {
          for (const value of values) bytes(summary, 1, value)
        })
      )
  })

const scalar = (tag: string, value: number) =>
  message((pbf) => {
    pbf.writeStringField(1, tag)
    pbf.writeFloatField(2, value)
  })

/** The data for a plugin: a summary with metadata but without a value. */
const plugin = (tag: string, content: Uint8Array) =>
  message((pbf) => {
    pbf.writeStringField(1, tag)
    bytes(
      pbf,
      9,
      message((metadata) =>
        bytes(
          metadata,
          1,
          message((data) => {
            data.writeStringField(1, "hparams")
            bytes(data, 2, content)
          })
        )
      )
    )
    // A tensor of rank 0, without which readers skip the summary.
    bytes(
      pbf,
      8,
      message((tensor) => {
        tensor.writeVarintField(1, 1)
        bytes(tensor, 2, new Uint8Array())
        tensor.writePackedFloat(5, [0])
      })
    )
  })

/** A `google.protobuf.Value`. */
const value = (given: Trials.Scalar): Uint8Array =>
  message((pbf) => {
    if (given === null) pbf.writeVarintField(1, 0)
    else if (typeof given === "number") pbf.writeDoubleField(2, given)
    else if (typeof given === "string") pbf.writeStringField(3, given)
    else pbf.writeBooleanField(4, given)
  })

/** The wrapper of a plugin's message: field 1 is the version, then one of experiment (2), session start (3) and session end (4). */
const hparams = (field: 2 | 3 | 4, write: (pbf: Pbf) => void) =>
  message((pbf) => {
    pbf.writeVarintField(1, 0)
    bytes(pbf, field, message(write))
  })

const dataType = (values: ReadonlyArray<Trials.Scalar>) => {
  const kinds = new Set(values.map((each) => typeof each))
  if (kinds.size !== 1) return 1
  return kinds.has("boolean") ? 2 : kinds.has("number") ? 3 : 1
}

/** TensorBoard requires one type per column. */
const uniform = (given: Trials.Scalar, type: number): Trials.Scalar => (type === 1 ? String(given) : given)

const statuses = { finished: 1, failed: 2, refused: 2, running: 3 } as const satisfies Record<Trials.State, number>

const file = (at: number) => `events.out.tfevents.${String(Math.floor(at)).padStart(10, "0")}.uninet`

const joined = (events: ReadonlyArray<Uint8Array>) => Buffer.concat(events.map(record))

/** The names and values of a trial's final results. */
const resultsOf = ({ costs, measures, reward }: Trials.Row): ReadonlyArray<readonly [string, number]> => [
  ...(reward === null ? [] : [["result/reward", reward] as const]),
  ...Object.entries(measures).map(([name, each]) => [`result/${name}`, each] as const),
  ...Object.entries(costs).map(([name, each]) => [`cost/${name}`, each] as const)
]

/** The event files by their paths inside TensorBoard's log folder. Refused trials are left out. Numbers are four-byte floats, as in TensorBoard's scalars. */
export const files = ({ rows: all }: Trials.Table): ReadonlyMap<string, Uint8Array> => {
  const rows = all.filter(({ state }) => state !== "refused")
  const out = new Map<string, Uint8Array>()
  const columns = [...new Set(rows.flatMap(({ parameters }) => Object.keys(parameters)))].map((name) => {
    const values = [...new Set(rows.flatMap(({ parameters }) => parameters[name] ?? []))]
    return { name, values, type: dataType(values) }
  })
  const types = new Map(columns.map(({ name, type }) => [name, type]))
  const metrics = [...new Set(rows.flatMap((row) => resultsOf(row).map(([tag]) => tag)))]
  const first = (rows[0]?.begun ?? 0) / 1000
  const experiment = hparams(2, (pbf) => {
    pbf.writeStringField(1, "a search by uninet")
    pbf.writeDoubleField(3, first)
    for (const { name, type, values } of columns)
      bytes(
        pbf,
        4,
        message((info) => {
          info.writeStringField(1, name)
          info.writeVarintField(4, type)
          // A domain of many values does not help with filtering.
          if (values.length <= 20 && type === 1)
            bytes(
              info,
              5,
              message((list) => {
                for (const each of values) bytes(list, 1, value(uniform(each, type)))
              })
            )
        })
      )
    for (const tag of metrics)
      bytes(
        pbf,
        5,
        message((info) => {
          bytes(
            info,
            1,
            message((name) => name.writeStringField(2, tag))
          )
        })
      )
  })
  out.set(
    file(first),
    joined([
      event({ at: first, version: "brain.Event:2" }),
      event({ at: first, values: [plugin("_hparams_/experiment", experiment)] })
    ])
  )
  for (const row of rows) {
    const { begun, curve, ended, parameters, state, trial } = row
    const [from, to] = [begun / 1000, (ended ?? begun) / 1000]
    const start = hparams(3, (pbf) => {
      for (const [name, each] of Object.entries(parameters))
        bytes(
          pbf,
          1,
          message((entry) => {
            entry.writeStringField(1, name)
            bytes(entry, 2, value(uniform(each, types.get(name) ?? 1)))
          })
        )
      pbf.writeStringField(2, "")
      pbf.writeStringField(4, `trial-${trial}`)
      pbf.writeDoubleField(5, from)
    })
    const end = hparams(4, (pbf) => {
      pbf.writeVarintField(1, statuses[state])
      pbf.writeDoubleField(2, to)
    })
    const epochs = curve?.epochs ?? []
    const during = epochs.map((epoch, i) => {
      const loss = curve?.loss[i] ?? null
      const measured = Object.entries(curve?.measures ?? {}).flatMap(([name, series]) => {
        const each = series[i] ?? null
        return each === null ? [] : [scalar(`validation/${name}`, each)]
      })
      return event({
        at: from + ((to - from) * (i + 1)) / epochs.length,
        step: epoch,
        values: [...(loss === null ? [] : [scalar("train/loss", loss)]), ...measured]
      })
    })
    out.set(
      `trial-${trial}/${file(from)}`,
      joined([
        event({ at: from, version: "brain.Event:2" }),
        event({ at: from, values: [plugin("_hparams_/session_start_info", start)] }),
        ...during,
        event({ at: to, step: row.epochs ?? 0, values: resultsOf(row).map(([tag, each]) => scalar(tag, each)) }),
        event({ at: to, values: [plugin("_hparams_/session_end_info", end)] })
      ])
    )
  }
  return out
}
