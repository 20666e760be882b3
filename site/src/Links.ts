/** Links of built pages that lead nowhere. */
import { existsSync, readdirSync, readFileSync, statSync } from "node:fs"
import { dirname, join, normalize, relative } from "node:path"

export interface Links {
  readonly pages: number
  readonly checked: number
  /** A line each: the page, and what it links to. */
  readonly broken: ReadonlyArray<string>
}

const unescaped = (text: string) =>
  text.replaceAll("&amp;", "&").replaceAll("&quot;", '"').replaceAll("&#39;", "'").replaceAll("&lt;", "<")

/** Follows every link within a folder of pages: to a file that is there, and to a place in it that has the name. Other sites are not asked. */
export const check = (folder: string): Links => {
  const pages = new Map(
    readdirSync(folder, { recursive: true, encoding: "utf8" })
      .filter((file) => file.endsWith(".html"))
      .map((file) => {
        const html = readFileSync(join(folder, file), "utf8")
        const ids = new Set([...html.matchAll(/\s(?:id|name)="([^"]+)"/g)].map(([, id = ""]) => unescaped(id)))
        const links = [...html.matchAll(/\s(?:href|src)="([^"]+)"/g)].map(([, link = ""]) => unescaped(link))
        return [file, { ids, links: new Set(links) }] as const
      })
  )
  const broken: Array<string> = []
  let checked = 0
  for (const [file, { links }] of pages)
    for (const link of links) {
      if (/^([a-z]+:|\/\/)/i.test(link)) continue
      checked++
      const [path = "", anchor = ""] = link.split("#").map((part) => decodeURIComponent(part.replace(/\?.*$/, "")))
      const target = path === "" ? file : normalize(join(dirname(file), path))
      const at = join(folder, target)
      const isThere = !relative(folder, at).startsWith("..") && existsSync(at) && statSync(at).isFile()
      const page = pages.get(target)
      if (!isThere || (anchor !== "" && page !== undefined && !page.ids.has(anchor))) broken.push(`${file}: ${link}`)
    }
  return { pages: pages.size, checked, broken }
}
