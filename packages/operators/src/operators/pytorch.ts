/** PyTorch versions of UniNet's operators, as Python source: classes with the operators' names. */
import { Nn, PyTorch as layers } from "@uninet/nn"
import { hidden, type PyTorchBlock } from "../Operator.ts"

const shortcut = `def shortcut(inputs, outputs):
    """The shortcut of a block: its input or, where the channels change, 3x3 max pooling and a 1x1 convolution of it."""
    if inputs == outputs:
        return nn.Identity()
    return nn.Sequential(nn.MaxPool2d(3, 1, 1), nn.Conv2d(inputs, outputs, 1))`

const convolutional = (name: string, source: string): PyTorchBlock => ({
  definitions: [layers.squeezeExcitation, shortcut, source],
  expression: (config) => {
    const inner = hidden(config)
    return `${name}(${config.inChannels}, ${config.channels}, hidden=${inner}, squeezed=${Nn.squeezeChannels(inner)})`
  }
})

export const Conv: PyTorchBlock = convolutional(
  "Conv",
  `class Conv(nn.Module):
    """FusedMBConv: a full 3x3 convolution to the hidden channels and a 1x1 convolution back."""

    def __init__(self, inputs, outputs, hidden, squeezed):
        super().__init__()
        self.norm1 = nn.BatchNorm2d(inputs)
        self.conv = nn.Conv2d(inputs, hidden, 3, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(hidden)
        self.act = nn.GELU()
        self.se = SqueezeExcitation(hidden, squeezed)
        self.project = nn.Conv2d(hidden, outputs, 1)
        self.norm3 = nn.BatchNorm2d(outputs)
        self.residual = shortcut(inputs, outputs)

    def forward(self, x):
        y = self.act(self.norm2(self.conv(self.norm1(x))))
        return self.residual(x) + self.norm3(self.project(self.se(y)))`
)

export const DWConv: PyTorchBlock = convolutional(
  "DWConv",
  `class DWConv(nn.Module):
    """Pre-norm MBConv: 1x1 to the hidden channels, depthwise 3x3, 1x1 back."""

    def __init__(self, inputs, outputs, hidden, squeezed):
        super().__init__()
        self.b1 = nn.Identity()
        if hidden != inputs:
            self.b1 = nn.Sequential(
                nn.BatchNorm2d(inputs),
                nn.Conv2d(inputs, hidden, 1, bias=False),
                nn.BatchNorm2d(hidden),
                nn.GELU(),
            )
        self.b2 = nn.Sequential(
            nn.Conv2d(hidden, hidden, 3, padding=1, groups=hidden, bias=False),
            nn.BatchNorm2d(hidden),
            nn.GELU(),
            SqueezeExcitation(hidden, squeezed),
            nn.Conv2d(hidden, outputs, 1),
            nn.BatchNorm2d(outputs),
        )
        self.residual = shortcut(inputs, outputs)

    def forward(self, x):
        return self.residual(x) + self.b2(self.b1(x))`
)

const transformer = (name: string, definitions: ReadonlyArray<string>): PyTorchBlock => ({
  definitions,
  expression: (config) => `${name}(${config.channels}, hidden=${hidden(config)}, head_dim=${config.headDim})`
})

const attentive = [
  layers.attend,
  layers.selfAttention,
  layers.feedForward,
  `class SA(nn.Module):
    """Transformer block with a depthwise convolution as position encoding and LayerScale."""

    attention = SelfAttention

    def __init__(self, channels, hidden, head_dim):
        super().__init__()
        self.pos_embed = nn.Conv2d(channels, channels, 3, padding=1, groups=channels)
        self.norm1 = nn.LayerNorm(channels)
        self.attn = self.attention(channels, head_dim)
        self.gamma_1 = nn.Parameter(torch.full((channels,), 1e-6))
        self.norm2 = nn.LayerNorm(channels)
        self.mlp = FeedForward(channels, hidden)
        self.gamma_2 = nn.Parameter(torch.full((channels,), 1e-6))

    def forward(self, x):
        x = x + self.pos_embed(x)
        tokens = x.flatten(2).transpose(1, 2)
        tokens = tokens + self.gamma_1 * self.attn(self.norm1(tokens), *x.shape[2:])
        tokens = tokens + self.gamma_2 * self.mlp(self.norm2(tokens))
        return tokens.transpose(1, 2).reshape(x.shape)`
]

export const SA: PyTorchBlock = transformer("SA", attentive)

export const LSA: PyTorchBlock = transformer("LSA", [
  ...attentive,
  layers.windowAttention,
  `class LSA(SA):
    """Transformer block with attention inside windows."""

    attention = WindowAttention`
])

export const MLP: PyTorchBlock = {
  definitions: [
    layers.feedForward,
    `class MLP(nn.Module):
    """MLP-Mixer's block: a feed-forward network over the tokens of each channel, then one over the channels of each token."""

    def __init__(self, channels, hidden, tokens):
        super().__init__()
        self.norm1 = nn.LayerNorm(channels)
        self.mix = FeedForward(tokens, 2 * tokens)
        self.gamma_1 = nn.Parameter(torch.full((channels,), 1e-6))
        self.norm2 = nn.LayerNorm(channels)
        self.mlp = FeedForward(channels, hidden)
        self.gamma_2 = nn.Parameter(torch.full((channels,), 1e-6))

    def forward(self, x):
        tokens = x.flatten(2).transpose(1, 2)
        tokens = tokens + self.gamma_1 * self.mix(self.norm1(tokens).transpose(1, 2)).transpose(1, 2)
        tokens = tokens + self.gamma_2 * self.mlp(self.norm2(tokens))
        return tokens.transpose(1, 2).reshape(x.shape)`
  ],
  expression: (config, { height, width }) =>
    `MLP(${config.channels}, hidden=${hidden(config)}, tokens=${height} * ${width})`
}
