#!/bin/sh
# Removes the engine's libraries for other platforms than this one from node_modules: 0.24 GB.
set -e
platform=$(node -p 'process.platform + "/" + process.arch')
for bin in node_modules/.pnpm/onnxruntime-node@*/node_modules/onnxruntime-node/bin/napi-v*; do
  test -d "$bin/$platform" || { echo "$bin has nothing for $platform" >&2; exit 1; }
  for other in "$bin"/*/*; do
    if [ "$other" != "$bin/$platform" ]; then rm -r "$other"; fi
  done
done
