/**
 * PyTorch versions of the layers, as Python source, for use in generated modules. The importing file must import `torch`, `nn` and `F` (`torch.nn.functional`).
 */

/** `Nn.squeezeExcitation`: a module that takes channels and squeezed channels. */
export const squeezeExcitation = `class SqueezeExcitation(nn.Module):
    """A gate for each channel, computed from the channels' means."""

    def __init__(self, channels, squeezed):
        super().__init__()
        self.fc1 = nn.Conv2d(channels, squeezed, 1)
        self.fc2 = nn.Conv2d(squeezed, channels, 1)

    def forward(self, x):
        gate = self.fc2(F.relu(self.fc1(x.mean((2, 3), keepdim=True))))
        return x * (F.relu6(gate + 3) / 6)`

/** `Nn.feedForward`: a module that takes channels and hidden channels. */
export const feedForward = `class FeedForward(nn.Module):
    """Two linear layers with a GELU in between."""

    def __init__(self, channels, hidden):
        super().__init__()
        self.fc1 = nn.Linear(channels, hidden)
        self.fc2 = nn.Linear(hidden, channels)

    def forward(self, x):
        return self.fc2(F.gelu(self.fc1(x)))`

/** `Nn.attend`: a function of query, key, value, head size and mask. */
export const attend = `def attend(query, key, value, head_dim, mask=None):
    """Multi-head attention over tokens [..., tokens, channels]."""
    query, key, value = (t.reshape(*t.shape[:-1], -1, head_dim).transpose(-3, -2) for t in (query, key, value))
    scores = query @ key.transpose(-2, -1) * head_dim**-0.5
    if mask is not None:
        scores = scores + mask
    return (scores.softmax(-1) @ value).transpose(-3, -2).flatten(-2)`

/** `Nn.selfAttention`: a module that takes channels and head size. Needs `attend`. */
export const selfAttention = `class SelfAttention(nn.Module):
    """Self-attention over all tokens [batch, height * width, channels]."""

    def __init__(self, channels, head_dim):
        super().__init__()
        self.head_dim = head_dim
        self.qkv = nn.Linear(channels, 3 * channels)
        self.proj = nn.Linear(channels, channels)

    def forward(self, x, height, width):
        return self.proj(attend(*self.qkv(x).chunk(3, -1), self.head_dim))`

/** `Nn.windowAttention` with windows of 7×7: a module that takes channels and head size. Needs `attend` and `selfAttention`. */
export const windowAttention = `class WindowAttention(SelfAttention):
    """Attention inside non-overlapping 7x7 windows. No token attends to the padding at the bottom and the right."""

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
        return self.proj(image.reshape(x.shape))`
