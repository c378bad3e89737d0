/*
 * model/ as WebAssembly: the arithmetic of this page. Inputs and outputs are doubles in the
 * module's memory, found by the names that the module itself tells.
 */
let wasm = null; /* the module's exports, null where it could not be had */
let wasmProblem = "";

async function loadModel() {
  const encoded = document.getElementById("wasm").textContent.replace(/\s/g, "");
  if (!encoded) {
    wasmProblem = "this refill was built without a WebAssembly toolchain (clang, lld, wasi-libc)";
    return;
  }
  try {
    const bytes = Uint8Array.from(atob(encoded), (c) => c.charCodeAt(0));
    const module = await WebAssembly.instantiate(bytes, {});
    wasm = module.instance.exports;
  } catch (problem) {
    wasmProblem = "this browser does not run WebAssembly here (" +
                  text(String(problem && problem.message)) + ")";
  }
}

function wasmText(pointer) {
  const bytes = new Uint8Array(wasm.memory.buffer, pointer);
  return new TextDecoder().decode(bytes.subarray(0, bytes.indexOf(0)));
}

/* {name: byte offset} as nameOf(i), offsetOf(i) tell. */
function wasmNames(nameOf, offsetOf) {
  const names = {};
  for (let i = 0, pointer; (pointer = nameOf(i)) !== 0; i++) names[wasmText(pointer)] = offsetOf(i);
  return names;
}

/* A planner: its inputs by name; evaluate() and curves at them. */
class Planner {
  constructor() {
    this.inputs = wasmNames(wasm.planner_input_name, wasm.planner_input_offset);
    this.outputs = wasmNames(wasm.planner_output_name, wasm.planner_output_offset);
    this.at = (wasm.__heap_base.value + 15) & ~15;
    this.result = this.at + 8 * Object.keys(this.inputs).length;
    const needed = this.result + 8 * Object.keys(this.outputs).length;
    const missing = needed - wasm.memory.buffer.byteLength;
    if (missing > 0) wasm.memory.grow(Math.ceil(missing / 65536));
    this.view = new DataView(wasm.memory.buffer);
    wasm.planner_defaults(this.at);
  }
  get(name) { return this.view.getFloat64(this.at + this.inputs[name], true); }
  set(name, value) { this.view.setFloat64(this.at + this.inputs[name], value, true); }
  values() {
    return Object.fromEntries(Object.keys(this.inputs).map((name) => [name, this.get(name)]));
  }
  setAll(values) {
    for (const [name, value] of Object.entries(values))
      if (name in this.inputs) this.set(name, value);
  }
  evaluate() {
    wasm.planner_evaluate(this.at, this.result);
    return Object.fromEntries(
        Object.entries(this.outputs)
            .map(([name, offset]) => [name, this.view.getFloat64(this.result + offset, true)]));
  }
  ttftOnDrives(drives) { return wasm.planner_ttft_drives_s(this.at, drives); }
  speedup(alpha) { return wasm.planner_speedup(this.at, alpha); }
  tpot(batch, kind) { return wasm.planner_tpot_s(this.at, batch, kind); }
  usdPerMtok(batch, kind) { return wasm.planner_usd_per_mtok(this.at, batch, kind); }
  usdPerHour(concurrency, kind) { return wasm.planner_usd_per_hour(this.at, concurrency, kind); }
  setModel(index, weightBytes, kvBytes) {
    wasm.planner_set_model(this.at, index, weightBytes, kvBytes);
  }
  usersPerGpu(tpot_s, kind) { return wasm.planner_users_per_gpu(this.at, tpot_s, kind); }
  /* {tokens, fresh, alpha, recompute_s, reload_s, speedup} of a conversation's turn. */
  turn(turn) {
    const of = (what) => wasm.planner_turn(this.at, turn, what);
    const [tokens, fresh, alpha, recompute_s, reload_s, speedup] = [0, 1, 2, 3, 4, 5].map(of);
    return {tokens, fresh, alpha, recompute_s, reload_s, speedup};
  }
  setMeasured(T, R, W, layersShare, drives) {
    wasm.planner_set_measured(this.at, T, R, W, layersShare, drives);
  }
  static models() {
    const names = [];
    for (let i = 0, pointer; (pointer = wasm.planner_model_name(i)) !== 0; i++)
      names.push(wasmText(pointer));
    return names;
  }
}

/* `n` values from `from` to `to`, evenly or by equal factors. */
function span(from, to, n, logarithmic) {
  return Array.from({length: n}, (_, i) => {
    const share = i / (n - 1);
    return logarithmic ? from * (to / from) ** share : from + (to - from) * share;
  });
}
