/** Public functions have one calling convention: what they work on is the last argument, on its own. */
import { assert, describe, it } from "@effect/vitest"
import { readdirSync, readFileSync } from "node:fs"
import { parseAst } from "rolldown/parseAst"

const packages = new URL("../../packages/", import.meta.url)

/** Types for which functions need not take one last, and the reason. */
const types: Readonly<Record<string, string>> = {
  Costs: "formulas: plus(a, b)",
  Expression: "formulas: add(x, y)",
  Prng: "what chance is drawn from is not what is worked on",
  Shape: "formulas: equals(a, b)",
  Target: "asked by every rule of a compiler for every op",
  Tensor: "formulas: add(x, y)",
  View: "formulas: transpose(x, permutation)"
}

/** Functions that take something similar first, and the reason. */
const functions: Readonly<Record<string, ReadonlyArray<string>>> = {
  "what they are given, or give, has the types of the space, which TypeScript has to know first": [
    "CoefficientSearch.candidates",
    "CoefficientSearch.run",
    "Compound.family",
    "Compound.member",
    "Compound.published",
    "Compound.toMacs",
    "Evaluator.fromFunction",
    "Evaluator.fromTable",
    "Finals.run",
    "Inherit.weights",
    "Search.events",
    "Search.identity",
    "Search.rewarded",
    "Search.run"
  ],
  "what they work on is another thing, and comes last": [
    "CostModel.costOf",
    "Device.chain",
    "Device.latency",
    "Format.files",
    "Predictor.ofOperations",
    "Predictor.predict",
    "Rewrite.apply"
  ],
  "a closure for each call would cost: they are called for every op, or for every choice of every point that is drawn":
    ["Op.dispatch", "Site.another", "Site.at", "Site.exists", "Site.nearby", "Site.position"],
  "they make something of parts": [
    "Choice.repeat",
    "Definition.apply",
    "Distillation.loss",
    "Layer.fail",
    "Network.stage",
    "NetworkCosts.byProgram",
    "Parameter.parameter",
    "Regularisation.noise",
    "TrainingProgram.all"
  ],
  "they make layers, which take a tensor": [
    "Network.block",
    "Network.forward",
    "Network.head",
    "Network.stem",
    "Regularisation.dropout",
    "Regularisation.stochasticDepth"
  ]
}

interface Node {
  readonly type: string
  readonly [key: string]: unknown
}

const isNode = (value: unknown): value is Node =>
  typeof value === "object" && value !== null && "type" in value && typeof value.type === "string"

const nodesOf = (value: unknown): ReadonlyArray<Node> => (Array.isArray(value) ? value.filter(isNode) : [])

const nameOf = (value: unknown): string => {
  if (!isNode(value)) return ""
  return value.type === "TSQualifiedName" ? nameOf(value["right"]) : String(value["name"] ?? "")
}

const statements = (text: string): ReadonlyArray<Node> => nodesOf(parseAst(text, { lang: "ts" }).body)

/** A module as its users call it. */
interface Module {
  readonly name: string
  /** What it exports. */
  readonly declarations: ReadonlyArray<Node>
}

const moduleOf = (name: string, text: string): Module => ({
  name,
  declarations: statements(text).flatMap(({ declaration, type }) =>
    type === "ExportNamedDeclaration" && isNode(declaration) ? [declaration] : []
  )
})

/**
 * The modules of a package: `export * as Name from "./Name.ts"`. `Op` (formulas) and `Nn` (layers), which collect functions from other
 * files, are not checked.
 */
const modulesOf = (name: string): ReadonlyArray<Module> => {
  const index = new URL(`${name}/src/index.ts`, packages)
  return statements(readFileSync(index, "utf8")).flatMap(({ exported, source, type }) =>
    type === "ExportAllDeclaration" && isNode(exported) && isNode(source)
      ? [moduleOf(nameOf(exported), readFileSync(new URL(String(source["value"]), index), "utf8"))]
      : []
  )
}

/** Whether a module has a type with its own name. */
const hasType = ({ declarations, name }: Module): boolean =>
  declarations.some(
    ({ id, type }) => /^(?:TSInterface|TSTypeAlias|Class)Declaration$/.test(type) && nameOf(id) === name
  )

const isFunction = (value: unknown): value is Node =>
  isNode(value) && /^(?:ArrowFunctionExpression|FunctionExpression|FunctionDeclaration)$/.test(value.type)

/** Whether it is `Effect.fn`, `Effect.fn("name")` or `Effect.fnUntraced`. */
const isEffectFn = (value: unknown): boolean =>
  isNode(value) &&
  (value.type === "CallExpression" ? isEffectFn(value["callee"]) : /^fn(?:Untraced)?$/.test(nameOf(value["property"])))

/** The function in a value: the value itself, or the argument of `Effect.fn`. */
const functionIn = (value: unknown): Node | undefined => {
  if (isFunction(value)) return value
  return isNode(value) && value.type === "CallExpression" && isEffectFn(value["callee"])
    ? nodesOf(value["arguments"]).find(isFunction)
    : undefined
}

/** The name of a parameter's type; for `Pick<Type, …>`, the name of the inner type. */
const typeOf = (parameter: Node): string => {
  const { typeAnnotation } = isNode(parameter["left"]) ? parameter["left"] : parameter
  const type = isNode(typeAnnotation) ? typeAnnotation["typeAnnotation"] : undefined
  if (!isNode(type) || type.type !== "TSTypeReference") return ""
  const name = nameOf(type["typeName"])
  const [picked] = isNode(type["typeArguments"]) ? nodesOf(type["typeArguments"]["params"]) : []
  return name === "Pick" && picked !== undefined ? nameOf(picked["typeName"]) : name
}

/** The types of a function's arguments, one list per pair of parentheses. */
const given = ({ body, params }: Node): ReadonlyArray<ReadonlyArray<string>> => {
  const behind = functionIn(body)
  return [nodesOf(params).map(typeOf), ...(behind === undefined ? [] : given(behind))]
}

/**
 * Functions of a module that take the module's own type first, or a second value of that type, with something next to or after it.
 * Functions that build something from named parts are excluded.
 */
const first =
  (subjects: ReadonlySet<string>) =>
  (module: Module): ReadonlyArray<string> =>
    module.declarations
      .flatMap((each) => (each.type === "VariableDeclaration" ? nodesOf(each["declarations"]) : [each]))
      .flatMap(({ id, init, ...declaration }) => {
        const found = functionIn(init ?? declaration)
        if (found === undefined || /^(?:make|layer)$/.test(nameOf(id))) return []
        const [[type = "", ...beside] = [], ...behind] = given(found)
        const isFirst = behind.length === 0 ? beside.length > 0 : type === module.name
        return isFirst && subjects.has(type) ? [`${module.name}.${nameOf(id)}`] : []
      })

describe("public functions", () => {
  const modules = readdirSync(packages).flatMap(modulesOf)
  const subjects = new Set(
    modules
      .filter(hasType)
      .map(({ name }) => name)
      .filter((name) => !Object.hasOwn(types, name))
  )

  it("take last, alone, what they work on", () => {
    assert.deepStrictEqual(new Set(modules.flatMap(first(subjects))), new Set(Object.values(functions).flat()))
  })

  // Checks the check above: what it would miss.
  it("are looked at", () => {
    const text = `
      export interface Table { readonly size: number }
      export const column = (table: Table, name: string) => name
      export const text = ({ size }: Pick<Table, "size">) => (row: number) => row
      export const read = Effect.fn("read")(function* (table: Table, path = "") {})
      export function write(table: Other.Table, path: string) {}
      export const open = (path: string) => Effect.fnUntraced(function* (table: Table) {})
      export const rows = (path: string) => (table: Table) => path
      export const size = (table: Table) => table.size
      export const add = (a: Tensor, b: Tensor) => a`
    assert.deepStrictEqual(first(new Set(["Table"]))(moduleOf("Table", text)), [
      "Table.column",
      "Table.text",
      "Table.read",
      "Table.write"
    ])
    assert.isTrue(subjects.has("ModelSpace"))
  })
})
