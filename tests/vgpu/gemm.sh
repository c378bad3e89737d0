#!/usr/bin/env bash
# untimed
# gemm.sh: what becomes of cuBLASLt's proposals. One that does not run after all is passed over,
# whatever it says; when none is left the last one's words are told; and an error that ended the
# context ends the search too.
#
# Needs `make vgpu-build`; BUILD names the folder of the build (default: build).
set -u
. "$(dirname "$0")/lib.sh.inc"
V=(verify --model tests/shapes/tiny.json --page-tokens 16 --tokens 33)

# INVALID_VALUE, ALLOC_FAILED, EXECUTION_FAILED, INTERNAL_ERROR, NOT_SUPPORTED
for status in 7 3 13 14 15; do
  run VGPU_LEAKS=1 VGPU_CUBLASLT_REFUSES=2:$status -- "${V[@]}"
  expects 0 "the second proposal answers $status: another is taken" True
done
run VGPU_CUBLASLT_REFUSES=1:13 -- "${V[@]}" --gemm-tune off
expects 0 "the first that works fails, and times are not compared" True
run VGPU_CUBLASLT_REFUSES=1:7 -- "${V[@]}" --dtype fp8
expects 0 "FP8" 'r["rig"]["dtype"] == "fp8"'
run VGPU_FAIL=cublasLtMatmul:2:13 -- "${V[@]}"
expects 0 "a proposal fails when it is run again" True

run VGPU_CUBLASLT_REFUSES=1+:13 -- "${V[@]}"
says 1 "none is left" \
  "the QKV GEMM .*none of cuBLASLt's 3 proposals runs, the last: .*EXECUTION_FAILED .13."
run VGPU_FAIL=cuEventSynchronize:1:719 -- "${V[@]}"
says 1 "a fault ends the search" \
  "QKV GEMM .*cuEventSynchronize.tuning.: .*LAUNCH_FAILED.*; then .*LAUNCH_FAILED"

echo "$n checks of GEMM proposals on the virtual GPU, $failed failed"
[ $failed -eq 0 ]
