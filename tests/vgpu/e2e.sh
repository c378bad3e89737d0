#!/usr/bin/env bash
# untimed
# e2e.sh: the shipped program and plugin, end to end, with the virtual GPU's libraries before the
# loader's path: verify and sweep in every mode, and every way in which a GPU can be missing, old
# or broken: each must have its own message and exit code, and never crash.
#
# BUILD names the folder of the build (default: build). VGPU_FULL=1 tries more.
# timeout: 900
set -u
cd "$(dirname "$0")/../.." || exit 1
build=$(realpath "${BUILD:-build}")
full=${VGPU_FULL:-}
if [ ! -f "$build/refill_cuda.so" ]; then
  echo "SKIPPED: no $build/refill_cuda.so: no nvcc here, or the plugin was not built"
  exit 77
fi
export VGPU_MANIFEST=$build/vgpu/manifest VGPU_MEMORY=2G REFILL_PLUGIN_DIR=$build
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
n=0 failed=0

run() { # environment... -- arguments...
  local environment=() choices=()
  while [ "$1" != -- ]; do
    case $1 in
    ATTENTION=*) choices+=(--attention "${1#*=}") ;;
    LIBDIR=*) choices+=(--cuda-libdir "${1#*=}") ;;
    *) environment+=("$1") ;;
    esac
    shift
  done
  shift
  env LD_LIBRARY_PATH="$build/vgpu/lib" "${environment[@]}" timeout 120 "$build/refill" "$@" \
    --device "${device:-cuda}" --model "tests/shapes/${shape:-tiny}.json" --page-tokens 16 \
    --target "$work" "${choices[@]}" >"$work/out" 2>&1
  code=$?
}

verdict() { # what good?
  n=$((n + 1))
  if [ "$2" = yes ]; then
    echo "ok      $1"
  else
    failed=$((failed + 1))
    echo "FAILED  $1 (exit $code)"
    grep -v warning "$work/out" | head -12 | sed 's/^/        /'
  fi
}

passes() { # what environment... -- arguments...
  local what=$1
  shift
  run "$@"
  verdict "$what" "$([ $code -eq 0 ] && ! grep -q '^vgpu:' "$work/out" && echo yes)"
}

says() { # exit-code pattern what environment... -- arguments...
  local want=$1 pattern=$2 what=$3
  shift 3
  run "$@"
  verdict "$what" "$([ $code -eq "$want" ] && grep -qE "$pattern" "$work/out" && echo yes)"
}

W=(verify --tokens 65 --window 1 --write-window 1)
V=("${W[@]}" --cuda-graphs off --gemm-tune off)
passes "verify, CUDA graphs" VGPU_LEAKS=1 -- "${W[@]}" --cuda-graphs on
passes "verify, CUDA graphs, slow copies and kernels, FP8" VGPU_SLOW_COPIES_US=2000 \
  VGPU_SLOW_KERNELS_US=300 -- "${W[@]}" --cuda-graphs on --dtype fp8 --kv-dtype fp8
passes "verify, cuDNN" VGPU_LEAKS=1 ATTENTION=cudnn -- "${V[@]}"
passes "verify, builtin attention" VGPU_LEAKS=1 ATTENTION=builtin -- "${V[@]}"
passes "verify, other order, lazy copies" ATTENTION=builtin VGPU_SCHEDULE=reverse \
  VGPU_LAZY_COPIES=1 -- "${V[@]}"
passes "verify, random order" ATTENTION=builtin VGPU_SCHEDULE=random -- "${V[@]}"
passes "verify, slow copies" VGPU_SLOW_COPIES_US=3000 -- "${V[@]}"
passes "verify, slow kernels" VGPU_SLOW_KERNELS_US=500 -- "${V[@]}"
passes "verify, FP8" -- "${V[@]}" --dtype fp8
passes "verify, FP8 in the cache" -- "${V[@]}" --kv-dtype fp8
shape=tiny-128 passes "verify, heads of 128" ATTENTION=builtin -- "${V[@]}"
passes "verify, cubins refused: PTX" VGPU_REFUSE_CUBINS=1 -- "${V[@]}"
passes "verify, an A100" VGPU_CAPABILITY=80 -- "${V[@]}"
passes "verify, a GPU newer than the build" VGPU_CAPABILITY=100 -- "${V[@]}"
passes "verify, driver of CUDA 12.0" VGPU_DRIVER_VERSION=12000 -- "${V[@]}"
run ATTENTION=auto VGPU_CUDNN_REFUSES=2 -- "${V[@]}"
verdict "cuDNN compiles nothing: builtin" "$([ $code -eq 0 ] && echo yes)"
run VGPU_FAIL=cuMemHostRegister:1 -- "${V[@]}"
verdict "nothing can be pinned: slower, and right" "$([ $code -eq 0 ] && echo yes)"
# GPUDirect Storage: storage reads into the GPU's memory and writes from it.
G=(--engine cufile)
passes "verify, cufile" -- "${V[@]}" "${G[@]}"
passes "verify, cufile, lazy copies, FP8 in the cache" VGPU_LAZY_COPIES=1 -- "${V[@]}" "${G[@]}" \
  --kv-dtype fp8
passes "sweep, cufile" -- sweep --tokens 128 --alpha 0.5 --repeat 1 "${G[@]}" -o "$work/gds.json"
verdict "the result tells what cufile got" "$(grep -q 'buffers on the GPU' "$work/gds.json" &&
  grep -q 'cufile: GPUDirect Storage, .* 1 GPU buffers registered' "$work/gds.json" && echo yes)"
says 1 "reading .*kv at byte [0-9]* .layer [01].: Input/output" "cuFileRead fails" \
  VGPU_FAIL=cuFileRead:2:5030 -- "${V[@]}" "${G[@]}"
says 1 "writing .* at byte [0-9]* .layer [01].: Input/output" "cuFileWrite fails" \
  VGPU_FAIL=cuFileWrite:2:5030 -- "${V[@]}" "${G[@]}"
says 77 "nvidia-fs" "cuFileDriverOpen fails" VGPU_FAIL=cuFileDriverOpen:1:5001 -- \
  "${V[@]}" "${G[@]}"
says 77 "O_DIRECT on ext4 or XFS" "cuFileHandleRegister fails" \
  VGPU_FAIL=cuFileHandleRegister:1:5008 -- "${V[@]}" "${G[@]}"
says 77 "fewer --tokens" "cuFileBufRegister fails" VGPU_FAIL=cuFileBufRegister:1:5036 -- \
  "${V[@]}" "${G[@]}"
device=cpu says 2 "has none: use --engine uring" "cufile without a GPU" -- "${V[@]}" "${G[@]}"
passes "sweep" -- sweep --tokens 128 --alpha 0,0.5 --repeat 1

# What has a lesser form goes on with it, and both warning and result say so.
degrades() { # pattern what environment... -- arguments...
  local pattern=$1 what=$2
  shift 2
  run "$@" -o "$work/result.json"
  verdict "$what" "$([ $code -eq 0 ] &&
    grep -qE "warning: the device works.*$pattern" "$work/out" &&
    python3 -c 'import json, re, sys
told = json.load(open(sys.argv[1]))["rig"]["device"]["degraded"]
sys.exit(not any(re.search(sys.argv[2], one) for one in told))' "$work/result.json" "$pattern" &&
    echo yes)"
}
S=(sweep --tokens 33 --alpha 0 --repeat 1 --break-even off)
degrades "bf16, not FP8.*8.9" "FP8 on an A100: bf16" VGPU_CAPABILITY=80 -- "${S[@]}" --dtype fp8
# The second: its plan was tried with the first.
degrades "bf16, not FP8.*EXECUTION" "an FP8 GEMM fails: bf16" VGPU_FAIL=cublasLtMatmul:2:13 -- \
  "${S[@]}" --dtype fp8 --gemm-tune off
degrades "bf16, not FP8.*is right" "FP8 gives wrong numbers: bf16" VGPU_WRONG=fp8 -- "${S[@]}" \
  --dtype fp8
degrades "not cuDNN.*compiles none" "cuDNN compiles nothing: builtin" VGPU_CUDNN_REFUSES=9 -- \
  "${S[@]}"
degrades "not cuDNN.*where the builtin" "cuDNN gives wrong numbers: builtin" VGPU_WRONG=attention \
  -- "${S[@]}"
says 1 "attention cudnn.*where the builtin" "the same, and no other is wanted" \
  VGPU_WRONG=attention ATTENTION=cudnn -- "${S[@]}"
degrades "not pinned" "nothing can be pinned: plain copies" VGPU_FAIL=cuMemHostRegister:1 -- \
  "${S[@]}"
degrades "better image was refused" "cubins refused: PTX" VGPU_REFUSE_CUBINS=1 -- "${S[@]}"

for point in cuStreamBeginCapture:1 cuStreamEndCapture:2 cuGraphInstantiateWithFlags:1 \
  cuGraphUpload:2; do
  degrades "no CUDA graphs: ${point%:*}" "${point%:*} fails: layers are launched" \
    VGPU_LEAKS=1 VGPU_FAIL=$point -- "${S[@]}"
done
says 1 "cuda-graphs on: cuStreamBeginCapture" "the same, and graphs are wanted" \
  VGPU_FAIL=cuStreamBeginCapture:1 -- "${S[@]}" --cuda-graphs on
run -- "${S[@]}" --cuda-graphs off -o "$work/result.json"
verdict "graphs are off when told so" "$(grep -q '"graph_runs": 0' "$work/result.json" && echo yes)"
run -- "${S[@]}" -o "$work/result.json"
verdict "graphs pay for a small model" "$([ $code -eq 0 ] &&
  ! grep -q '"graph_runs": 0' "$work/result.json" && echo yes)"

degrades "REFILL_CUDA_SYNC=1 waits" "each call is waited for" REFILL_CUDA_SYNC=1 -- "${S[@]}" \
  --dtype fp8 --kv-dtype fp8

says 77 "stub" "a stub for a driver" VGPU_STUB=1 -- "${V[@]}"
says 77 "too old" "a driver of CUDA 11.8" VGPU_DRIVER_VERSION=11080 -- "${V[@]}"
says 77 "sees no GPU" "no device" VGPU_DEVICES=0 -- "${V[@]}"
says 77 "no NVIDIA driver" "no driver" LD_LIBRARY_PATH= -- "${V[@]}"
device=cuda:3 says 77 "there is 1 GPU" "a device that is not there" -- "${V[@]}"
says 77 "compute capability 7.5" "a GPU that is too old" VGPU_CAPABILITY=75 -- "${V[@]}"
says 1 "needs [0-9.]+ MiB of GPU memory.*MIG slice" "too little memory" VGPU_MEMORY=64M -- "${V[@]}"
says 1 "up to [0-9]+ tokens fit.*kv-dtype fp8" "too little for so many tokens" VGPU_MEMORY=700M -- \
  sweep --alpha 0 --tokens 262144 --window 1 --write-window 1
slice=(VGPU_NAME="NVIDIA H100 80GB HBM3 MIG 1g.10gb" VGPU_MULTIPROCESSORS=16)
passes "a MIG slice" "${slice[@]}" -- "${V[@]}"
mkdir "$work/empty"
says 77 "no usable libcublasLt.so.13 in $work/empty" "cuBLASLt is missing" LIBDIR="$work/empty" -- \
  "${V[@]}"
says 77 "version 12.3.4: it does not match its name" "cuBLASLt of another version" \
  VGPU_CUBLASLT_VERSION=120304 LIBDIR="$build/vgpu/lib" -- "${V[@]}"
degrades "not cuDNN.*version 8.9.7, 9 is needed" "cuDNN of another version: builtin" \
  VGPU_CUDNN_VERSION=80907 LIBDIR="$build/vgpu/lib" -- "${S[@]}"
says 77 "no kernel image of this build runs on" "every image is refused" \
  VGPU_FAIL=cuModuleLoadDataEx:1+:209 -- "${V[@]}"
says 77 "cublasLtCreate" "cuBLASLt does not start" VGPU_FAIL=cublasLtCreate:1 \
  LIBDIR="$build/vgpu/lib" -- "${V[@]}"
says 1 "ILLEGAL_ADDRESS" "an asynchronous error in mid-run" VGPU_FAIL=cuEventQuery:5:700 -- \
  "${V[@]}"
says 1 "LAUNCH_FAILED|ECC" "a launch fails" VGPU_FAIL=cuLaunchKernel:40:719 -- "${V[@]}"

# Each entry point fails once, early and late: an error that says which, and no crash.
points="cuInit cuDeviceGet cuDevicePrimaryCtxRetain cuCtxSetCurrent cuMemAlloc cuMemcpy2DAsync
  cuModuleLoadDataEx cuModuleGetFunction cuLaunchKernel cuStreamCreate cuEventCreate cuEventRecord
  cuMemcpyHtoDAsync cuMemcpyDtoHAsync cuStreamWaitEvent cuCtxSynchronize"
for point in $points; do
  for nth in 1 ${full:+2 3 7 20}; do
    run VGPU_FAIL="$point:$nth:999" -- "${V[@]}"
    # Later calls may never come; the first one does.
    missed=$([ "$nth" -gt 1 ] && ! grep -q "fails as asked" "$work/out" && echo yes)
    verdict "$point fails, call $nth" "$([ $code -eq 1 ] || [ $code -eq 77 ] ||
      { [ $code -eq 0 ] && [ "$missed" = yes ]; } && echo yes)"
  done
done

echo "$n end-to-end checks on the virtual GPU, $failed failed"
[ $failed -eq 0 ]
