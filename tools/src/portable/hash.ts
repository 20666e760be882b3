/** What is used of `node:crypto` where there is none. */
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
