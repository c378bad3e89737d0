#!/usr/bin/env bash
# untimed
# devices.sh: test_devices, the cuda device against the float oracle and the CPU device, with the
# virtual GPU's libraries before the loader's path. Settings (tests/vgpu/README.md) and ATTENTION
# pass through; BUILD names the folder of the build (default: build).
set -u
cd "$(dirname "$0")/../.." || exit 1
build=$(realpath "${BUILD:-build}")
if [ ! -f "$build/refill_cuda.so" ] || [ ! -f "$build/vgpu/manifest" ]; then
  echo "SKIPPED: no plugin or no virtual GPU in $build: no nvcc here, or make vgpu-build not run"
  exit 77
fi
export LD_LIBRARY_PATH=$build/vgpu/lib REFILL_PLUGIN_DIR=$build VGPU_MANIFEST=$build/vgpu/manifest
export VGPU_MEMORY=2G VGPU_LEAKS=1
exec "$build/vgpu/test_devices" -j1
