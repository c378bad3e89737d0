#!/usr/bin/env bash
# untimed
# timeout: 300
# The storage lab over two directories and their stripe, tiny: every row verified, data found
# again, damage found, what cannot be said, files and devices only read.
set -u
. "$(dirname "$0")/lib.sh.inc"
mkdir "$work/a" "$work/b"
tiny=(--working-set 16MiB --model mha-125m --time 50ms --repeat 2)

expect 0 "$refill" storage --target "$work/a" --target "$work/b" --target "$work/a,$work/b" \
  "${tiny[@]}" --page-tokens 16,64 --queue-depth 4 --engine uring,pread -o "$work/rows.json" \
  --csv "$work/rows.csv"
json "$work/rows.json" 'len(r["rows"]) == 3 * 2 * 2 * 2'
json "$work/rows.json" \
  'all(x["wrong_bytes"] == 0 and x["checked_bytes"] > 0 and not x["refused"] for x in r["rows"])'
json "$work/rows.json" \
  'all(len(x["read_bytes_per_s"]["samples"]) == 2 for x in r["rows"] if x["rw"] == "read")'
json "$work/rows.json" \
  'all(math.isclose(x["storage_read_s_per_token"] * m(x, "read_bytes_per_s"), 36864, rel_tol=1e-6)
    for x in r["rows"] if x["rw"] == "read")'
json "$work/rows.json" \
  'all(x["page_latency_s"]["p50"] <= x["page_latency_s"]["p999"] for x in r["rows"])'
json "$work/rows.json" 'all("fio --name=" in x["fio_command"] for x in r["rows"])'
json "$work/rows.json" 'any(w["name"] == "working-set-small" for w in r["warnings"])'
json "$work/rows.json" \
  'all(x["whole_checked_bytes"] == x["whole_bytes"] == 16 << 20 for x in r["targets"])'
grep -q 'After the last round all data, 48.0 MiB, was checked' "$work/out" ||
  fail "$(cat "$work/out")"
[ "$(ls "$work/a" | wc -l)" = 1 ] || fail "left in the target: $(ls "$work/a")"

# Found again; layouts, syncs, streams, mixed, T from a profile.
expect 0 "$refill" storage --target "$work/a" "${tiny[@]}" --layers 12 --page-tokens 16 \
  --queue-depth 4 --layout layer-major,token-major --rw read,write --sync-at never,end,layer \
  --write-to reused,fresh --preallocate off --alpha 0.01 -o "$work/writes.json"
grep -q writing "$work/err" && fail "the data was made again"
json "$work/writes.json" 'len(r["rows"]) == 2 * (1 + 2 * 3)'
json "$work/writes.json" 'all(x["wrong_bytes"] == 0 for x in r["rows"])'
expect 0 "$refill" storage --target "$work/a" --working-set 16MiB --time 50ms --repeat 2 \
  --page-size 64Ki --queue-depth 4 --rw read,mixed --streams 3 --alpha 0.01 \
  --compute playback:h100-sxm-llama-3-70b -o "$work/streams.json"
json "$work/streams.json" 'len(r["rows"][0]["stream_bytes_per_s"]["samples"]) == 6'
json "$work/streams.json" \
  'all(s <= 1.01 * max(r["rows"][0]["read_bytes_per_s"]["samples"])
    for s in r["rows"][0]["stream_bytes_per_s"]["samples"])'
json "$work/streams.json" 'r["rows"][1]["write_asked_bytes_per_s"] > 1e8'
expect 0 "$refill" storage --target "$work/a" --working-set 16MiB --model mha-125m --layers 1 \
  --tokens 64 --page-tokens 64 --queue-depth 8 --rw read --streams 256 --repeat 5 \
  -o "$work/many.json"
json "$work/many.json" 'len(r["rows"][0]["stream_bytes_per_s"]["samples"]) == 5 * 256 // 2'
json "$work/streams.json" \
  'r["targets"][0]["summary"][0]["e"] > 0'
json "$work/streams.json" 'r["targets"][0]["summary"][0]["model_pipelined_s"] > 0'

# Each page a file: found again, of a stripe too; new ones go, and what cannot be is refused.
pages=(--rw read,write --write-to reused,fresh --layout layer-major,file-per-page)
expect 0 "$refill" storage --target "$work/a" --target "$work/a,$work/b" "${tiny[@]}" \
  --page-tokens 16 --queue-depth 4 --engine uring,pread "${pages[@]}" -o "$work/files.json"
json "$work/files.json" 'len(r["rows"]) == 2 * 2 * 2 * 3'
json "$work/files.json" \
  'all(x["wrong_bytes"] == 0 and x["checked_share"] > 0 and not x["refused"] for x in r["rows"])'
json "$work/files.json" \
  'all(("clos" in x["obtained"]) == (x["layout"] == "file-per-page") for x in r["rows"])'
# The data file and the pages, of which the last is not whole.
json "$work/files.json" \
  'r["targets"][0]["whole_checked_bytes"] == (16 << 20) + (16 << 20) // 49152 * 49152'
[ "$(ls "$work"/a/refill-pages-49152 | wc -l)" = 342 ] || fail "$(ls "$work"/a/refill-pages-49152)"
[ -z "$(ls -d "$work"/*/refill-pages-new-* 2>/dev/null)" ] || fail "new pages were left"
truncate -s 8192 "$work/a/refill-pages-49152/00000005"
for engine in uring pread; do
  expect 1 "$refill" storage --target "$work/a" "${tiny[@]}" --page-tokens 16 --queue-depth 32 \
    --rw read --layout file-per-page --engine $engine
  says 'at byte 0 of .*/refill-pages-49152/00000005 (page 5): No data'
done
rm -r "$work/a/refill-pages-49152"
expect 0 "$refill" storage --target "$work/a" "${tiny[@]}" --page-tokens 16 --layout file-per-page \
  --queue-depth 4 --engine uring,mmap --rw read,write --sync-at never,end -o "$work/files.json"
json "$work/files.json" \
  'sorted(bool(x["refused"]) for x in r["rows"]) == [False] * 2 + [True] * 4'

# Killed while it makes pages or writes new ones: the next run goes on from there.
mkdir "$work/killed"
killed=("$refill" storage --target "$work/killed" --working-set 64MiB --model mha-125m --time 50ms
  --repeat 1 --page-tokens 16 --queue-depth 4 --layout file-per-page --write-to fresh)
for after in 0.1 0.2 0.4 0.5; do timeout -s KILL $after "${killed[@]}" >/dev/null; done 2>/dev/null
expect 0 "${killed[@]}" -o "$work/killed.json"
json "$work/killed.json" 'all(x["wrong_bytes"] == 0 and not x["refused"] for x in r["rows"])'
[ -z "$(ls -d "$work"/killed/refill-pages-new-* 2>/dev/null)" ] || fail "new pages were left"
rm -r "$work/killed"

# Ctrl-C while the data is made: nothing was measured, so there is no result, and no file stays.
mkdir "$work/early"
early=("$refill" storage --target "$work/early" --model mha-125m --working-set 1GiB)
"${early[@]}" -o "$work/early.json" >"$work/out" 2>"$work/err" &
for try in $(seq 200); do grep -q writing "$work/err" && break; sleep 0.05; done
kill -INT $!
wait $! && fail "exit 0 after Ctrl-C while the data is made"
says 'interrupted while the lab'
[ ! -s "$work/out" ] || fail "a table of nothing: $(cat "$work/out")"
[ ! -e "$work/early.json" ] || fail "a result of nothing"
[ -z "$(ls -A "$work/early")" ] || fail "Ctrl-C left $(ls -A "$work/early")"

# A damaged block fails the run.
cp "$(ls "$work"/a/refill-*.kv | head -1)" "$work/b/named.kv"
printf 'damage' | dd of="$work/b/named.kv" bs=1 seek=9000000 conv=notrunc 2>/dev/null
expect 1 "$refill" storage --target "$work/b/named.kv" --model mha-125m --time 300ms \
  --repeat 4 --rw read --page-tokens 16 --queue-depth 4
says "came back wrong"

# One that the timed passes, of 12 pages each, never came across: the look at all of it finds it.
damaged=("$refill" storage --target "$work/b/named.kv" --model mha-125m --rw read --repeat 1
  --streams 1 --alpha 0.001 --tokens 4096 --page-tokens 16 --queue-depth 4 -o "$work/damaged.json")
for at in 70000 9000000 16000000; do
  cp "$(ls "$work"/a/refill-*.kv | head -1)" "$work/b/named.kv"
  printf 'damage' | dd of="$work/b/named.kv" bs=1 seek=$at conv=notrunc 2>/dev/null
  expect 1 "${damaged[@]}"
  says "blocks came back wrong, the first at byte $((at / 4096 * 4096)) of $work/b/named.kv"
  json "$work/damaged.json" \
    'r["rows"][0]["wrong_bytes"] == 4096'
done

# A file is only read; without prefill's rate there is no mixed; cufile says why not.
head -c 1000000 /dev/urandom >"$work/plain"
expect 0 "$refill" storage --target "$work/plain" "${tiny[@]}" --page-tokens 16 --queue-depth 2 \
  --rw read,write -o "$work/plain.json"
json "$work/plain.json" \
  'r["rows"][0]["wrong_bytes"] is None and "only read" in r["rows"][1]["refused"]'
expect 77 "$refill" storage --target "$work/a" "${tiny[@]}" --rw mixed
says "give --compute"
expect 77 "$refill" storage --target "$work/a" "${tiny[@]}" --rw read --engine cufile
says "engine uring"
expect 2 "$refill" storage --target "$work/a" --engine uring,libaio

# An engine that only acts as a drive: labelled in each row, judged by nobody, never the best.
expect 0 "$refill" storage --target "$work/a" "${tiny[@]}" --page-tokens 16 --queue-depth 4 \
  --rw read,write --engine null,null:read=2GB/s,uring --csv "$work/null.csv" -o "$work/null.json"
says 'acts as a drive'
json "$work/null.json" \
  'all(x["emulated"] and x["wrong_bytes"] is None and x["checked_bytes"] == 0 and not x["cold"]
    for x in r["rows"] if x["engine"].startswith("null"))'
json "$work/null.json" 'sum(x["emulated"] for x in r["rows"]) == 4 and len(r["rows"]) == 6'
json "$work/null.json" \
  'not r["rows"][r["targets"][0]["summary"][0]["best_read_row"]]["emulated"]'
[ "$(grep -c 'null.*emulated' "$work/null.csv")" = 4 ] || fail "$(cat "$work/null.csv")"
[ "$(grep -c 'null.*emulated' "$work/out")" = 4 ] || fail "$(cat "$work/out")"

# A name may be of any bytes, and a refusal have it in its words.
mkdir "$work/latin"$'\xe9'
expect 0 "$refill" storage --target "$work/latin"$'\xe9' "${tiny[@]}" --page-size 64Ki,64Mi \
  --queue-depth 4 --rw read -o "$work/latin.json"
json "$work/latin.json" '"latin?" in r["rows"][1]["refused"] and r["rows"][0]["target"][-1] == "?"'
json "$work/latin.json" 'r["answer"] and r["targets"][0]["members"]'

# A target that cannot be used is told before anything is written to the others.
mkdir "$work/unused"
: >"$work/nothing"
expect 1 "$refill" storage --target "$work/unused" --target "$work/missing"
says 'missing: No such .*mkdir -p'
expect 1 "$refill" storage --target "$work/unused,$work/missing/file"
says 'missing/file: No such '
expect 2 "$refill" storage --target "$work/unused" --destroy-data-on "$work/unused"
says 'not a block device'
expect 2 "$refill" storage --target "$work/unused" --compute "$work/plain"
says 'accepted: a result of refill calibrate'
expect 2 "$refill" storage --target "$work/unused" --compute playback:nonsense
says 'built in: '
[ -z "$(ls -A "$work/unused")" ] || fail "refused, and yet it left $(ls -A "$work/unused")"
expect 2 "$refill" storage --target "$work/nothing"
says 'at least 4096 bytes'
if [ "$(id -u)" = 0 ] && command -v setpriv >/dev/null; then
  chmod 755 "$work"
  cp "$refill" "$work/refill"
  chmod 600 "$work/plain"
  another=(setpriv --reuid=65534 --regid=65534 --clear-groups "$work/refill" storage "${tiny[@]}")
  expect 1 "${another[@]}" --target "$work/plain"
  says 'plain: Permission denied; run as a user'
  chmod 644 "$work/plain" # in a directory where that user may write nothing
  expect 0 "${another[@]}" --target "$work/plain" --page-tokens 16 --queue-depth 2 --rw read
fi
finish
