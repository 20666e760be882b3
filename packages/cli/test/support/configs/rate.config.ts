/** A learning rate with a typo. */
import { Recipe } from "@uninet/model-space"
import { defineConfig } from "@uninet/search"

export default defineConfig({ recipe: { ...Recipe.proxy, learningRate: 1e308 } })
