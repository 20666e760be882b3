/** The Markdown of the repository that becomes pages: which, under which heading, and what a page is called. */
import { readdirSync, readFileSync } from "node:fs"
import { basename, dirname, join } from "node:path"
import { fileURLToPath } from "node:url"

/** The repository's folder. */
export const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))))

/** A page, and those under it. */
export interface Page {
  readonly title: string
  /** Where its text is from, from the repository's root: what links to it name. A page without lists those under it. */
  readonly file: string | undefined
  readonly text: string
  readonly pages: ReadonlyArray<Page>
}

/** The first heading of a Markdown text, and what is below it. */
export const parts = (markdown: string): { readonly title: string | undefined; readonly body: string } => {
  const [, title, body = ""] = /^# (.+)\n([^]*)$/.exec(markdown) ?? []
  return title === undefined ? { title, body: markdown } : { title: title.replaceAll("`", ""), body }
}

/** A page of a Markdown file. */
const page = (file: string, pages: ReadonlyArray<Page> = []): Page => {
  const { body, title = basename(file, ".md") } = parts(readFileSync(join(root, file), "utf8"))
  return { title, file, text: body, pages }
}

/** A program as a page. */
const program = (file: string): Page => ({
  title: basename(file),
  file,
  text: `\`\`\`ts\n${readFileSync(join(root, file), "utf8")}\`\`\`\n`,
  pages: []
})

const files = (folder: string, ending: string): ReadonlyArray<string> =>
  readdirSync(join(root, folder))
    .filter((name) => name.endsWith(ending) && name !== "README.md")
    .toSorted()
    .map((name) => `${folder}/${name}`)

/** A page that lists the Markdown files of a folder. */
const list = (title: string, about: string, folder: string): Page => {
  const pages = files(folder, ".md").map((file) => page(file))
  const links = pages.map(({ file, title }) => `- [${title}](${basename(file ?? "")})`)
  return { title, file: folder, text: `${about}\n\n${links.join("\n")}\n`, pages }
}

/** Every page beside the packages' own, in the order of the navigation. */
export const all = (): ReadonlyArray<Page> => [
  page(
    "docs/guides/README.md",
    ["search", "space", "operator", "machines", "report", "tab", "figure"].map((name) => page(`docs/guides/${name}.md`))
  ),
  page("docs/command-line.md"),
  page("docs/engines.md"),
  page("docs/benchmark-tables.md"),
  page("docs/paper.md"),
  page(
    "examples/README.md",
    files("examples", ".ts").map((file) => program(file))
  ),
  list("Decisions", "Why things are as they are, what else was tried, and what it measured.", "docs/decisions"),
  list(
    "Figures",
    "What was measured, with the command that measures it again. How to do so is in [a guide](../../docs/guides/figure.md).",
    "bench/results"
  ),
  page("docs/status.md"),
  page("CHANGELOG.md")
]
