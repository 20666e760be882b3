/**
 * ONNX Runtime as the published packages install it. The npm package `onnxruntime-node` has the libraries of all platforms (290 MB). On
 * Linux, its install script downloads CUDA's from elsewhere, and fails the whole installation if it cannot. So its files are published
 * again, unchanged, in the way of esbuild and sharp: one package of JavaScript, and one for each platform that is installed only there. The
 * packages' dependency on `onnxruntime-node` is an alias of the first (`published.mjs`), so programs still use that name.
 */
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs"
import { createRequire } from "node:module"
import { dirname, join } from "node:path"
import { engineName, engines, home } from "../published.mjs"

/** Where the version in the lock file was installed. */
const source = dirname(createRequire(import.meta.url).resolve("onnxruntime-node/package.json"))

interface Manifest {
  readonly version: string
  readonly dependencies: Readonly<Record<string, string>>
}

const license = `MIT License

Copyright (c) Microsoft Corporation

Permission is hereby granted, free of charge, to any person obtaining a copy
of this software and associated documentation files (the "Software"), to deal
in the Software without restriction, including without limitation the rights
to use, copy, modify, merge, publish, distribute, sublicense, and/or sell
copies of the Software, and to permit persons to whom the Software is
furnished to do so, subject to the following conditions:

The above copyright notice and this permission notice shall be included in all
copies or substantial portions of the Software.

THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR
IMPLIED, INCLUDING BUT NOT LIMITED TO THE WARRANTIES OF MERCHANTABILITY,
FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO EVENT SHALL THE
AUTHORS OR COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM, DAMAGES OR OTHER
LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR OTHERWISE, ARISING FROM,
OUT OF OR IN CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE
SOFTWARE.
`

/** The line of JavaScript that loads the library, and its replacement when the library has its own package. */
const loads = "require(`../bin/napi-v6/${process.platform}/${process.arch}/onnxruntime_binding.node`);"
const loadsPackage = `(() => {
    const name = \`${engineName}-\${process.platform}-\${process.arch}\`;
    try {
        return require(\`\${name}/bin/napi-v6/\${process.platform}/\${process.arch}/onnxruntime_binding.node\`);
    }
    catch (cause) {
        if (cause.code !== "MODULE_NOT_FOUND") throw cause;
        throw new Error(\`ONNX Runtime's library is missing: install \${name}, or install again without --omit=optional; there are libraries for ${"${known}"}\`);
    }
})();`

/** Writes the packages' folders into `to`, and returns their paths: JavaScript last, because the others have to be published before it. */
export const write = (to: string): ReadonlyArray<string> => {
  const own: Manifest = JSON.parse(readFileSync(join(source, "package.json"), "utf8"))
  const { version } = own
  const bin = join("bin", "napi-v6")
  const platforms = readdirSync(join(source, bin)).flatMap((os) =>
    readdirSync(join(source, bin, os)).map((cpu) => ({ os, cpu, name: `${engineName}-${os}-${cpu}` }))
  )
  const folder = (name: string, description: string, rest: object, about: string): string => {
    const path = join(to, name.replace(/^@(.*)\//, "$1-"))
    mkdirSync(path, { recursive: true })
    const manifest = {
      name,
      version,
      description,
      keywords: ["onnx", "onnxruntime"],
      homepage: `${home}/blob/main/tools/src/Engine.ts`,
      bugs: { url: `${home}/issues` },
      license: "MIT",
      type: "commonjs",
      repository: { type: "git", url: `git+${home}.git` },
      engines,
      ...rest
    }
    writeFileSync(join(path, "package.json"), `${JSON.stringify(manifest, null, 2)}\n`)
    writeFileSync(join(path, "LICENSE"), license)
    writeFileSync(
      join(path, "README.md"),
      `# ${name}\n\n${about}\n\nThe files are those of [onnxruntime-node ${version}](https://www.npmjs.com/package/onnxruntime-node/v/${version}), made by Microsoft from [onnxruntime](https://github.com/microsoft/onnxruntime).\n`
    )
    return path
  }

  // Only what can be loaded: a folder of files has no entry.
  const exports = { "./bin/*": "./bin/*", "./package.json": "./package.json" }
  const libraries = platforms.map(({ cpu, name, os }) => {
    // CUDA's provider is only downloaded for Linux on x64, by the script that is run by hand.
    const hasScript = os === "linux" && cpu === "x64"
    const { "adm-zip": zip, "global-agent": agent } = own.dependencies
    const path = folder(
      name,
      `ONNX Runtime's library for ${os} on ${cpu}`,
      {
        os: [os],
        cpu: [cpu],
        exports,
        ...(hasScript ? { dependencies: { "adm-zip": zip, "global-agent": agent } } : {})
      },
      `ONNX Runtime's library for ${os} on ${cpu}, which \`${engineName}\` loads.${hasScript ? " `ONNXRUNTIME_NODE_INSTALL=cuda12 node script/install.js` in its folder downloads the provider for CUDA." : ""}`
    )
    cpSync(join(source, bin, os, cpu), join(path, bin, os, cpu), { recursive: true })
    if (hasScript) cpSync(join(source, "script"), join(path, "script"), { recursive: true })
    return path
  })

  const javaScript = folder(
    engineName,
    "ONNX Runtime for Node, without a script at its installation and with one platform's library",
    {
      main: "./dist/index.js",
      types: "./dist/index.d.ts",
      dependencies: { "onnxruntime-common": own.dependencies["onnxruntime-common"] },
      optionalDependencies: Object.fromEntries(platforms.map(({ name }) => [name, version]))
    },
    "ONNX Runtime for Node. Its installation runs no script and needs nothing but the npm registry; the library of the machine's platform comes in a package of its own."
  )
  cpSync(join(source, "dist"), join(javaScript, "dist"), {
    recursive: true,
    filter: (path) => !path.endsWith(".map")
  })
  const binding = join(javaScript, "dist", "binding.js")
  const text = readFileSync(binding, "utf8")
  const known = platforms.map(({ cpu, os }) => `${os} on ${cpu}`).join(", ")
  if (!text.includes(loads) || !existsSync(join(source, bin)))
    throw new Error(
      `onnxruntime-node ${version} loads its library otherwise than 1.30.0 did: see to tools/src/Engine.ts`
    )
  writeFileSync(
    binding,
    text.replace(loads, () => loadsPackage.replace("${known}", known))
  )
  return [...libraries, javaScript]
}
