/** What processes rely on and can lose: the time of day, disk space, the network. Each is set up only where this machine allows it. */
import { execFileSync } from "node:child_process"
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"

const run = (program: string, ...args: ReadonlyArray<string>): void =>
  void execFileSync(program, args, { stdio: "ignore" })

/** Tries to set something up; on failure, and when this process ends, it is undone. */
const attempt = <A>(make: () => A, undo: () => void): A | undefined => {
  try {
    const made = make()
    process.on("exit", undo)
    return made
  } catch {
    undo()
    return undefined
  }
}

const quietly = (...command: readonly [string, ...ReadonlyArray<string>]) => {
  try {
    run(...command)
  } catch {
    // It is gone, or never existed.
  }
}

export interface Clock {
  /** The environment of a process that is to use it. */
  readonly env: NodeJS.ProcessEnv
  /** Moves it by this many seconds from the true time. */
  readonly move: (seconds: number) => void
  readonly remove: () => void
}

/** A wall clock that can be moved under running processes. It needs a C compiler. */
export const clock = (): Clock | undefined => {
  const folder = mkdtempSync(join(tmpdir(), "uninet-clock-"))
  const [library, moved] = [join(folder, "clock.so"), join(folder, "moved")]
  const remove = () => rmSync(folder, { recursive: true, force: true })
  const move = (seconds: number) => {
    const bytes = Buffer.alloc(8)
    bytes.writeBigInt64LE(BigInt(seconds))
    // In place, because it is mapped into memory.
    writeFileSync(moved, bytes, { flag: "r+" })
  }
  return attempt(() => {
    run("cc", "-shared", "-fPIC", "-O1", "-o", library, fileURLToPath(new URL("clock.c", import.meta.url)), "-ldl")
    writeFileSync(moved, Buffer.alloc(8))
    for (const path of [folder, library, moved]) chmodSync(path, 0o755)
    return { env: { LD_PRELOAD: library, MOVED_CLOCK: moved }, move, remove }
  }, remove)
}

export interface Disk {
  readonly folder: string
  readonly fill: () => void
  readonly free: () => void
  readonly remove: () => void
}

/** A small disk. Requires permission to mount one. */
export const disk = (mebibytes: number): Disk | undefined => {
  const folder = mkdtempSync(join(tmpdir(), "uninet-disk-"))
  const ballast = join(folder, "ballast")
  const remove = () => {
    quietly("umount", "-l", folder)
    rmSync(folder, { recursive: true, force: true })
  }
  return attempt(() => {
    run("mount", "-t", "tmpfs", "-o", `size=${mebibytes}m,mode=777`, "tmpfs", folder)
    return {
      folder,
      fill: () => quietly("dd", "if=/dev/zero", `of=${ballast}`, "bs=64k"),
      free: () => rmSync(ballast, { force: true }),
      remove
    }
  }, remove)
}

export interface Network {
  /** The address of this side. */
  readonly address: string
  /** The addresses of both sides. */
  readonly range: string
  /** The prefix of a command that is to run on the other side. */
  readonly beyond: ReadonlyArray<string>
  readonly cut: () => void
  readonly mend: () => void
  readonly remove: () => void
}

/** Another machine, as far as the network is concerned: a separate namespace at the other end of a virtual cable. Requires permission to create one. */
export const network = (): Network | undefined => {
  const name = `uninet${process.pid}`
  const [near, far] = [`un${process.pid}a`, `un${process.pid}b`]
  const subnet = `10.213.${process.pid % 250}`
  const remove = () => {
    quietly("ip", "link", "del", near)
    quietly("ip", "netns", "del", name)
  }
  return attempt(() => {
    run("ip", "netns", "add", name)
    run("ip", "link", "add", near, "type", "veth", "peer", "name", far, "netns", name)
    run("ip", "addr", "add", `${subnet}.1/24`, "dev", near)
    run("ip", "link", "set", near, "up")
    run("ip", "-n", name, "addr", "add", `${subnet}.2/24`, "dev", far)
    run("ip", "-n", name, "link", "set", far, "up")
    run("ip", "-n", name, "link", "set", "lo", "up")
    return {
      address: `${subnet}.1`,
      range: `${subnet}.0/24`,
      beyond: ["ip", "netns", "exec", name, process.execPath],
      cut: () => run("ip", "link", "set", near, "down"),
      mend: () => run("ip", "link", "set", near, "up"),
      remove
    }
  }, remove)
}
