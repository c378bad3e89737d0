/*
 * The planner's inputs: what each slider sets, how its position becomes a value, and how the page's
 * address keeps the setting.
 */

/* name of the input, label, unit, units of the input in one shown, smallest and largest shown;
 * logarithmic but where `linear`, whole numbers where `whole`; `assumed`: its default is ours. */
const CONTROLS = [
  [
    "Workload",
    [
      {
        name: "context_tokens",
        label: "Context, N",
        unit: "tokens",
        per: 1,
        min: 128,
        max: 2097152,
        whole: true
      },
      {
        name: "concurrency",
        label: "Concurrency",
        unit: "requests",
        per: 1,
        min: 1,
        max: 10000,
        whole: true
      },
      {
        name: "alpha",
        label: "Reused share, α",
        unit: "",
        per: 1,
        min: 0,
        max: 1,
        linear: true,
        assumed: true
      },
      {
        name: "n_out_tokens",
        label: "Output, N_out",
        unit: "tokens",
        per: 1,
        min: 1,
        max: 32768,
        whole: true,
        assumed: true
      },
    ]
  ],
  [
    "What users accept (SLA)",
    [
      {name: "sla_ttft_s", label: "Time to first token", unit: "s", per: 1, min: 0.02, max: 600},
      {
        name: "sla_tpot_s",
        label: "Time per output token",
        unit: "ms",
        per: 1e-3,
        min: 1,
        max: 1000
      },
    ]
  ],
  [
    "GPU server",
    [
      {name: "hbm_bytes", label: "HBM per GPU", unit: "GB", per: 1e9, min: 8, max: 512},
      {
        name: "hbm_bytes_per_s",
        label: "HBM bandwidth",
        unit: "TB/s",
        per: 1e12,
        min: 0.05,
        max: 20
      },
      {name: "gpu_usd_per_hour", label: "GPU cost", unit: "$/hour", per: 1, min: 0.1, max: 30},
      {
        name: "flops_per_s",
        label: "Effective TFLOPS per GPU",
        unit: "TFLOPS",
        per: 1e12,
        min: 0.01,
        max: 5000
      },
      {
        name: "tp_base",
        label: "GPUs per server",
        unit: "",
        per: 1,
        min: 1,
        max: 16,
        linear: true,
        whole: true
      },
    ]
  ],
  [
    "Local NVMe, per server",
    [
      {name: "nvme_bytes", label: "Capacity", unit: "TB", per: 1e12, min: 0.1, max: 500},
      {
        name: "nvme_bytes_per_s",
        label: "Read bandwidth",
        unit: "GB/s",
        per: 1e9,
        min: 0.1,
        max: 1000
      },
      {
        name: "write_bytes_per_s",
        label: "Write bandwidth",
        unit: "GB/s",
        per: 1e9,
        min: 0.05,
        max: 1000,
        assumed: true
      },
    ]
  ],
  [
    "External storage, once local is full",
    [
      {
        name: "external_bytes_per_s",
        label: "Bandwidth",
        unit: "GB/s",
        per: 1e9,
        min: 0.1,
        max: 1000
      },
      {
        name: "external_usd_per_gb_month",
        label: "Cost",
        unit: "$/GB/month",
        per: 1,
        min: 0.001,
        max: 5
      },
    ]
  ],
  [
    "Model",
    [
      {name: "params", label: "Parameters", unit: "billion", per: 1e9, min: 0.05, max: 5000},
      {name: "weights_bytes", label: "Weights", unit: "GB", per: 1e9, min: 0.05, max: 10000},
      {
        name: "kv_bytes_per_token",
        label: "KV per token",
        unit: "KiB",
        per: 1024,
        min: 0.25,
        max: 8192
      },
    ]
  ],
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
  for (const control of CONTROLS.flatMap(([, controls]) => controls)) {
    const given = query.has(control.name) ? Number(query.get(control.name)) : NaN;
    if (Number.isFinite(given) && given >= 0)
      values[control.name] =
          Math.min(control.max, Math.max(control.min, given / control.per)) * control.per;
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
