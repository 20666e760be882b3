"""Makes pillow.json, the expected results of Image.test.ts: python3 pillow.py > pillow.json (Debian: python3-pil)."""
import json, base64, random
from PIL import Image, ImageOps, ImageEnhance
import PIL
random.seed(5)
def img(mode,w,h,smooth):
    n = 3 if mode=="RGB" else 1
    data=bytearray()
    for y in range(h):
        for x in range(w):
            for c in range(n):
                v = (x*9+y*5+c*40)%256 if smooth else random.randrange(256)
                data.append(min(255, 20+v//2) if smooth else v)
    return Image.frombytes(mode,(w,h),bytes(data))
def planar(im):
    return base64.b64encode(b"".join(c.tobytes() for c in im.split())).decode()
ims={"rgb":img("RGB",13,11,False),"smooth":img("RGB",16,12,True),"grey":img("L",14,14,False)}
BC=Image.BICUBIC
def lut(im,f):
    l=[max(0,min(255,f(i))) for i in range(256)]; return im.point(l*len(im.getbands()))
def fill(im): return (10,20,30) if im.mode=="RGB" else 10
ops={
"flip":lambda im:im.transpose(Image.FLIP_LEFT_RIGHT),
"crop":lambda im:im.crop((-2,3,7,12)),
"resizeUp":lambda im:im.resize((29,23),BC),
"resizeDown":lambda im:im.resize((6,5),BC),
"rotate":lambda im:im.rotate(17.5,resample=BC,fillcolor=fill(im)),
"shearX":lambda im:im.transform(im.size,Image.AFFINE,(1,0.27,0,0,1,0),resample=BC,fillcolor=fill(im)),
"shearY":lambda im:im.transform(im.size,Image.AFFINE,(1,0,0,-0.27,1,0),resample=BC,fillcolor=fill(im)),
"translate":lambda im:im.transform(im.size,Image.AFFINE,(1,0,3.3,0,1,-1.6),resample=BC,fillcolor=fill(im)),
"autoContrast":ImageOps.autocontrast,"equalize":ImageOps.equalize,"invert":ImageOps.invert,
"posterize":lambda im:ImageOps.posterize(im,3),"solarize":lambda im:ImageOps.solarize(im,100),
"solarizeAdd":lambda im:lut(im,lambda i:min(255,i+99) if i<128 else i),
"brightness":lambda im:ImageEnhance.Brightness(im).enhance(1.72),"brightnessDown":lambda im:ImageEnhance.Brightness(im).enhance(0.37),
"contrast":lambda im:ImageEnhance.Contrast(im).enhance(1.72),"contrastDown":lambda im:ImageEnhance.Contrast(im).enhance(0.37),
"saturation":lambda im:ImageEnhance.Color(im).enhance(1.72),"saturationDown":lambda im:ImageEnhance.Color(im).enhance(0.37),
"sharpness":lambda im:ImageEnhance.Sharpness(im).enhance(1.72),"sharpnessDown":lambda im:ImageEnhance.Sharpness(im).enhance(0.37),
}
out={"pillow":PIL.__version__,"images":{},"results":[]}
for n,im in ims.items():
    out["images"][n]={"channels":len(im.getbands()),"height":im.size[1],"width":im.size[0],"bytes":planar(im)}
    for o,f in ops.items():
        r=f(im); out["results"].append({"image":n,"operation":o,"height":r.size[1],"width":r.size[0],"bytes":planar(r)})
print(json.dumps(out))
