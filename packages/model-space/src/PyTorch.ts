/** A network as readable PyTorch code, if the author of a space provides it. Otherwise the code is generated from the graph, op by op. */
import type * as Result from "effect/Result"

/** The contents of a Python file that builds one network. */
export interface PyTorchForm {
  /** Classes and functions that the network is made of, in order of dependence. `torch`, `nn` and `F` (`torch.nn.functional`) are imported. */
  readonly definitions: ReadonlyArray<string>
  /** The name of the network's class: an `nn.Module` made without arguments, whose `forward` takes the model's inputs in order and gives its outputs in order. */
  readonly className: string
  /** The source of that class. Its parameters and buffers have the model's names. */
  readonly network: string
}

/** The PyTorch form of a point's network, or why there is none. */
export type PyTorch<in A> = (point: A) => Result.Result<PyTorchForm, { readonly message: string }>
