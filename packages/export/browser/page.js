/** The page: a model, an image, and the model's classification of it. `?model=…&image=…` loads both. */
import { classify, draw, open, rasterOf } from "./uninet.js"

const at = (id) => document.getElementById(id)
let model
let picture

const show = async () => {
  if (model === undefined || picture === undefined) return
  const rows = await classify(model, picture, { invert: at("invert").checked })
  at("result").replaceChildren(
    ...rows.slice(0, 5).map(({ label, probability }) => {
      const row = document.createElement("tr")
      const bar = document.createElement("meter")
      bar.value = probability
      for (const content of [label, bar, `${(100 * probability).toFixed(1)}%`]) row.insertCell().append(content)
      return row
    })
  )
}

const useModel = async (bytes) => {
  model = await open(bytes)
  const { image, classes } = model.card
  const { run = "", dataset = "" } = model.metadata
  at("about").textContent =
    `${run} ${dataset}: ${image.channels}×${image.height}×${image.width} images, ${classes.length} classes`.trim()
  await show()
}

const useImage = async (blob) => {
  picture = await rasterOf(blob)
  draw(at("shown"), picture)
  at("shown").hidden = false
  await show()
}

/** Shows errors on the page. */
const said = (action) => (value) => {
  at("error").textContent = ""
  return action(value).catch((error) => {
    at("error").textContent = error.message
  })
}

const bytesOf = async (blob) => new Uint8Array(await blob.arrayBuffer())
const fetched = async (url) => {
  const response = await fetch(url)
  if (!response.ok) throw new Error(`${url} could not be loaded (${response.status}).`)
  return response.blob()
}

at("model").addEventListener("change", ({ target }) =>
  said(async (file) => useModel(await bytesOf(file)))(target.files[0])
)
at("image").addEventListener("change", ({ target }) => said(useImage)(target.files[0]))
at("invert").addEventListener("change", () => said(show)())

const asked = new URLSearchParams(location.search)
if (asked.has("model")) await said(async (url) => useModel(await bytesOf(await fetched(url))))(asked.get("model"))
if (asked.has("image")) await said(async (url) => useImage(await fetched(url)))(asked.get("image"))
document.body.dataset.ready = "yes"
