/** A learning rate that is a slip of the pen. */
import { Recipe } from "@uninet/model-space"
import { defineConfig } from "@uninet/search"

export default defineConfig({ recipe: { ...Recipe.proxy, learningRate: 1e308 } })
