import { entropies } from "../internal/entropies.ts"
import * as Proxy from "../Proxy.ts"

/**
 * AZ-NAS's expressivity: the sum over blocks of the entropy of the features' principal components, −Σ pᵢ log pᵢ, where pᵢ are the eigenvalues of their covariance as shares of its trace.
 *
 * **Source.** J. Lee and B. Ham, "AZ-NAS: Assembling Zero-Cost Proxies for Network Architecture Search", CVPR 2024 (arXiv 2403.19232), equation 2. **Assumes** feature maps between blocks; no labels.
 */
export const expressivity = Proxy.make({
  name: "expressivity",
  source: "Lee and Ham, CVPR 2024",
  assumes: "feature maps between blocks",
  lay: entropies("expressivity", 1, (each) => each.reduce((a, b) => a + b, 0))
})
