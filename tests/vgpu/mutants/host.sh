#!/usr/bin/env bash
# host.sh: each mistake of host.txt must be caught; run.sh says how.
# timeout: 600
exec bash "$(dirname "$0")/run.sh" host
