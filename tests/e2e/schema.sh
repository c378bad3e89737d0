#!/usr/bin/env bash
# untimed
# timeout: 400
# results/schema.json: it takes every kind of result that the program leaves, refuses each of them
# once a required field is gone or of another type, and declares every field there is. JSON lines
# are whole and carry what is common.
set -u
. "$(dirname "$0")/lib.sh.inc"
python3 -c 'import jsonschema' 2>/dev/null || {
  echo "SKIPPED: no Python module jsonschema: scripts/setup.sh test installs python3-jsonschema"
  exit 77
}
data=$work/data
mkdir "$data"
small=(--model mha-125m --layers 2 --tokens 273 --page-tokens 16)

expect 0 "$refill" sweep --device cpu "${small[@]}" --target "$data" --repeat 2 --alpha 0.3,0.9 \
  --policy serial,overlap -o "$work/sweep.json" --jsonl "$work/sweep.jsonl"
expect 0 "$refill" sweep --device playback:h100-sxm-llama-3-70b --layers 4 --tokens 1024,2048 \
  --alpha 0.9 --engine null:read=4GB/s,write=4GB/s --repeat 4 -o "$work/played.json" \
  --jsonl "$work/played.jsonl"
expect 0 "$refill" sweep --device cpu "${small[@]}" --engine null --store off \
  --policy recompute --repeat 1 -o "$work/recompute.json"
expect 0 "$refill" calibrate --device cpu "${small[@]}" --target "$data" --queue-depth 4 \
  --repeat 2 -o "$work/calibrate.json" --jsonl "$work/calibrate.jsonl"
expect 0 "$refill" calibrate --device cpu "${small[@]}" --engine null --repeat 1 \
  -o "$work/no-drive.json"
expect 0 "$refill" verify --device cpu "${small[@]}" --target "$data" -o "$work/verify.json" \
  --jsonl "$work/verify.jsonl"
expect 0 "$refill" doctor --target "$data" -o "$work/doctor.json"
expect 0 "$refill" plan -o "$work/plan.json"
expect 0 "$refill" plan --from "$work/sweep.json" --show all --alpha 0.1,0.9 --vary hbm=80..192GB \
  -o "$work/plan-all.json" --jsonl "$work/plan.jsonl"
expect 0 "$refill" plan --from "$work/calibrate.json" --turns 3 -o "$work/plan-turns.json"
expect 0 "$refill" compare "$work/played.json" "$work/played.json" -o "$work/compare.json" \
  --jsonl "$work/compare.jsonl"
expect 0 "$refill" compare "$work/calibrate.json" "$work/calibrate.json" -o "$work/compare-2.json"
lab=(--working-set 16MiB --time 30ms --repeat 1 --page-size 64Ki --queue-depth 4
  --compute playback:h100-sxm-llama-3-70b)
mkdir "$work/more"
fio=()
! command -v fio >/dev/null || fio=(--check-with-fio)
expect 0 "$refill" storage "${lab[@]}" --target "$data" --target "$data,$work/more" \
  --rw read,write,mixed --layout layer-major,token-major,file-per-page --write-to reused,fresh \
  -o "$work/storage.json" --jsonl "$work/storage.jsonl"
expect 0 "$refill" storage "${lab[@]}" --target "$data" --streams 2 --alpha 0.01 --rw read,write \
  "${fio[@]}" -o "$work/storage-fio.json"
expect 0 "$refill" storage "${lab[@]}" --target "$data" --engine null -o "$work/storage-null.json"

python3 - "$root/results/schema.json" "$work"/*.json <<'PY' || failures=$((failures + 1))
import json, sys
from jsonschema import Draft7Validator

schema = json.load(open(sys.argv[1]))
Draft7Validator.check_schema(schema)
validator = Draft7Validator(schema)
failures = 0

def fail(text):
    global failures
    failures += 1
    print("FAILED: " + text)

def resolve(part):
    while "$ref" in part:
        part = schema["definitions"][part["$ref"].rsplit("/", 1)[1]]
    return part

def properties(part, command=None):
    """All fields that a part of the schema declares."""
    part = resolve(part)
    found = dict(part.get("properties", {}))
    for other in part.get("allOf", []):
        if "if" in other and other["if"]["properties"]["command"]["const"] != command:
            continue
        found.update(properties(other.get("then", other), command))
    return found

def required(part, command=None):
    part = resolve(part)
    found = set(part.get("required", []))
    for other in part.get("allOf", []):
        if "if" in other and other["if"]["properties"]["command"]["const"] != command:
            continue
        found |= required(other.get("then", other), command)
    return found

def undeclared(value, part, path, command=None):
    """Fields of a result that the schema does not know: a new one is to be declared there."""
    part = resolve(part)
    if isinstance(value, list) and "items" in part:
        return [u for v in value for u in undeclared(v, part["items"], path + "[]")]
    known = properties(part, command)
    if not isinstance(value, dict) or not known:
        return []
    names = []
    for key, inner in value.items():
        if key in known:
            names += undeclared(inner, known[key], path + "." + key)
        elif "additionalProperties" not in part:
            names.append(path + "." + key)
    return names

whole = {"command_line", "gates"}  # arrays of a least length
optional = {".host.memory_available_bytes", ".host.turbo", ".host.thp", ".host.load_average",
            ".host.memlock_bytes", ".host.io_uring_disabled", ".host.nvidia_driver"}
mutated = set()  # commands whose fields were changed: one result of each does
for path in sys.argv[2:]:
    name = path.rsplit("/", 1)[1]
    result = json.load(open(path))
    command = result["command"]
    for error in list(validator.iter_errors(result))[:3]:
        fail(f"{name}: {list(error.absolute_path)}: {error.message[:200]}")
    unknown = sorted(set(undeclared(result, schema, "", command)) - optional)
    if unknown:
        fail(f"{name}: fields that results/schema.json does not declare: {', '.join(unknown)}")
    fields = required(schema, command)
    if len(fields) < 12:
        fail(f"{name}: only {len(fields)} fields are required")
    if command in mutated:
        continue
    mutated.add(command)
    short = {k: v[:1] if isinstance(v, list) and k not in whole else v
             for k, v in result.items()}
    for field in sorted(fields):
        for change in ("gone", "of another type"):
            broken = dict(short)
            if change == "gone":
                del broken[field]
            else:
                number = result[field] is None or isinstance(result[field], (int, float))
                broken[field] = {"of": "no field"} if number else 3.5
            if validator.is_valid(broken):
                fail(f"{name}: accepted with {field} {change}")
sys.exit(failures > 0)
PY

for lines in "$work"/*.jsonl; do
  python3 - "$lines" <<'PY' || fail "$(basename "$lines") is not what jsonl promises"
import json, sys
lines = [json.loads(line) for line in open(sys.argv[1])]
common = ["schema", "command", "started", "refill", "device", "model", "layers_run", "target",
          "row"]
sys.exit(not lines or any(list(line)[:9] != common for line in lines))
PY
done
finish
