import { assert, describe, it } from "@effect/vitest"
import { Prng, Space } from "@uninet/search-space"
import { Architecture, UniNetSpace } from "@uninet/uninet"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as fc from "fast-check"

const get = Result.getOrThrow

const paper = get(UniNetSpace.make())
const small = get(UniNetSpace.small())

const stage = (
  operator: string,
  dsm: string | null,
  expansion: number,
  channels: number,
  repeats: number,
  stride: number
) => ({
  operator,
  dsm,
  expansion,
  channels,
  repeats,
  stride
})

/** The released networks of one width and depth, as the authors' code builds them. */
const released = (image: number): Architecture.Architecture => {
  return {
    image: { channels: 3, height: image, width: image },
    classes: 1000,
    stem: { channels: 32, stride: 2 },
    stages: [
      stage("DWConv", null, 1, 24, 1, 1),
      stage("DWConv", "L", 4, 48, 2, 2),
      stage("DWConv", "L", 6, 80, 4, 2),
      stage("DWConv", "L", 3, 128, 4, 2),
      stage("SA", "LG", 2, 128, 4, 1),
      stage("SA", "LG", 5, 256, 8, 2)
    ],
    head: { channels: 1280 },
    headDim: 32
  }
}

/** What `make` says of settings. */
const message = (options: UniNetSpace.Options) => {
  const made = UniNetSpace.make(options)
  return Result.isFailure(made) ? made.failure.message : "made"
}

describe("UniNet's space", () => {
  it("has 1875⁵ choices, in 25 sites, and fewer distinct architectures", () => {
    assert.strictEqual(Space.size(paper), 23_174_285_888_671_875n)
    assert.strictEqual(Space.size(paper), 1875n ** 5n)
    assert.strictEqual(paper.sites.length, 25)
    assert.deepStrictEqual(
      paper.sites.slice(0, 5).map((site) => [site.name, site.count]),
      [
        ["stages[1].operator", 5],
        ["stages[1].dsm", 3],
        ["stages[1].expansion", 5],
        ["stages[1].width", 5],
        ["stages[1].depth", 5]
      ]
    )
    assert.strictEqual(Space.size(small), 1875n ** 5n)
  })

  it("counts distinct architectures as enumerating the choices of each stage does", () => {
    // by the rules written out once more: rounding, clipping, and LSA on maps within one window
    const maps = [56, 28, 14, 14, 7]
    const { channels, repeats, strides } = UniNetSpace.paper.seed
    let distinct = 1n
    for (let i = 1; i <= 5; i++) {
      const seen = new Set<string>()
      for (const operator of ["Conv", "DWConv", "SA", "LSA", "MLP"])
        for (const dsm of ["L", "LG", "G"])
          for (const e of [2, 3, 4, 5, 6])
            for (const width of [0.5, 0.75, 1, 1.25, 1.5])
              for (const depth of [-2, -1, 0, 1, 2]) {
                const d = operator.endsWith("SA") || dsm !== "L" ? 32 : 16
                const c = UniNetSpace.makeDivisible(channels[i]! * width, d)
                const op = operator === "LSA" && maps[i - 1]! <= 7 ? "SA" : operator
                seen.add([op, dsm, e, c, Math.max(1, repeats[i]! + depth), strides[i]].join())
              }
      distinct *= BigInt(seen.size)
    }
    assert.strictEqual(Space.distinct(paper), distinct)
  })

  it("contains the released UniNet, B0 at 160 and B1 at 224, with the choices that the paper's summary gives", () => {
    for (const image of [160, 224]) {
      const space = get(UniNetSpace.make({ image, stage0Channels: 24 }))
      const labels = [
        "DWConv L 4 1.5 0",
        "DWConv L 6 1.5 2",
        "DWConv L 3 1.25 1",
        "SA LG 2 1 -1",
        "SA LG 5 1.25 0"
      ].flatMap((stage) => stage.split(" "))
      const tokens = space.sites.map((site, i) =>
        Array.from({ length: site.count }, (_, token) => site.label(token)).indexOf(labels[i]!)
      )
      assert.deepStrictEqual(get(Space.decode(tokens)(space)), released(image))
      // ×1.25 gives stage 1 the same 48 channels, and is nearer to the seed
      const canonical = get(Space.encode(released(image))(space))
      assert.deepStrictEqual(canonical, tokens.with(3, 3))
      assert.deepStrictEqual(get(Space.decode(canonical)(space)), released(image))
    }
  })

  it("gives attention channels that the heads divide, always", () => {
    for (const space of [paper, small]) {
      const prng = Prng.fromSeed("heads")
      for (let i = 0; i < 2000; i++) {
        const { headDim, stages } = Space.sample(prng)(space)
        for (const { channels, dsm, operator } of stages) {
          const attention = operator.endsWith("SA") || dsm === "LG" || dsm === "G"
          assert.isTrue(!attention || channels % headDim === 0, `${channels} by ${headDim}`)
        }
      }
    }
  })

  it("gives values of the Architecture schema, and describes the seed network at the seed point", () => {
    const prng = Prng.fromSeed("schema")
    for (let i = 0; i < 200; i++) {
      assert.isTrue(Schema.is(Architecture.Architecture)(Space.sample(prng)(paper)))
    }
    const seed = Space.seedPoint(paper)
    assert.deepStrictEqual(
      seed.stages.map((s) => s.repeats),
      [1, 2, 2, 3, 5, 8]
    )
    assert.deepStrictEqual(
      seed.stages.map((s) => s.channels),
      [16, 32, 48, 96, 128, 192]
    )
    assert.isTrue(seed.stages.slice(1).every((s) => s.operator === "DWConv" && s.dsm === "L" && s.expansion === 4))
  })

  it("has one form and one hash for choices that are one network: offsets clipped to one block", () => {
    // stage 1 has two blocks in the seed network, so −2 and −1 are the same
    const at = paper.sites.findIndex((site) => site.name === "stages[1].depth")
    const seed = get(Space.encode(Space.seedPoint(paper))(paper))
    const [two, one] = [0, 1].map((depth) => get(Space.decode(seed.with(at, depth))(paper)))
    assert.deepStrictEqual(two, one)
    assert.strictEqual(Architecture.hash(two!), Architecture.hash(one!))
    assert.deepStrictEqual(get(Space.canonical(seed.with(at, 0))(paper)), seed.with(at, 1))
  })

  it("writes LSA as SA where one window covers the map, and only there", () => {
    const lsa = (space: Space.Space<Architecture.Architecture>, stage: number) => {
      const seed = get(Space.encode(Space.seedPoint(space))(space))
      const at = space.sites.findIndex((site) => site.name === `stages[${stage}].operator`)
      return get(Space.decode(seed.with(at, 3))(space)).stages[stage]!.operator
    }
    assert.deepStrictEqual(
      [1, 2, 3, 4, 5].map((i) => lsa(paper, i)),
      ["LSA", "LSA", "LSA", "LSA", "SA"]
    )
    assert.deepStrictEqual(
      [1, 2].map((i) => lsa(small, i)),
      ["LSA", "SA"]
    )
    // a hand-written network with LSA there is found all the same, as what it is
    const written = Space.seedPoint(small)
    const stages = written.stages.map((s, i) => (i === 5 ? { ...s, operator: "LSA" } : s))
    const network: Architecture.Architecture = { ...written, stages }
    assert.strictEqual(get(Space.canonicalValue(network)(small)).stages[5]!.operator, "SA")
    const only = get(UniNetSpace.make({ operators: ["LSA"] }))
    assert.isTrue(
      Space.seedPoint(only)
        .stages.slice(1)
        .every((s) => s.operator === "LSA")
    )
    assert.strictEqual(lsa(get(UniNetSpace.make({ window: 0 })), 5), "LSA")
  })

  it("has defaults of its own for 64 pixels and less: the stem keeps the resolution, the last map is near 4", () => {
    const lastMap = (image: number) =>
      Architecture.featureMaps(Space.seedPoint(get(UniNetSpace.make({ image })))).at(-1)!.height
    assert.deepStrictEqual([28, 32, 48, 64].map(lastMap), [4, 4, 3, 4])
    assert.deepStrictEqual(
      Architecture.featureMaps(Space.seedPoint(small)).map((map) => map.height),
      [28, 28, 14, 7, 4, 4, 4]
    )
    assert.strictEqual(Space.seedPoint(small).image.channels, 1)
    assert.strictEqual(Space.seedPoint(get(UniNetSpace.make({ image: 65 }))).stem.stride, 2)
    const wide = Space.seedPoint(get(UniNetSpace.make({ image: { height: 32, width: 48 }, channels: 1 })))
    assert.deepStrictEqual(wide.image, { channels: 1, height: 32, width: 48 })
  })

  it("takes users' operators and modules, an ablation's subset, and its own seed", () => {
    const space = get(
      UniNetSpace.make({
        image: 28,
        operators: ["Conv", "Fourier"],
        dsms: ["L"],
        seed: { repeats: [1, 3], channels: [8, 16], strides: [1, 2], operator: "Fourier" }
      })
    )
    assert.strictEqual(Space.size(space), 250n)
    assert.strictEqual(Space.seedPoint(space).stages[1]!.operator, "Fourier")
  })

  it("refuses settings that make no sense, naming them", () => {
    assert.include(message({ image: 0 }), "image height is 0")
    assert.include(message({ classes: 2.5 }), "classes is 2.5")
    assert.include(message({ stem: { channels: 8, stride: 0 } }), "stem.stride is 0")
    assert.include(
      message({ seed: { repeats: [1, 2], channels: [8], strides: [1, 2] } }),
      "2 repeats, 1 channels and 2 strides"
    )
    assert.include(message({ operators: [] }), "stages[1].operator: the choice has no options")
    assert.include(message({ operators: ["SA", "SA"] }), 'the option "SA" is listed twice')
    assert.include(message({ widths: [0.5, 2] }), "the seed 1 is not one of its options")
    assert.include(message({ depths: [0.5, 0] }), "a depth offset is 0.5")
  })

  it("refuses an architecture of another space, at the first thing that differs", () => {
    const path = (json: unknown) => {
      const decoded = Space.decodeJson(json)(small)
      return Result.isFailure(decoded) ? decoded.failure.path : undefined
    }
    const mine = Space.seedPoint(small)
    assert.isUndefined(path(mine))
    assert.deepStrictEqual(path({ ...mine, image: { ...mine.image, height: 32 } }), ["image", "height"])
    assert.deepStrictEqual(path({ ...mine, classes: 100 }), ["classes"])
    const withStage = (i: number, change: Partial<Architecture.Stage>) => ({
      ...mine,
      stages: mine.stages.map((s, k) => (k === i ? { ...s, ...change } : s))
    })
    assert.deepStrictEqual(path(withStage(0, { channels: 9 })), ["stages", 0, "channels"])
    assert.deepStrictEqual(path(withStage(3, { operator: "Winograd" })), ["stages", 3, "operator"])
    assert.deepStrictEqual(path(withStage(3, { channels: 25 })), ["stages", 3, "channels"])
    assert.deepStrictEqual(path({ ...mine, stages: mine.stages.slice(1) }), ["stages"])
  })

  it("hashes an architecture as its space does, whatever the order of its keys", () => {
    const a = Space.sample(Prng.fromSeed("hash"))(paper)
    const { stages, ...rest } = a
    const shuffled: Architecture.Architecture = {
      stages: stages.map(({ operator, ...s }) => ({ ...s, operator })),
      ...rest
    }
    assert.strictEqual(Architecture.hash(shuffled), Architecture.hash(a))
    assert.strictEqual(Space.hash(a)(paper), Architecture.hash(a))
  })

  it("samples these architectures for this seed, on every machine and in every version", () => {
    const prng = Prng.fromSeed("demo")
    assert.deepStrictEqual(
      Array.from({ length: 3 }, () => Architecture.hash(Space.sample(prng)(paper))),
      ["cda8bc65a1957371", "d7fbe800125c8758", "575615a4d6b181c3"]
    )
    assert.strictEqual(
      Architecture.line(Space.sample(Prng.fromSeed("demo"))(small)),
      "DWConv e1 8×1 | LG LSA e5 16×2 /2 | LG MLP e5 8×1 /2 | L MLP e5 40×1 /2 | L DWConv e2 24×4 | LG DWConv e3 16×1"
    )
  })

  it("prints its counts, and has another fingerprint with other settings", () => {
    assert.include(Space.print(small), "23174285888671875 choices, 151165440000000 distinct")
    assert.notStrictEqual(
      Space.fingerprint(get(UniNetSpace.small({ classes: 10 }))),
      Space.fingerprint(get(UniNetSpace.small({ classes: 11 })))
    )
  })
})

describe("makeDivisible", () => {
  it("gives a multiple of the divisor, at least the divisor, and within a tenth below and half a divisor above", () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 4000 }), fc.constantFrom(8, 16, 32), (v, d) => {
        const rounded = UniNetSpace.makeDivisible(v, d)
        assert.strictEqual(rounded % d, 0)
        assert.isAtLeast(rounded, Math.max(d, 0.9 * v))
        assert.isAtMost(rounded, Math.max(d, v + d))
      })
    )
  })

  it("gives what the released code gives", () => {
    const cases = [
      [72, 16, 80],
      [120, 16, 128],
      [240, 32, 256],
      [48, 32, 64],
      [10, 8, 16],
      [9, 8, 16],
      [20, 16, 32],
      [4, 8, 8]
    ] as const
    for (const [v, d, expected] of cases) assert.strictEqual(UniNetSpace.makeDivisible(v, d), expected, `${v} by ${d}`)
  })
})
