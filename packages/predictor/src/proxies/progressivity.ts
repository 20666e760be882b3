import { entropies } from "../internal/entropies.ts"
import * as Proxy from "../Proxy.ts"

/**
 * AZ-NAS's progressivity: the smallest gain in the entropy of the features (`expressivity`) from one block to the next.
 *
 * **Source.** J. Lee and B. Ham, "AZ-NAS: Assembling Zero-Cost Proxies for Network Architecture Search", CVPR 2024 (arXiv 2403.19232), equation 3. **Assumes** two blocks or more.
 */
export const progressivity = Proxy.make({
  name: "progressivity",
  source: "Lee and Ham, CVPR 2024",
  assumes: "feature maps between two or more blocks",
  lay: entropies("progressivity", 2, (each) => Math.min(...each.slice(1).map((entropy, i) => entropy - (each[i] ?? 0))))
})
