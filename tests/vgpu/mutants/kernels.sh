#!/usr/bin/env bash
# kernels.sh: each mistake of kernels.txt must be caught; run.sh says how.
# timeout: 600
exec bash "$(dirname "$0")/run.sh" kernels
