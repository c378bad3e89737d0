#!/usr/bin/env bash
# untimed
# io/ builds with the liburing of Ubuntu 22.04, 2.1, which has fewer functions than ours here: what
# io/ calls was looked up in its headers and is listed below. Constants that came later have an
# #ifndef with the kernel's value beside their use.
set -u
cd "$(dirname "$0")/../.." || exit 1
in_2_1='
io_uring_cq_advance io_uring_cqe io_uring_for_each_cqe io_uring_get_sqe io_uring_getevents_arg
io_uring_params io_uring_prep_close io_uring_prep_fsync io_uring_prep_nop
io_uring_prep_openat_direct io_uring_prep_read io_uring_prep_read_fixed io_uring_prep_write
io_uring_prep_write_fixed io_uring_queue_exit io_uring_queue_init io_uring_queue_init_params
io_uring_register_buffers io_uring_register_files io_uring_sq_ready io_uring_sq_space_left
io_uring_sqe io_uring_submit io_uring_unregister_buffers io_uring_wait_cqe
IORING_ENTER_EXT_ARG IORING_ENTER_GETEVENTS IORING_FEAT_EXT_ARG IORING_FSYNC_DATASYNC
IORING_REGISTER_ENABLE_RINGS IORING_SETUP_IOPOLL IORING_SETUP_R_DISABLED IORING_SETUP_SQPOLL
IOSQE_FIXED_FILE IOSQE_IO_HARDLINK IOSQE_IO_LINK'
failures=0 n=0

# What a file uses of liburing, comments, texts and file names left out.
used() {
  "${CC:-cc}" -fpreprocessed -dD -E -P "$1" 2>/dev/null | sed 's/"[^"]*"//g' |
    grep -oE '\b(io_uring_[a-z_]+|IO(RING|SQE)_[A-Z0-9_]+)\b' | sort -u
}

has_own_value() {
  grep -q "^#ifndef $1\$" "$2"
}

for file in io/*.c io/*.h; do
  grep -qE 'liburing|engine_uring\.h' "$file" || continue
  for name in $(used "$file"); do
    case $name in io_uring_disabled | io_uring_enter | io_uring_setup | io_uring) continue ;; esac
    n=$((n + 1))
    if ! grep -qw "$name" <<<"$in_2_1" && ! has_own_value "$name" "$file"; then
      echo "FAILED: $file uses $name: not in liburing 2.1, or not looked up there yet"
      failures=$((failures + 1))
    fi
  done
done
[ $n -ge 40 ] || { echo "FAILED: only $n uses were seen" && failures=$((failures + 1)); }
echo "$n uses of liburing, $failures failures"
[ $failures = 0 ]
