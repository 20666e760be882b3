/** A network as PyTorch code that people read, where the author of a space gives it. Elsewhere one is made from the graph, op by op. */
import type * as Result from "effect/Result"

/** What stands in a Python file that builds one network. */
export interface PyTorchForm {
  /** Classes and functions that the network is made of, each after what it needs. `torch`, `nn` and `F` (`torch.nn.functional`) are imported. */
  readonly definitions: ReadonlyArray<string>
  /** The name of the network's class: a `nn.Module` made without arguments, whose `forward` takes the model's inputs in order and gives its outputs in order. */
  readonly className: string
  /** Its source. Its parameters and buffers have the model's names. */
  readonly network: string
}

/** The form of a point's network, or why there is none. */
export type PyTorch<in A> = (point: A) => Result.Result<PyTorchForm, { readonly message: string }>
