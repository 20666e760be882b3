/**
 * What the comments of public exports say, as far as a tool can see it: that there is one; that the comment of a function that makes tensors says their shapes; that every
 * field that is a number has a comment, in which its unit stands. Which errors there are stands in the type, and what each means in its own comment, from which the
 * pages take it. A tool cannot see whether a sentence is true: examples are there for that, and they are run.
 */
import {
  type CommentDisplayPart,
  type DeclarationReflection,
  type ProjectReflection,
  type Reflection,
  ReflectionKind,
  type SignatureReflection,
  type SomeType
} from "typedoc"
import * as Examples from "../../tools/src/Examples.ts"

/** A public export. */
export interface Export {
  /** As a user says it: `@uninet/search-space Space.sample`. */
  readonly name: string
  readonly module: string
  readonly reflection: DeclarationReflection
  /** What is called, where it is a function. */
  readonly signatures: ReadonlyArray<SignatureReflection>
  /** What its own comments say, before anything is shown with them. */
  readonly words: string
  /** Whether its own comment has an example, before others' are shown with it. */
  readonly hasOwnExample: boolean
}

/** A type that a call gives in the end, behind what it is given first: `f(a)(space)`. */
const signaturesOf = (reflection: DeclarationReflection): ReadonlyArray<SignatureReflection> => {
  if (reflection.signatures !== undefined) return reflection.signatures
  const { type } = reflection
  return type?.type === "reflection" ? (type.declaration.signatures ?? []) : []
}

/** Every public export, modules of their own (`export * as`) among them. */
export const exportsOf = (project: ProjectReflection): ReadonlyArray<Export> => {
  const found: Array<Export> = []
  const visit = (parent: DeclarationReflection, module: string, prefix: string) => {
    for (const child of parent.children ?? []) {
      if (child.variant === "reference") continue
      const name = `${prefix}${child.name}`
      const signatures = signaturesOf(child)
      found.push({
        name,
        module,
        reflection: child,
        signatures,
        words: wordsOf(child, signatures),
        hasOwnExample: hasExample([child, ...signatures])
      })
      if (child.kindOf(ReflectionKind.Namespace)) visit(child, module, `${name}.`)
    }
  }
  for (const module of project.children ?? []) if (module.kindOf(ReflectionKind.Module)) visit(module, module.name, "")
  return found
}

const said = (parts: ReadonlyArray<CommentDisplayPart> | undefined): string =>
  (parts ?? []).map(({ text }) => text).join("")

/** A comment's words, its tags' among them. */
const textOf = (reflection: Reflection | undefined): string =>
  reflection?.comment === undefined
    ? ""
    : [said(reflection.comment.summary), ...reflection.comment.blockTags.map(({ content }) => said(content))].join("\n")

/** What is said of an export: by itself, or by its signatures and their parameters. */
const wordsOf = (reflection: DeclarationReflection, signatures: ReadonlyArray<SignatureReflection>): string =>
  [reflection, ...signatures, ...signatures.flatMap(({ parameters = [] }) => parameters)].map(textOf).join("\n").trim()

/** The types that a type is made of, itself among them, without what its members are. */
const within = (type: SomeType | undefined): ReadonlyArray<SomeType> => {
  if (type === undefined) return []
  switch (type.type) {
    case "union":
    case "intersection":
      return [type, ...type.types.flatMap(within)]
    case "array":
      return [type, ...within(type.elementType)]
    case "reference":
      return [type, ...(type.typeArguments ?? []).flatMap(within)]
    case "reflection":
      return [type, ...(type.declaration.signatures ?? []).flatMap((signature) => within(signature.type))]
    default:
      return [type]
  }
}

/** The names of the errors that the Effects, Layers and Results fail with that a function gives. */
export const errorsOf = ({ reflection, signatures }: Export): ReadonlyArray<string> => {
  const types = signatures.length > 0 ? signatures.map(({ type }) => type) : [reflection.type]
  const names = types.flatMap(within).flatMap((type) => {
    if (type.type !== "reference" || !/(^|\.)(Effect|Result|Layer|Stream)$/.test(type.name)) return []
    return within(type.typeArguments?.[1]).flatMap((error) =>
      error.type === "reference" && !error.refersToTypeParameter ? [error.name.replace(/^.*\./, "")] : []
    )
  })
  return [...new Set(names)]
}

/** Whether a function makes tensors of the graph. */
const makesTensors = ({ signatures }: Export): boolean =>
  signatures
    .flatMap(({ type }) => within(type))
    .some((type) => type.type === "reference" && /^(Tensor\.)?Tensor$/.test(type.name))

/** The first sentence of a comment. */
export const firstSentence = (reflection: Reflection): string =>
  /^[^]*?[.:](?=\s|$)/.exec(textOf(reflection).trim())?.[0].replace(/:$/, ".").replaceAll(/\s+/g, " ") ??
  "no words yet."

/** How a shape is said. */
const shape = /\bshapes?\b|\[[^\]]*\]|\bscalar\b|\brank\b|element by element|\baxis\b|\baxes\b|×/i

const isNumber = (type: SomeType | undefined): boolean => type?.type === "intrinsic" && type.name === "number"

/** The fields of an interface or an object's type. */
const fieldsOf = ({ reflection }: Export): ReadonlyArray<DeclarationReflection> => {
  if (reflection.kindOf(ReflectionKind.Interface)) return reflection.children ?? []
  const { type } = reflection
  return reflection.kindOf(ReflectionKind.TypeAlias) && type?.type === "reflection"
    ? (type.declaration.children ?? [])
    : []
}

/** The examples that are run, as they stand in the text. */
const ran = new Set(
  Examples.all()
    .filter(({ isLong }) => !isLong)
    .map(({ code }) => code.trim())
)

/** Whether comments have an example that is run: what stands in a tag without a fence is none. */
const hasExample = (reflections: ReadonlyArray<Reflection>): boolean =>
  reflections.some((reflection) =>
    [...textOf(reflection).matchAll(/```ts\n([^]*?)```/g)].some(([, code = ""]) => ran.has(code.trim()))
  )

/** Whether the page of an export shows an example that is run. */
export const isShown = ({ reflection, signatures }: Export): boolean => hasExample([reflection, ...signatures])

export const isFunction = ({ reflection, signatures }: Export): boolean =>
  reflection.kindOf([ReflectionKind.Function, ReflectionKind.Variable]) && signatures.length > 0

/** What is missing, a line each. */
export const missing = (exports: ReadonlyArray<Export>): ReadonlyArray<string> =>
  exports.flatMap((one) => {
    const text = one.words
    const at = `${one.module} ${one.name}`
    if (text === "") return [`${at}: no comment`]
    return [
      ...(isFunction(one) && makesTensors(one) && !shape.test(text)
        ? [`${at}: does not say the shape of what it makes`]
        : []),
      ...fieldsOf(one)
        .filter(({ type }) => isNumber(type))
        .filter((field) => textOf(field) === "")
        .map(({ name }) => `${at}.${name}: a number without a comment`)
    ]
  })
