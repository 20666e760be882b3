/** The parts of a generated PyTorch module: a class for every operator and downsampling module, and what they are made of. */

/** A definition and the names of those that it needs. */
export interface Part {
  readonly needs: ReadonlyArray<string>
  readonly source: string
}

const part = (source: string, ...needs: ReadonlyArray<string>): Part => ({ needs, source: source.trim() })

/** In the order in which they stand in a file. */
export const parts: Readonly<Record<string, Part>> = {
  SqueezeExcitation: part(`
class SqueezeExcitation(nn.Module):
    """A gate per channel, from the channels' means."""

    def __init__(self, channels, squeezed):
        super().__init__()
        self.fc1 = nn.Conv2d(channels, squeezed, 1)
        self.fc2 = nn.Conv2d(squeezed, channels, 1)

    def forward(self, x):
        gate = self.fc2(F.relu(self.fc1(x.mean((2, 3), keepdim=True))))
        return x * (F.relu6(gate + 3) / 6)
`),

  shortcut: part(`
def shortcut(inputs, outputs):
    """What a block adds to its input: the input itself or, where the channels change, its 3x3 maximum under a 1x1 convolution."""
    if inputs == outputs:
        return nn.Identity()
    return nn.Sequential(nn.MaxPool2d(3, 1, 1), nn.Conv2d(inputs, outputs, 1))
`),

  Conv: part(
    `
class Conv(nn.Module):
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
        return self.residual(x) + self.norm3(self.project(self.se(y)))
`,
    "SqueezeExcitation",
    "shortcut"
  ),

  DWConv: part(
    `
class DWConv(nn.Module):
    """MBConv with its norms first: 1x1 to the hidden channels, depthwise 3x3, 1x1 back."""

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
        return self.residual(x) + self.b2(self.b1(x))
`,
    "SqueezeExcitation",
    "shortcut"
  ),

  FeedForward: part(`
class FeedForward(nn.Module):
    """Two linear layers with a GELU between."""

    def __init__(self, channels, hidden):
        super().__init__()
        self.fc1 = nn.Linear(channels, hidden)
        self.fc2 = nn.Linear(hidden, channels)

    def forward(self, x):
        return self.fc2(F.gelu(self.fc1(x)))
`),

  attend: part(`
def attend(query, key, value, head_dim, mask=None):
    """Multi-head attention of tokens [..., tokens, channels]."""
    query, key, value = (t.reshape(*t.shape[:-1], -1, head_dim).transpose(-3, -2) for t in (query, key, value))
    scores = query @ key.transpose(-2, -1) * head_dim**-0.5
    if mask is not None:
        scores = scores + mask
    return (scores.softmax(-1) @ value).transpose(-3, -2).flatten(-2)
`),

  SelfAttention: part(
    `
class SelfAttention(nn.Module):
    """Attention of every token [batch, height * width, channels] to every other."""

    def __init__(self, channels, head_dim):
        super().__init__()
        self.head_dim = head_dim
        self.qkv = nn.Linear(channels, 3 * channels)
        self.proj = nn.Linear(channels, channels)

    def forward(self, x, height, width):
        return self.proj(attend(*self.qkv(x).chunk(3, -1), self.head_dim))
`,
    "attend"
  ),

  WindowAttention: part(
    `
class WindowAttention(SelfAttention):
    """Attention inside windows of 7x7 that do not overlap. Padding at the bottom and the right is attended to by nobody."""

    def forward(self, x, height, width):
        rows, columns = min(7, height), min(7, width)
        down, across = -(-height // rows), -(-width // columns)

        def windows(t):  # [batch, height * width, channels] to [batch, windows, tokens, channels]
            image = t.reshape(-1, height, width, t.shape[-1])
            image = F.pad(image, (0, 0, 0, across * columns - width, 0, down * rows - height))
            grid = image.reshape(-1, down, rows, across, columns, t.shape[-1]).transpose(2, 3)
            return grid.reshape(-1, down * across, rows * columns, t.shape[-1])

        real = windows(x.new_ones(1, height * width, 1))
        mask = (1e9 * (real - 1)).transpose(2, 3).unsqueeze(2)
        y = attend(*windows(self.qkv(x)).chunk(3, -1), self.head_dim, mask)
        grid = y.reshape(-1, down, across, rows, columns, y.shape[-1]).transpose(2, 3)
        image = grid.reshape(-1, down * rows, across * columns, y.shape[-1])[:, :height, :width]
        return self.proj(image.reshape(x.shape))
`,
    "SelfAttention"
  ),

  SA: part(
    `
class SA(nn.Module):
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
        return tokens.transpose(1, 2).reshape(x.shape)
`,
    "SelfAttention",
    "FeedForward"
  ),

  LSA: part(
    `
class LSA(SA):
    """Transformer block with attention inside windows."""

    attention = WindowAttention
`,
    "SA",
    "WindowAttention"
  ),

  MLP: part(
    `
class MLP(nn.Module):
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
        return tokens.transpose(1, 2).reshape(x.shape)
`,
    "FeedForward"
  ),

  strided_shortcut: part(`
def strided_shortcut(inputs, outputs, stride):
    """What a downsampling module adds to: the 3x3 maximum (left out at stride 1) under a 1x1 convolution."""
    pool = [nn.MaxPool2d(3, stride, 1)] if stride > 1 else []
    return nn.Sequential(*pool, nn.Conv2d(inputs, outputs, 1))
`),

  local: part(`
def local(inputs, outputs, stride):
    """Depthwise 3x3 with the stride, batch norm, 1x1."""
    return nn.Sequential(
        nn.Conv2d(inputs, inputs, 3, stride, 1, groups=inputs),
        nn.BatchNorm2d(inputs),
        nn.Conv2d(inputs, outputs, 1),
    )
`),

  L: part(
    `
class L(nn.Module):
    """The local downsampling module."""

    def __init__(self, inputs, outputs, stride):
        super().__init__()
        self.downsample = local(inputs, outputs, stride)
        self.residual = strided_shortcut(inputs, outputs, stride)

    def forward(self, x):
        return self.residual(x) + self.downsample(x)
`,
    "local",
    "strided_shortcut"
  ),

  LG: part(
    `
class LG(nn.Module):
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
        return shortcut + tokens.transpose(1, 2).reshape(shortcut.shape)
`,
    "attend",
    "local",
    "strided_shortcut"
  ),

  G: part(
    `
class G(LG):
    """The global downsampling module: as LG, its queries from a convolution along the row-major sequence of positions."""

    def __init__(self, inputs, outputs, stride, head_dim):
        super().__init__(inputs, outputs, stride, head_dim)
        kernel, padding = (stride**2, 0) if stride > 1 else (3, 1)
        self.q[0] = nn.Conv2d(inputs, inputs, (1, kernel), (1, stride**2), (0, padding), groups=inputs)

    def query(self, x):
        length = self.stride**2
        for size in x.shape[2:]:
            length *= -(-size // self.stride)
        line = x.flatten(2).unsqueeze(2)
        return self.q(F.pad(line, (0, length - line.shape[3])))
`,
    "LG"
  )
}

/** The parts of these names with everything they need, in the order of `parts`. */
export const closure = (names: Iterable<string>): ReadonlyArray<string> => {
  const wanted = new Set<string>()
  const want = (name: string) => {
    if (wanted.has(name)) return
    wanted.add(name)
    parts[name]?.needs.forEach(want)
  }
  for (const name of names) want(name)
  return Object.entries(parts).flatMap(([name, { source }]) => (wanted.has(name) ? [source] : []))
}

/** A list of literals as Python, broken into lines of at most 100 characters. JSON's strings and numbers are Python's. */
export const list = (values: ReadonlyArray<string | number>): string => {
  if (values.length > 9 && values.every((value, i) => value === String(i)))
    return `[str(i) for i in range(${values.length})]`
  const literals = values.map((value) => JSON.stringify(value))
  const whole = `[${literals.join(", ")}]`
  if (whole.length <= 90) return whole
  const lines = [""]
  for (const literal of literals) {
    const last = lines[lines.length - 1]
    if (last.length + literal.length > 94) lines.push(`${literal},`)
    else lines[lines.length - 1] = last === "" ? `${literal},` : `${last} ${literal},`
  }
  return `[\n${lines.map((line) => `    ${line}`).join("\n")}\n]`
}

/** Texts by name as Python. */
export const dictionary = (entries: Readonly<Record<string, string>>): string => {
  const lines = Object.entries(entries).map(([name, value]) => `    ${JSON.stringify(name)}: ${JSON.stringify(value)},`)
  return lines.length === 0 ? "{}" : `{\n${lines.join("\n")}\n}`
}
