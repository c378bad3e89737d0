/*
 * The planner's inputs: what each slider sets, how its position becomes a value, and how the page's
 * address keeps the setting.
 */

/* name of the input, label, unit, units of the input in one shown, smallest and largest shown;
 * logarithmic but where `linear`, whole numbers where `whole`; `assumed`: its default is ours.
 * Groups are closed at first where `closed`. */
const WHOLE = {
  whole: true
},
      OURS = {
        assumed: true
      },
      LINEAR = {
        linear: true
      };
const input = (name, label, unit, per, min, max, more) =>
    ({name, label, unit, per, min, max, ...more});
const CONTROLS = [
  {
    legend: "Workload",
    controls: [
      input("context_tokens", "Context, N", "tokens", 1, 128, 2097152, WHOLE),
      input("concurrency", "Concurrency", "requests", 1, 1, 10000, WHOLE),
      input("alpha", "Reused share, α", "", 1, 0, 1, {...LINEAR, ...OURS}),
      input("n_out_tokens", "Output, N_out", "tokens", 1, 1, 32768, {...WHOLE, ...OURS}),
    ]
  },
  {
    legend: "What users accept (SLA)",
    controls: [
      input("sla_ttft_s", "Time to first token", "s", 1, 0.02, 600),
      input("sla_tpot_s", "Time per output token", "ms", 1e-3, 1, 1000),
    ]
  },
  {
    legend: "Local NVMe of a server",
    controls: [
      input("drives", "Drives", "", 1, 1, 32, {...LINEAR, ...WHOLE}),
      input("drive_read_bytes_per_s", "Read, one drive", "GB/s", 1e9, 0.05, 200),
      input("drive_write_bytes_per_s", "Write, one drive", "GB/s", 1e9, 0.02, 200, OURS),
      input("drive_bytes", "Capacity, one drive", "TB", 1e12, 0.1, 256),
    ]
  },
  {
    legend: "External storage, once local is full",
    controls: [
      input("external_bytes_per_s", "Bandwidth", "GB/s", 1e9, 0.1, 1000),
      input("external_usd_per_gb_month", "Cost", "$/GB/month", 1, 0.001, 5),
    ]
  },
  {
    legend: "GPU server",
    controls: [
      input("tp_base", "GPUs per server", "", 1, 1, 16, {...LINEAR, ...WHOLE}),
      input("flops_per_s", "Effective TFLOPS per GPU", "TFLOPS", 1e12, 0.01, 5000),
      input("gpu_usd_per_hour", "GPU cost", "$/hour", 1, 0.1, 30),
      input("hbm_bytes", "HBM per GPU", "GB", 1e9, 8, 512),
      input("hbm_bytes_per_s", "HBM bandwidth", "TB/s", 1e12, 0.05, 20),
    ]
  },
  {
    legend: "Model",
    controls: [
      input("params", "Parameters", "billion", 1e9, 0.05, 5000),
      input("weights_bytes", "Weights", "GB", 1e9, 0.05, 10000),
      input("kv_bytes_per_token", "KV per token", "KiB", 1024, 0.25, 8192),
    ]
  },
  {
    legend: "Conversation",
    closed: true,
    controls: [
      input("turns", "Turns", "", 1, 1, 100, {...WHOLE, ...OURS}),
      input("prompt_tokens", "A user's message", "tokens", 1, 1, 131072, {...WHOLE, ...OURS}),
    ]
  },
  {
    legend: "Where KV is kept",
    closed: true,
    controls: [
      input("prefixes", "Prefixes that come back", "", 1, 1, 1e6, {...WHOLE, ...OURS}),
      input("replicas", "Replicas", "", 1, 1, 256, {...WHOLE, ...OURS}),
      input("locality", "Requests that return to their replica", "", 1, 0, 1, {...LINEAR, ...OURS}),
      input("dram_bytes", "DRAM for KV, a server", "GB", 1e9, 1, 8000, OURS),
      input("dram_bytes_per_s", "DRAM to GPUs", "GB/s", 1e9, 1, 1000, OURS),
    ]
  },
];

const SLIDER_STEPS = 1000;
const ADDRESS = "#plan:";

/* ---- a slider's position and its value ---- */

function toPosition(control, value) {
  const shown = Math.min(control.max, Math.max(control.min, value / control.per));
  const share = control.linear
                    ? (shown - control.min) / (control.max - control.min)
                    : Math.log(shown / control.min) / Math.log(control.max / control.min);
  return Math.round(share * SLIDER_STEPS);
}

function fromPosition(control, position) {
  const share = position / SLIDER_STEPS;
  const shown = control.linear ? control.min + share * (control.max - control.min)
                               : control.min * (control.max / control.min) ** share;
  const rounded = control.whole ? Math.round(shown) : Number(shown.toPrecision(3));
  return Math.min(control.max, Math.max(control.min, rounded)) * control.per;
}

const shownText = (control, value) =>
    `${significant(value / control.per, 4)}${control.unit ? " " + control.unit : ""}`;

/* ---- the setting in the address: what differs from the start ---- */

function readAddress() {
  const values = {};
  if (!location.hash.startsWith(ADDRESS)) return {start: 0, values};
  const query = new URLSearchParams(location.hash.slice(ADDRESS.length));
  for (const control of CONTROLS.flatMap((group) => group.controls)) {
    const given = query.has(control.name) ? Number(query.get(control.name)) : NaN;
    if (Number.isFinite(given) && given >= 0)
      values[control.name] = Math.min(control.max, Math.max(control.min, given / control.per)) *
                             control.per;
  }
  return {start: Number(query.get("start")) || 0, values};
}

function writeAddress(state) {
  const query = new URLSearchParams();
  if (state.start > 0) query.set("start", state.start);
  const initial = state.starts[state.start].values;
  for (const [name, value] of Object.entries(state.planner.values()))
    if (value !== initial[name]) query.set(name, Number(value.toPrecision(12)));
  const hash = query.toString() ? ADDRESS + query : "";
  try {
    history.replaceState(null, "", hash || location.pathname + location.search);
  } catch (refused) { /* some browsers refuse it on files: the setting is then not in the address */
  }
}
