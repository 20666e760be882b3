/** TypeDoc over every package's entries, with the repository's pages beside them. */
import { existsSync, readdirSync, readFileSync } from "node:fs"
import { dirname, join, relative } from "node:path"
import {
  Application,
  Comment,
  type CommentDisplayPart,
  CommentTag,
  ConsoleLogger,
  Converter,
  type DeclarationReflection,
  DocumentReflection,
  LogLevel,
  MinimalSourceFile,
  normalizePath,
  OptionDefaults,
  type NormalizedPath,
  type ProjectReflection,
  type Reflection,
  ReflectionKind
} from "typedoc"
import { home, isPlaceholder } from "../../tools/published.mjs"
import * as Check from "./Check.ts"
import * as Pages from "./Pages.ts"
import * as Uses from "./Uses.ts"

const { root } = Pages

const at = (path: string): NormalizedPath => normalizePath(join(root, path))

/** What users import: the name, and the source that it stands for. */
export interface Entry {
  /** The folder in `packages`. */
  readonly folder: string
  /** As in an import. */
  readonly name: string
  /** Its source, from the repository's root. */
  readonly source: string
}

/** Every entry of every package. */
export const entries = (): ReadonlyArray<Entry> =>
  readdirSync(join(root, "packages")).flatMap((folder) => {
    const { exports, name }: { readonly name: string; readonly exports: Readonly<Record<string, string>> } = JSON.parse(
      readFileSync(join(root, "packages", folder, "package.json"), "utf8")
    )
    return Object.entries(exports).map(([path, source]) => ({
      folder,
      name: path === "." ? name : `${name}${path.slice(1)}`,
      source: `packages/${folder}/${source.replace("./", "")}`
    }))
  })

/** Whether an entry is the package's own and no subpath. */
export const isMain = ({ source }: Entry): boolean => source.endsWith("/index.ts")

/** What TypeDoc made of the sources, and TypeDoc to render it. */
export interface Reference {
  readonly application: Application
  readonly project: ProjectReflection
  /** What users can import. */
  readonly exports: ReadonlyArray<Check.Export>
  /** What TypeDoc warned of: comments that name what there is not, for instance. */
  readonly warnings: ReadonlyArray<string>
}

/** Reads packages' sources and comments; rejects where they do not compile. */
export const read = async (known: ReadonlyArray<Entry> = entries()): Promise<Reference> => {
  const application = await Application.bootstrap({
    name: "UniNet for TypeScript",
    tsconfig: join(root, "site", "tsconfig.docs.json"),
    entryPoints: known.map(({ source }) => join(root, source)),
    alwaysCreateEntryPointModule: true,
    basePath: root,
    displayBasePath: root,
    readme: "none",
    customCss: join(root, "site", "site.css"),
    excludeExternals: true,
    excludeInternal: true,
    excludePrivate: true,
    // Effect's own comments link to what is not in this site.
    suppressCommentWarningsInDeclarationFiles: true,
    disableGit: true,
    sourceLinkTemplate: `${home}/blob/{gitRevision}/{path}#L{line}`,
    gitRevision: "main",
    includeHierarchySummary: false,
    sortEntryPoints: false,
    sort: ["source-order"],
    categorizeByGroup: false,
    groupOrder: ["Modules", "Documents", "Namespaces", "*"],
    navigation: { includeCategories: false, includeGroups: false, includeFolders: true },
    blockTags: [...OptionDefaults.blockTags, "@fails"],
    searchInComments: true,
    searchInDocuments: true,
    highlightLanguages: ["typescript", "tsx", "javascript", "json", "bash", "yaml", "docker", "sql", "python"],
    validation: {
      notExported: false,
      invalidLink: true,
      invalidPath: true,
      rewrittenLink: false,
      notDocumented: false
    },
    logLevel: "Error"
  })
  const warnings: Array<string> = []
  application.logger = new (class extends ConsoleLogger {
    override log(message: string, level: Exclude<LogLevel, LogLevel.None>) {
      if (level === LogLevel.Warn) warnings.push(message)
      super.log(message, level)
    }
  })()
  application.logger.level = LogLevel.Error

  const parsed = (file: string, text: string) =>
    application.converter.parseRawComment(new MinimalSourceFile(text, at(file)), application.files).content

  application.converter.on(Converter.EVENT_RESOLVE_BEGIN, ({ project }) => {
    // Its heading is the site's own.
    project.readme = parsed("README.md", Pages.parts(readFileSync(join(root, "README.md"), "utf8")).body)
    for (const module of project.getReflectionsByKind(ReflectionKind.Module)) {
      const entry = known.find(({ source }) => isOf(module, source))
      if (entry === undefined || !module.isDeclaration()) continue
      module.name = entry.name
      for (const child of module.children ?? []) {
        const source = child.kindOf(ReflectionKind.Namespace) ? child.sources?.[0]?.fullFileName : undefined
        if (source === undefined) continue
        project.files.registerReflectionPath(normalizePath(source), child)
        // What stands at the head of a module's file is lost where it is exported by `export * as`.
        const head = headOf(source)
        if (head !== undefined) child.comment = new Comment(parsed(relative(root, source), head))
      }
      if (!isMain(entry)) continue
      const file = `packages/${entry.folder}/README.md`
      if (!existsSync(join(root, file))) continue
      module.readme = parsed(file, Pages.parts(readFileSync(join(root, file), "utf8")).body)
      // Links to the folder or the README lead to the package's page.
      for (const path of [file, dirname(file)]) project.files.registerReflectionPath(at(path), module)
    }
    const add = (page: Pages.Page, parent: ProjectReflection | DocumentReflection) => {
      const file = page.file ?? "README.md"
      const path = existsSync(join(root, file)) && !file.includes(".") ? `${file}/README.md` : file
      const document = new DocumentReflection(page.title, parent, parsed(path, `# ${page.title}\n\n${page.text}`), {})
      parent.addChild(document)
      project.registerReflection(document, undefined, at(path))
      for (const other of [path, dirname(path)])
        if (other === path || path.endsWith("/README.md")) project.files.registerReflectionPath(at(other), document)
      page.pages.forEach((child) => add(child, document))
    }
    Pages.all().forEach((page) => add(page, project))
  })

  const fails = (one: Check.Export) =>
    Check.errorsOf(one).flatMap((name) => {
      const error = errors.get(name)
      return error === undefined ? [] : [{ name, error }]
    })
  const errors = new Map<string, DeclarationReflection>()
  let exports: ReadonlyArray<Check.Export> = []
  application.converter.on(Converter.EVENT_RESOLVE_BEGIN, ({ project }) => {
    exports = Check.exportsOf(project)
    for (const { reflection } of exports)
      if (reflection.kindOf([ReflectionKind.Class, ReflectionKind.TypeAlias])) errors.set(reflection.name, reflection)
    const shown = Uses.of(exports)
    for (const one of exports) {
      const [target] = one.reflection.kindOf(ReflectionKind.Function) ? one.signatures : [one.reflection]
      if (target === undefined || !Check.isFunction(one)) continue
      target.comment ??= new Comment()
      // What a type says of failures, in words: those of the errors' own comments.
      const said = fails(one).map(({ error, name }): ReadonlyArray<CommentDisplayPart> => [
        { kind: "text", text: "- " },
        { kind: "inline-tag", tag: "@link", text: name, target: error },
        { kind: "text", text: `: ${Check.firstSentence(error)}\n` }
      ])
      if (said.length > 0) target.comment.blockTags.push(new CommentTag("@fails", said.flat()))
      const example = one.hasOwnExample ? undefined : shown.get(one)
      if (example === undefined) continue
      const tag = new CommentTag("@example", [{ kind: "code", text: `\`\`\`ts\n${example.code}\`\`\`` }])
      tag.name = `As ${Uses.placeOf(example)} uses it`
      target.comment.blockTags.push(tag)
    }
  })

  const project = await application.convert()
  if (project === undefined || application.logger.hasErrors())
    throw new Error("TypeDoc could not read the packages: see above")
  // A link to a placeholder helps nobody: the path and the line stand there without.
  if (isPlaceholder)
    for (const reflection of Object.values(project.reflections))
      if (reflection.isDeclaration() || reflection.isSignature())
        for (const source of reflection.sources ?? []) delete source.url
  application.validate(project)
  return { application, project, exports, warnings }
}

/** The comment at the head of a module's file. */
const headOf = (file: string): string | undefined => {
  const [, text] = /^\/\*\*([^]*?)\*\//.exec(readFileSync(file, "utf8")) ?? []
  return text?.replace(/^ *\* ?/gm, "").trim()
}

/** Whether a module is that of a source. */
const isOf = (module: Reflection, source: string): boolean =>
  module.isDeclaration() &&
  (module.sources ?? []).some(({ fullFileName }) => normalizePath(fullFileName) === at(source))
