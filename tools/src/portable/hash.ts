/** The parts of `node:crypto` that are used, for where it does not exist. */
import { sha256 } from "@noble/hashes/sha2.js"
import { bytesToHex, utf8ToBytes } from "@noble/hashes/utils.js"

export const createHash = () => {
  const hash = sha256.create()
  const self = {
    update: (data: string | Uint8Array) => {
      hash.update(typeof data === "string" ? utf8ToBytes(data) : data)
      return self
    },
    digest: () => bytesToHex(hash.digest())
  }
  return self
}

export const randomInt = (most: number): number => Math.floor(Math.random() * most)
