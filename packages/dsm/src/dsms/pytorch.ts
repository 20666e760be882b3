/** PyTorch versions of UniNet's downsampling modules, as Python source: classes with the modules' names. */
import { PyTorch as layers } from "@uninet/nn"
import type { PyTorchBlock } from "../Dsm.ts"

const stridedShortcut = `def strided_shortcut(inputs, outputs, stride):
    """The shortcut of a downsampling module: 3x3 max pooling (left out at stride 1) and a 1x1 convolution."""
    pool = [nn.MaxPool2d(3, stride, 1)] if stride > 1 else []
    return nn.Sequential(*pool, nn.Conv2d(inputs, outputs, 1))`

const local = `def local(inputs, outputs, stride):
    """A strided depthwise 3x3 convolution, batch norm and a 1x1 convolution."""
    return nn.Sequential(
        nn.Conv2d(inputs, inputs, 3, stride, 1, groups=inputs),
        nn.BatchNorm2d(inputs),
        nn.Conv2d(inputs, outputs, 1),
    )`

export const L: PyTorchBlock = {
  definitions: [
    local,
    stridedShortcut,
    `class L(nn.Module):
    """The local downsampling module."""

    def __init__(self, inputs, outputs, stride):
        super().__init__()
        self.downsample = local(inputs, outputs, stride)
        self.residual = strided_shortcut(inputs, outputs, stride)

    def forward(self, x):
        return self.residual(x) + self.downsample(x)`
  ],
  expression: ({ channels, inChannels, stride }) => `L(${inChannels}, ${channels}, stride=${stride})`
}

const attending = (name: string, definitions: ReadonlyArray<string>): PyTorchBlock => ({
  definitions,
  expression: ({ channels, headDim, inChannels, stride }) =>
    `${name}(${inChannels}, ${channels}, stride=${stride}, head_dim=${headDim})`
})

const localGlobal = [
  layers.attend,
  local,
  stridedShortcut,
  `class LG(nn.Module):
    """The local-global downsampling module: queries from the local branch attend to every position of the input."""

    def __init__(self, inputs, outputs, stride, head_dim):
        super().__init__()
        self.stride, self.head_dim = stride, head_dim
        self.q = local(inputs, outputs, stride)
        self.q_norm = nn.LayerNorm(outputs)
        self.kv_norm = nn.LayerNorm(inputs)
        self.kv = nn.Linear(inputs, 2 * outputs)
        self.proj = nn.Linear(outputs, outputs)
        self.residual = strided_shortcut(inputs, outputs, stride)

    def query(self, x):
        return self.q(x)

    def forward(self, x):
        shortcut = self.residual(x)
        query = self.q_norm(self.query(x).flatten(2).transpose(1, 2))
        key, value = self.kv(self.kv_norm(x.flatten(2).transpose(1, 2))).chunk(2, -1)
        tokens = self.proj(attend(query, key, value, self.head_dim))
        return shortcut + tokens.transpose(1, 2).reshape(shortcut.shape)`
]

export const LG: PyTorchBlock = attending("LG", localGlobal)

export const G: PyTorchBlock = attending("G", [
  ...localGlobal,
  `class G(LG):
    """The global downsampling module: like LG, but its queries come from a convolution along the row-major sequence of positions."""

    def __init__(self, inputs, outputs, stride, head_dim):
        super().__init__(inputs, outputs, stride, head_dim)
        kernel, padding = (stride**2, 0) if stride > 1 else (3, 1)
        self.q[0] = nn.Conv2d(inputs, inputs, (1, kernel), (1, stride**2), (0, padding), groups=inputs)

    def query(self, x):
        length = self.stride**2
        for size in x.shape[2:]:
            length *= -(-size // self.stride)
        line = x.flatten(2).unsqueeze(2)
        return self.q(F.pad(line, (0, length - line.shape[3])))`
])
