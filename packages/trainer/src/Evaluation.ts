/** How well a network does on a split, counted image by image, so that batches make no difference. */

/** The figures that a training follows. */
export interface Score {
  /** Share of images whose most likely class is theirs. */
  readonly top1: number
  /** Share of images whose class is among the five most likely (all, where there are five or fewer). */
  readonly top5: number
  /** Mean cross entropy, without label smoothing. */
  readonly loss: number
  readonly images: number
}

/** Everything that is said of a trained network. */
export interface Evaluation extends Score {
  /** `confusion[c][k]`: images of class `c` that were taken for class `k`. */
  readonly confusion: ReadonlyArray<ReadonlyArray<number>>
  /**
   * Expected calibration error (Guo et al. 2017): how far the share of correct answers is from their mean probability, over 15 bins of equal width,
   * weighted by the images in each.
   */
  readonly calibrationError: number
}

const bins = 15

/** Where a label stands among logits: 0 for the most likely class. Of equal logits the first class goes before. */
const rankOf = (logits: ArrayLike<number>, from: number, classes: number, label: number): number => {
  const own = logits[from + label]
  let rank = 0
  for (let k = 0; k < classes; k++) {
    const other = logits[from + k]
    if (other > own || (other === own && k < label)) rank++
  }
  return rank
}

/** The numbers of images among the first `labels.length` rows of logits whose own class is the most likely one, or among the first five. */
export const correct = (
  logits: ArrayLike<number>,
  labels: Int32Array,
  classes: number
): { readonly top1: number; readonly top5: number } => {
  let top1 = 0
  let top5 = 0
  for (let i = 0; i < labels.length; i++) {
    const rank = rankOf(logits, i * classes, classes, labels[i])
    if (rank === 0) top1++
    if (rank < 5) top5++
  }
  return { top1, top5 }
}

/** Adds up an evaluation. */
export interface Tally {
  /** Counts images: logits `[≥ labels.length, classes]`, row by row; rows beyond the labels are left out. */
  readonly add: (logits: ArrayLike<number>, labels: Int32Array) => void
  readonly score: () => Score
  readonly evaluation: () => Evaluation
}

/**
 * An empty tally. Of no images every figure is 0.
 *
 * @example
 * const tally = Evaluation.tally(10)
 * tally.add(logits, labels)
 * tally.score().top1
 */
export const tally = (classes: number): Tally => {
  const confusion = Array.from({ length: classes }, () => Array.from({ length: classes }, () => 0))
  const binned = Array.from({ length: bins }, () => ({ confidence: 0, correct: 0 }))
  let images = 0
  let top1 = 0
  let top5 = 0
  let loss = 0
  const mean = (sum: number) => (images === 0 ? 0 : sum / images)
  const score = (): Score => ({ top1: mean(top1), top5: mean(top5), loss: mean(loss), images })
  return {
    add: (logits, labels) => {
      for (let i = 0; i < labels.length; i++) {
        const from = i * classes
        const label = labels[i]
        let best = 0
        for (let k = 1; k < classes; k++) if (logits[from + k] > logits[from + best]) best = k
        let sum = 0
        for (let k = 0; k < classes; k++) sum += Math.exp(logits[from + k] - logits[from + best])
        const rank = rankOf(logits, from, classes, label)
        images++
        if (best === label) top1++
        if (rank < 5) top5++
        loss += Math.log(sum) + logits[from + best] - logits[from + label]
        confusion[label][best]++
        const confidence = 1 / sum
        const bin = binned[Math.min(bins - 1, Math.floor(confidence * bins))]
        // Not where the logits are no numbers: then no class is likely.
        if (bin === undefined) continue
        bin.confidence += confidence
        if (best === label) bin.correct++
      }
    },
    score,
    evaluation: () => ({
      ...score(),
      confusion: confusion.map((row) => [...row]),
      calibrationError: mean(binned.reduce((sum, bin) => sum + Math.abs(bin.correct - bin.confidence), 0))
    })
  }
}
