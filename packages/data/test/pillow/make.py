"""
Makes the test images of Pictures.test.ts and what Pillow reads them as: every kind of file that a folder of images may hold.

    python3 packages/data/test/pillow/make.py

Makes a virtual environment with Pillow of a fixed version in the system's temporary folder, and runs itself in it. Writes the images beside itself,
and expected.json: for each, zlib-packed and in base64, the bytes (rows, then pixels, then channels) of

    ImageOps.exif_transpose(Image.open(path)).convert(mode)        for the modes "L" and "RGB"
"""
import base64, io, json, os, random, struct, subprocess, sys, tempfile, zlib

VERSION = "13.0.0"
HERE = os.path.dirname(os.path.abspath(__file__))

if not os.environ.get("PILLOW_FIXTURES"):
    env = os.path.join(tempfile.gettempdir(), "uninet-pillow-" + VERSION)
    python = os.path.join(env, "bin", "python")
    if not os.path.exists(python):
        subprocess.run([sys.executable, "-m", "venv", env], check=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", "pillow==" + VERSION], check=True)
    sys.exit(subprocess.run([python, __file__], env={**os.environ, "PILLOW_FIXTURES": "1"}).returncode)

import PIL
from PIL import Image, ImageOps

random.seed(7)
W, H = 17, 11  # of no round number, so that rows end within bytes and blocks


def noise(n):
    return bytes(random.randrange(256) for _ in range(n))


def smooth(mode, w=W, h=H):
    """Gradients with an edge: what JPEG is made for."""
    bands = len(mode)
    data = bytearray()
    for y in range(h):
        for x in range(w):
            for c in range(bands):
                data.append((x * (5 + 3 * c) + y * (9 - 4 * c) + (70 if x > w // 2 else 0) + 60 * c) % 256)
    return Image.frombytes(mode, (w, h), bytes(data))


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def pack(row, depth):
    """Samples of a row as a PNG's or a BMP's bytes."""
    if depth == 16:
        return struct.pack(">%dH" % len(row), *row)
    bits = "".join(format(v, "0%db" % depth) for v in row)
    bits += "0" * (-len(bits) % 8)
    return bytes(int(bits[i : i + 8], 2) for i in range(0, len(bits), 8))


def filtered(lines, step):
    """Every kind of PNG filter in turn."""
    out, above = b"", bytes(len(lines[0]))
    for y, line in enumerate(lines):
        if len(above) != len(line):
            above = bytes(len(line))
        kind = y % 5
        row = bytearray()
        for i, v in enumerate(line):
            a = line[i - step] if i >= step else 0
            b = above[i]
            c = above[i - step] if i >= step else 0
            p = a + b - c
            paeth = min((abs(p - a), 0, a), (abs(p - b), 1, b), (abs(p - c), 2, c))[2]
            row.append((v - (0, a, b, (a + b) // 2, paeth)[kind]) & 255)
        out += bytes([kind]) + bytes(row)
        above = line
    return out


def png(colour, depth, w=W, h=H, before=b"", interlaced=False, levels=None):
    """A PNG of random samples, of any colour type and depth, with every filter, optionally interlaced (Adam7)."""
    bands = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}[colour]
    levels = levels or 2**depth
    rows = [[random.randrange(levels) for _ in range(w * bands)] for _ in range(h)]
    step = max(1, bands * depth // 8)
    if interlaced:
        raw = b""
        for x0, y0, dx, dy in [(0,0,8,8),(4,0,8,8),(0,4,4,8),(2,0,4,4),(0,2,2,4),(1,0,2,2),(0,1,1,2)]:
            lines = [
                pack([v for x in range(x0, w, dx) for v in rows[y][x * bands : x * bands + bands]], depth)
                for y in range(y0, h, dy)
            ]
            if lines and lines[0]:
                raw += filtered(lines, step)
    else:
        raw = filtered([pack(row, depth) for row in rows], step)
    head = struct.pack(">IIBBBBB", w, h, depth, colour, 0, 0, int(interlaced))
    data = zlib.compress(raw, 9)
    # In two parts, as large files have it.
    parts = chunk(b"IDAT", data[:50]) + chunk(b"IDAT", data[50:])
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + before + parts + chunk(b"IEND", b"")


def palette(n):
    return chunk(b"PLTE", noise(3 * n))


def saved(image, format, **options):
    out = io.BytesIO()
    image.save(out, format, **options)
    return out.getvalue()


def exif(orientation):
    out = Image.Exif()
    out[0x0112] = orientation
    return out.tobytes()


def icc():
    """A profile with red and blue exchanged: whoever obeys it is found out."""
    def xyz(x, y, z):
        return b"XYZ \0\0\0\0" + b"".join(struct.pack(">i", round(v * 65536)) for v in (x, y, z))
    curve = b"curv\0\0\0\0" + struct.pack(">IH", 1, 563) + b"\0\0"
    tags = [
        (b"wtpt", xyz(0.9642, 1.0, 0.8249)),
        (b"rXYZ", xyz(0.1431, 0.0606, 0.7141)),
        (b"gXYZ", xyz(0.3851, 0.7169, 0.0971)),
        (b"bXYZ", xyz(0.4360, 0.2225, 0.0139)),
        (b"rTRC", curve),
        (b"gTRC", curve),
        (b"bTRC", curve),
        (b"desc", b"desc\0\0\0\0" + struct.pack(">I", 5) + b"swap\0" + bytes(78)),
        (b"cprt", b"text\0\0\0\0none\0\0\0\0"),
    ]
    table, body, at = b"", b"", 128 + 4 + 12 * len(tags)
    for name, data in tags:
        data += b"\0" * (-len(data) % 4)
        table += name + struct.pack(">II", at + len(body), len(data))
        body += data
    size = at + len(body)
    head = struct.pack(">I4sI4s4s4s", size, b"none", 0x02100000, b"mntr", b"RGB ", b"XYZ ")
    head = (head + bytes(12) + b"acsp").ljust(68, b"\0") + struct.pack(">iii", 63190, 65536, 54061)
    return head.ljust(128, b"\0") + struct.pack(">I", len(tags)) + table + body


def bmp(bits, rows, colours=b"", compression=0, masks=b"", header=40, flip=False, w=W, h=H):
    """A BMP of these rows of bytes, bottom row first."""
    info = struct.pack("<IiiHHIIiiII", header, w, -h if flip else h, 1, bits, compression, len(rows), 0, 0, len(colours) // 4, 0)
    extra = masks.ljust(header - 40, b"\0") if header > 40 else b""
    tables = (masks if header == 40 else b"") + colours
    offset = 14 + header + len(tables)
    return b"BM" + struct.pack("<IHHI", offset + len(rows), 0, 0, offset) + info + extra + tables + rows


def lines(depth, levels=None, h=H, w=W):
    out = b""
    for _ in range(h):
        row = pack([random.randrange(levels or 2**depth) for _ in range(w)], depth)
        out += row + b"\0" * (-len(row) % 4)
    return out


def words(size, h=H, w=W):
    return b"".join(noise(size * w) + b"\0" * (-(size * w) % 4) for _ in range(h))


def quads(n):
    return b"".join(noise(3) + b"\0" for _ in range(n))


def rle8():
    """Runs, pixels as they are (of odd number), a jump and a row cut short."""
    out = b""
    for y in range(H):
        if y == 3:
            out += bytes([0, 2, 5, 1, 3, 77])  # five to the right and one up, then three pixels
            out += b"\0\0"
            continue
        if y == 4:
            continue
        out += bytes([6, y, 0, 5]) + noise(5) + b"\0" + (b"" if y == 7 else bytes([W - 11, 200 - y])) + b"\0\0"
    return out + b"\0\1"


def rle4():
    out = b""
    for y in range(H):
        out += bytes([7, 0x1A, 0, 6]) + noise(3) + b"\0" + bytes([W - 13, 0x37]) + b"\0\0"
    return out + b"\0\1"


def moved(gif):
    """The same GIF on a larger screen, five pixels to the right and three down."""
    out = bytearray(gif)
    at = out.index(b"," + struct.pack("<HHHH", 0, 0, W, H))
    out[6:10] = struct.pack("<HH", W + 7, H + 5)
    out[at + 1 : at + 5] = struct.pack("<HH", 5, 3)
    return bytes(out)


def tiff(image, **options):
    return saved(image, "TIFF", **options)


def plain(kind, bands, maxval, comment=b""):
    top = (maxval,) if kind != b"P1" else ()
    head = kind + b"\n" + comment + b"%d %d\n" % (W, H) + b"".join(b"%d\n" % v for v in top)
    return head + b"\n".join(
        b" ".join(b"%d" % random.randrange(maxval + 1) for _ in range(W * bands)) for _ in range(H)
    )


rgb = smooth("RGB")
grey16 = [random.randrange(600) if random.random() < 0.6 else random.randrange(65536) for _ in range(W * H)]
transparent = saved(Image.frombytes("RGBA", (W, H), noise(4 * W * H)), "WEBP", lossless=True, exact=True)
indexed = Image.frombytes("P", (W, H), bytes(v % 23 for v in noise(W * H)))
indexed.putpalette(noise(3 * 23))

files = {
    # PNG: colour type and depth
    "grey1.png": png(0, 1), "grey2.png": png(0, 2), "grey4.png": png(0, 4), "grey8.png": png(0, 8),
    "grey16.png": b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", W, H, 16, 0, 0, 0, 0))
        + chunk(b"IDAT", zlib.compress(filtered([struct.pack(">%dH" % W, *grey16[y * W : y * W + W]) for y in range(H)], 2)))
        + chunk(b"IEND", b""),
    "rgb8.png": png(2, 8), "rgb16.png": png(2, 16),
    "grey-alpha8.png": png(4, 8), "grey-alpha16.png": png(4, 16), "rgba8.png": png(6, 8), "rgba16.png": png(6, 16),
    "palette1.png": png(3, 1, before=palette(2)), "palette2.png": png(3, 2, before=palette(4)),
    "palette4.png": png(3, 4, before=palette(11), levels=11), "palette8.png": png(3, 8, before=palette(200), levels=200),
    "palette-transparent.png": png(3, 8, before=palette(40) + chunk(b"tRNS", noise(25)), levels=40),
    "palette-grey.png": png(3, 4, before=chunk(b"PLTE", bytes(v for i in range(16) for v in [i * 17] * 3)), levels=16),
    "grey-key.png": png(0, 8, before=chunk(b"tRNS", struct.pack(">H", 9)), levels=12),
    "rgb-key.png": png(2, 8, before=chunk(b"tRNS", struct.pack(">HHH", 1, 1, 1)), levels=3),
    "interlaced-rgb8.png": png(2, 8, interlaced=True), "interlaced-grey1.png": png(0, 1, interlaced=True),
    "interlaced-3x2.png": png(6, 8, w=3, h=2, interlaced=True), "interlaced-palette2.png": png(3, 2, before=palette(4), interlaced=True),
    "gamma.png": png(2, 8, before=chunk(b"gAMA", struct.pack(">I", 100000))),
    "profile.png": png(2, 8, before=chunk(b"iCCP", b"swap\0\0" + zlib.compress(icc()))),
    "orientation6.png": png(2, 8, before=chunk(b"eXIf", exif(6)[6:])),
    "1x1.png": png(2, 8, w=1, h=1), "1x20000.png": saved(Image.linear_gradient("L").resize((1, 20000)).convert("RGB"), "PNG", optimize=True),
    # JPEG
    "rgb.jpg": saved(rgb, "JPEG", quality=85), "grey.jpg": saved(smooth("L"), "JPEG"), "full.jpg": saved(rgb, "JPEG", quality=95, subsampling=0),
    "progressive.jpg": saved(rgb, "JPEG", progressive=True), "no-ycc.jpg": saved(rgb, "JPEG", keep_rgb=True),
    "cmyk.jpg": saved(smooth("CMYK"), "JPEG", quality=95), "profile.jpg": saved(rgb, "JPEG", icc_profile=icc()),
    "1x1.jpg": saved(rgb.crop((0, 0, 1, 1)), "JPEG"),
    **{"orientation%d.jpg" % i: saved(rgb, "JPEG", exif=exif(i)) for i in range(1, 9)},
    # BMP
    "palette1.bmp": bmp(1, lines(1), quads(2)), "palette4.bmp": bmp(4, lines(4, 9), quads(9)), "palette8.bmp": bmp(8, lines(8, 50), quads(50)),
    "grey8.bmp": saved(smooth("L"), "BMP"), "two.bmp": saved(smooth("L").convert("1"), "BMP"), "rgb24.bmp": bmp(24, words(3)),
    "rgb32.bmp": bmp(32, words(4)), "rgb15.bmp": bmp(16, words(2)),
    "rgb16.bmp": bmp(16, words(2), compression=3, masks=struct.pack("<III", 0xF800, 0x7E0, 0x1F)),
    "alpha32.bmp": bmp(32, words(4), compression=3, masks=struct.pack("<IIII", 0xFF0000, 0xFF00, 0xFF, 0xFF000000), header=124),
    "masks32.bmp": bmp(32, words(4), compression=3, masks=struct.pack("<III", 0xFF000000, 0xFF0000, 0xFF00)),
    "top-down.bmp": bmp(24, words(3), flip=True), "rle8.bmp": bmp(8, rle8(), quads(256), compression=1),
    "rle4.bmp": bmp(4, rle4(), quads(16), compression=2),
    "os2.bmp": b"BM" + struct.pack("<IHHI", 0, 0, 0, 26 + 48) + struct.pack("<IHHHH", 12, W, H, 1, 4) + noise(48) + lines(4),
    # PNM
    "plain.pbm": plain(b"P1", 1, 1, b"# one bit\n"), "plain.pgm": plain(b"P2", 1, 100), "plain.ppm": plain(b"P3", 3, 255),
    "two.pbm": b"P4 %d %d\n" % (W, H) + noise((W + 7) // 8 * H), "grey.pgm": b"P5\n# made\n%d %d\n255\n" % (W, H) + noise(W * H),
    "grey100.pgm": b"P5 %d %d 100\n" % (W, H) + bytes(random.randrange(101) for _ in range(W * H)),
    "grey16.pgm": b"P5 %d %d 65535\n" % (W, H) + struct.pack(">%dH" % (W * H), *grey16), "rgb.ppm": b"P6 %d %d 255\n" % (W, H) + noise(3 * W * H),
    "grey1000.pgm": b"P5 %d %d 1000\n" % (W, H) + struct.pack(">%dH" % (W * H), *(random.randrange(9) for _ in range(W * H))),
    "rgb1000.ppm": b"P6 %d %d 1000\n" % (W, H) + struct.pack(">%dH" % (3 * W * H), *(random.randrange(1001) for _ in range(3 * W * H))),
    # the rest
    "lossless.webp": saved(rgb, "WEBP", lossless=True), "lossy.webp": saved(rgb, "WEBP", quality=80), "transparent.webp": transparent,
    "indexed.gif": saved(indexed, "GIF"), "transparent.gif": saved(indexed, "GIF", transparency=3), "grey.gif": saved(smooth("L"), "GIF"), "in-order.gif": saved(indexed, "GIF", interlace=0), "moved.gif": moved(saved(indexed, "GIF", transparency=3)),
    "rgb.tiff": tiff(rgb, compression="tiff_lzw"), "grey16.tiff": tiff(Image.frombytes("I;16", (W, H), struct.pack("<%dH" % (W * H), *grey16))),
    "cmyk.tiff": tiff(smooth("CMYK")), "palette.tiff": tiff(indexed), "rgba.tiff": tiff(Image.frombytes("RGBA", (W, H), noise(4 * W * H))),
    "two.tiff": tiff(smooth("L").convert("1"), compression="group4"),
}  # fmt: skip

expected = {"pillow": PIL.__version__, "files": {}}
for name in sorted(os.listdir(HERE)):
    if name not in ("make.py", "expected.json"):
        os.remove(os.path.join(HERE, name))
for name, data in files.items():
    path = os.path.join(HERE, name)
    with open(path, "wb") as file:
        file.write(data)
    image = ImageOps.exif_transpose(Image.open(path))
    expected["files"][name] = {"width": image.width, "height": image.height} | {
        mode: base64.b64encode(zlib.compress(image.convert(mode).tobytes(), 9)).decode() for mode in ("L", "RGB")
    }
with open(os.path.join(HERE, "expected.json"), "w") as file:
    json.dump(expected, file, indent=2)
    file.write("\n")
print(len(files), "images,", sum(map(len, files.values())), "bytes")
