/*
 * The planner: a slider for every input of the cost model and for what a conversation looks like;
 * answers and charts at their setting. It starts from a measurement where the page has one, with
 * the published defaults beside. All arithmetic is model/ as WebAssembly (class Planner); here is
 * only what a person touches, and the setting in the page's address, so that it can be passed on.
 */

/* ---- where it starts ---- */

/* Inputs that a start from a result takes from it; the others stay as published. */
const MEASURED = [
  "context_tokens", "alpha", "flops_per_s", "tp_base", "nvme_bytes_per_s", "write_bytes_per_s",
  "params", "weights_bytes", "kv_bytes_per_token"
];
const ELEMENT_BYTES = {
  bf16: 2,
  fp16: 2,
  fp8: 1
};

/* The inputs that a result measured: null where it measured no rates, or its model is unknown. */
function startFrom(entry) {
  const result = entry.result, rates = ratesOf(result)[0],
        model = Planner.models().indexOf(modelOf(result));
  if (!rates || model < 0 || !Number.isFinite(rates.T.value)) return null;
  const planner = new Planner();
  planner.setModel(model, ELEMENT_BYTES[at(result, "rig", "dtype")] || 2,
                   ELEMENT_BYTES[at(result, "rig", "kv_dtype")] || 2);
  planner.set("context_tokens", rates.n_tokens);
  planner.set("tp_base", 1); /* rates are of one device and the drives that one box gave it */
  if (Number.isFinite(rates.best_alpha)) planner.set("alpha", rates.best_alpha);
  const share = num(at(result, "rig", "layers_run")) / num(at(result, "rig", "layers_model"));
  planner.setMeasured(rates.T.value, rates.R.value || 0, rates.W.value || 0,
                      share > 0 && share <= 1 ? share : 1);
  return {
    name: text(entry.file),
    values: planner.values(),
    labels: labelsOf(result),
    measured: MEASURED
  };
}

function startsOf(entries) {
  const first = answering(entries);
  const ordered = [first, ...entries.filter((e) => e !== first)].filter(Boolean);
  const published =
      {name: "published defaults", values: new Planner().values(), labels: [], measured: []};
  return {published, all: [...ordered.map(startFrom).filter(Boolean), published]};
}

/* ---- controls ---- */

function controlOf(control, state) {
  const id = "input-" + control.name, origin = el("span", {class: "origin", id: id + "-origin"});
  const slider = el(
      "input",
      {type: "range", id, min: 0, max: SLIDER_STEPS, step: 1, "aria-describedby": id + "-origin"});
  const box = el("input", {
    type: "number",
    id: id + "-exact",
    step: "any",
    min: control.min,
    max: control.max,
    "aria-label": `${control.label}${control.unit ? ", " + control.unit : ""}, exact`
  });
  const node =
      el("div", {class: "control"}, el("label", {for: id
         }, control.label), el("span", {class: "value"}, box, control.unit), slider, origin);
  const show = (typing) => {
    const value = state.planner.get(control.name),
          initial = state.starts[state.start].values[control.name];
    slider.value = toPosition(control, value);
    slider.setAttribute("aria-valuetext", shownText(control, value));
    if (!typing) box.value = Number((value / control.per).toPrecision(6));
    const published = `${control.assumed ? "assumed" : "published"} ${
        shownText(control, state.published.values[control.name])}`;
    origin.textContent = state.starts[state.start].measured.includes(control.name)
                             ? `here ${shownText(control, initial)}, ${published}`
                             : published;
    node.classList.toggle("changed", value !== initial);
  };
  const take = (value, typing) => {
    state.planner.set(control.name, value);
    show(typing);
    state.changed();
  };
  slider.addEventListener("input", () => take(fromPosition(control, Number(slider.value))));
  box.addEventListener("input", () => {
    const shown = box.value === "" ? NaN : Number(box.value);
    if (shown >= control.min && shown <= control.max) take(shown * control.per, true);
  });
  box.addEventListener("change", () => show());
  return {node, show};
}

function modelChooser(state) {
  const models = Planner.models();
  const select =
      el("select", {
        id: "planner-model",
        change() {
          const [index, weight, kv] = select.value.split(":").map(Number);
          if (select.value === "") return;
          state.planner.setModel(index, weight, kv);
          state.showAll();
          state.changed();
        }
      },
         el("option", {value: ""}, "Set from a model…"),
         models.flatMap((name, i) => [el("option", {value: `${i}:2:2`}, `${name}, bf16`),
                                      el("option", {value: `${i}:2:1`}, `${name}, bf16, KV fp8`),
                                      el("option", {value: `${i}:1:1`}, `${name}, fp8`)]));
  return el("div", {class: "control"}, el("label", {for: "planner-model"
            }, "Model"), select);
}

function startChooser(state) {
  const select =
      el("select", {id: "planner-start", change() { state.restart(Number(select.value)); }},
         state.starts.map((start, i) => el("option", {value: i},
                                           start === state.published ? "Published defaults"
                                                                     : `Measured: ${start.name}`)));
  state.showStart = () => { select.value = state.start; };
  return el("div", {class: "buttons"},
            el("label",
               {for: "planner-start"
               },
               "Start from "),
            select,
            el("button",
               {type: "button", id: "planner-reset", click() { state.restart(state.start); }},
               "Reset all"));
}

/* ---- put together ---- */

function onScreen(node) {
  const box = node.getBoundingClientRect();
  return box.bottom > 0 && box.top < innerHeight;
}

function plannerState(entries) {
  const {published, all} = startsOf(entries);
  const address = readAddress();
  const state = {
    published,
    starts: all,
    start: address.start < all.length && address.start >= 0 ? Math.floor(address.start) : 0,
    planner: new Planner(),
    controls: []
  };
  state.planner.setAll(state.starts[state.start].values);
  state.planner.setAll(address.values);
  state.showAll = () => {
    state.showStart();
    state.controls.forEach((c) => c.show());
  };
  state.restart = (start) => {
    state.start = start;
    state.planner.setAll(state.starts[start].values);
    state.showAll();
    state.changed();
  };
  return state;
}

function setUpPlanner(place, entries) {
  if (!wasm) {
    place.append(
        notice("The planner is not in this page: " + wasmProblem +
               ". Everything else is. `refill plan` has the same models on the command line."));
    return;
  }
  const state = plannerState(entries);
  const charts = plannerSpecs(state.planner, state.planner.evaluate())
                     .map((spec, i) => figureOf(spec, `planner-${i}`));
  const answers = el("ul", {class: "answers", id: "planner-answers"}),
        facts = el("dl", {class: "numbers"}), conditions = el("div", {});
  const refresh = () => {
    const planned = state.planner.evaluate();
    answers.replaceChildren(
        ...plannerAnswers(state.planner, planned).map((line) => el("li", {}, line)));
    facts.replaceChildren(
        ...plannerFacts(planned).map(([name, value, below]) => numberOf(name, value, below)));
    conditions.replaceChildren(
        ...[chips(state.starts[state.start].labels.concat({text: "predicted, not measured"}))]
            .filter(Boolean));
    return plannerSpecs(state.planner, planned);
  };
  let waiting = false, settled = 0;
  const redraw = (all) => refresh().forEach((spec, i) => {
    if (all || onScreen(charts[i].node)) charts[i].update(spec);
  });
  /* One redraw a frame, however fast a slider moves, and of what is in sight; the rest when it
   * rests. */
  state.changed = () => {
    if (!waiting)
      requestAnimationFrame(() => {
        waiting = false;
        redraw(false);
      });
    waiting = true;
    document.documentElement.dataset.planner = "moving";
    clearTimeout(settled);
    settled = setTimeout(() => {
      redraw(true);
      writeAddress(state);
      document.documentElement.dataset.planner = "settled";
    }, 60);
  };
  const groups =
      CONTROLS.map(([legend, controls]) => el("fieldset", {}, el("legend", {}, legend),
                                              legend === "Model" ? modelChooser(state) : null,
                                              controls.map((control) => {
                                                const made = controlOf(control, state);
                                                state.controls.push(made);
                                                return made.node;
                                              })));
  place.append(
      el("p", {},
         "What would other prompts, drives, GPUs or prices give? Each slider changes what " +
             "depends on it at once; the page's address keeps the setting, so it can be sent " +
             "to a colleague."),
      el("p", {class: "note"},
         "“here” is what the chosen result had or measured, “published” the default of the " +
             "cost model, the slides or a datasheet, “assumed” ours. TFLOPS is what a GPU " +
             "achieves, not its peak. Offload runs on the fewest GPUs that hold the model and " +
             "one request, in whole servers; context parallelism keeps every KV in HBM."),
      startChooser(state),
      el("div", {class: "planner"},
         el("form", {
           class: "controls",
           "aria-label": "Planner inputs",
           submit(event) { event.preventDefault(); }
         },
            groups),
         el("div", {},
            el("div", {class: "panel"}, el("h3", {}, "At this setting"), conditions, answers),
            facts, el("div", {class: "charts"}, charts.map((c) => c.node)))));
  state.showAll();
  redraw(true);
}
