#!/usr/bin/env bash
# timeout: 600
# `refill report` and its page, in headless Chromium: what it refuses, what it draws, and that a
# hostile result neither runs nor breaks anything. tests/e2e/report_page.py holds the checks.
set -u
. "$(dirname "$0")/lib.sh.inc"

# The system's python3 has the system's selenium, whatever else is called python3 here.
python=
for candidate in python3 /usr/bin/python3; do
  "$candidate" -c 'import selenium' 2>/dev/null && python=$candidate && break
done
chromium=$(command -v chromium || command -v chromium-browser || command -v google-chrome || true)
driver=$(command -v chromedriver || true)
if [ -z "$python" ] || [ -z "$chromium" ] || [ -z "$driver" ]; then
  echo "no headless browser here: apt-get install chromium chromium-driver python3-selenium"
  exit 77
fi

cd "$work" || exit 1
playback=(--device playback:h100-sxm-llama-3-70b --seed 3)
played=(sweep "${playback[@]}" --tokens 1024 --budget 30s --alpha 0.3,0.6,0.8,0.95 --repeat 3)
aside "$refill" "${played[@]}" --engine null:read=7GB/s,write=5GB/s \
  -o sweep.json --trace sweep-trace.json
aside "$refill" "${played[@]}" --engine null:read=20GB/s,write=20GB/s -o faster.json
expect 0 "$refill" calibrate --device cpu --model mha-125m --layers 1 --tokens 128 --repeat 2 \
  --budget 5s \
  --page-tokens 16,64 --queue-depth 4 --target "$work" -o calibrate.json
expect 0 "$refill" verify --device cpu --model mha-125m --layers 1 --tokens 128 \
  --target "$work" -o verify.json
mkdir one two
storage() {
  expect 0 "$refill" storage --target one --target two --working-set 8MiB --time 5ms --repeat 5 \
    --queue-depth 2,8 --compute playback:h100-sxm-llama-3-70b "$@"
}
storage --page-tokens 16,64 --rw read,write -o storage.json
storage --page-tokens 16,128 --rw read,write -o later.json
"$refill" doctor --target "$work" -o doctor.json >/dev/null 2>&1
joined

# ---- what it refuses, each with a clear word and exit 2 ----
sed 's|"refill/1"|"refill/9"|' sweep.json >other-schema.json
expect 2 "$refill" report other-schema.json && says refill/9
expect 2 "$refill" report sweep-trace.json && says "name its result first"
sed '0,/"alpha": [0-9.]*/s//"alpha": NaN/' sweep.json >nan.json
expect 2 "$refill" report nan.json && says "not JSON"
expect 2 "$refill" report absent.json && says absent.json
expect 2 "$refill" report
echo '<p>a letter</p>' >letter.html
expect 2 "$refill" report sweep.json -o letter.html && says letter.html
[ "$(cat letter.html)" = '<p>a letter</p>' ] || fail "a file that is no report was replaced"
expect 0 "$refill" report sweep.json -o page.html
expect 0 "$refill" report sweep.json sweep-trace.json -o page.html # its own it may replace

# ---- twenty results under a second (the machine may be busy: the best of so many tries) ----
twenty=()
for i in $(seq 20); do
  cp sweep.json "copy-$i.json"
  twenty+=("copy-$i.json")
done
best_ms=100000
for try in $(seq 20); do
  [ "$best_ms" -lt 1000 ] && break
  since=$(date +%s%N)
  expect 0 "$refill" report "${twenty[@]}" -o twenty.html
  took_ms=$((($(date +%s%N) - since) / 1000000))
  [ "$took_ms" -lt "$best_ms" ] && best_ms=$took_ms
done
echo "20 results: $best_ms ms"
[ "$best_ms" -lt 1000 ] || fail "20 results took $best_ms ms"

# Two browsers beside each other, each with half of the parts.
expect 0 "$refill" report sweep.json sweep-trace.json faster.json calibrate.json verify.json \
  doctor.json storage.json later.json -o page.html
mkdir tmp # what Chromium leaves there goes with the rest
export CHROMIUM=$chromium CHROMEDRIVER=$driver TMPDIR=$work/tmp
page=("$python" "$root/tests/e2e/report_page.py" "$refill" "$root" "$work")
"${page[@]}" keyboard screens hostile bare >others.txt 2>&1 &
"${page[@]}" page sliders address arithmetic || fail "the page, see above"
wait $! || fail "the page, see below"
cat others.txt
finish
