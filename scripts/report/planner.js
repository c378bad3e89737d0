/*
 * The planner: a slider for every input of the cost model and for what a conversation looks like;
 * answers and charts at their setting. It starts from a measurement where the page has one, with
 * the published defaults beside. All arithmetic is model/ as WebAssembly (class Planner); here is
 * only what a person touches, and the setting in the page's address, so that it can be passed on.
 */

/* ---- where it starts ---- */

const ELEMENT_BYTES = {
  bf16: 2,
  fp16: 2,
  fp8: 1
};

/* Bytes of KV a token, all layers, of a model that is no preset: from the size of its pages. */
function kvBytesPerToken(result) {
  const row = list(result.rows)[0], {all} = layersOf(result);
  const payload = num(at(result, "rig", "page_payload_bytes") ?? at(row, "page_bytes"));
  const tokens = num(at(result, "rig", "page_tokens") ?? at(row, "page_tokens"));
  return payload / tokens * all;
}

/* Sets the model that was run, as far as it is known; names the inputs that this sets. */
function takeModel(planner, result) {
  const model = Planner.models().indexOf(modelOf(result));
  const element = (name) => at(result, "rig", name) ?? at(result, "config", name);
  if (model >= 0) {
    planner.setModel(model, ELEMENT_BYTES[element("dtype")] || 2,
                     ELEMENT_BYTES[element("kv_dtype")] || 2);
    return ["params", "weights_bytes", "kv_bytes_per_token"];
  }
  const kv = kvBytesPerToken(result);
  if (!(kv > 0)) return [];
  planner.set("kv_bytes_per_token", kv);
  return ["kv_bytes_per_token"];
}

/* Drives behind the target: a stripe set is typed as one, or told by its members. */
function drivesOf(result, rates) {
  const target = list(result.targets)[rates.place];
  const typed = text(list(at(result, "config", "targets"))[0]).split(",").length;
  return Math.max(1, target ? list(at(target, "members")).length : typed);
}

/* The inputs that a result measured; null where it measured no rates of a known model. T is of one
 * device; without a GPU in the box a server of the planner has that one. */
function startFrom(entry, rates, first) {
  const result = entry.result, planner = new Planner();
  const measured = ["context_tokens", "drives", ...takeModel(planner, result)];
  const known = ([value]) => value > 0;
  const rate = [
    [rates.T.value, "flops_per_s"], [rates.R.value, "drive_read_bytes_per_s"],
    [rates.W.value, "drive_write_bytes_per_s"]
  ].filter(known);
  if (measured.length < 3 || !rate.length) return null;
  planner.set("context_tokens", rates.n_tokens);
  if (rates.T.value > 0) {
    planner.set("tp_base", list(at(result, "host", "nvidia_devices")).length || 1);
    measured.push("tp_base");
  }
  if (Number.isFinite(rates.best_alpha)) {
    planner.set("alpha", rates.best_alpha);
    measured.push("alpha");
  }
  const {run, all} = layersOf(result), share = run / all;
  planner.setMeasured(rates.T.value || 0, rates.R.value || 0, rates.W.value || 0,
                      share > 0 && share <= 1 ? share : 1, drivesOf(result, rates));
  const of = rates.target || (first ? "" : `${format.count(rates.n_tokens)} tokens`);
  return {
    name: [text(entry.file), of].filter(Boolean).join(": "),
    values: planner.values(),
    labels: labelsOf(result),
    measured: [...measured, ...rate.map(([, name]) => name)]
  };
}

function startsOf(entries) {
  const first = answering(entries);
  const ordered = [first, ...entries.filter((e) => e !== first)].filter(Boolean);
  const published =
      {name: "published defaults", values: new Planner().values(), labels: [], measured: []};
  const starts =
      ordered.flatMap((entry) => ratesOf(entry.result).map((r, i) => startFrom(entry, r, i === 0)));
  return {published, all: [...starts.filter(Boolean).slice(0, 40), published]};
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
  state.showStart = () => {
    select.value = state.start;
    state.conditions.replaceChildren(
        chips(state.starts[state.start].labels.concat({text: "predicted, not measured"})));
  };
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
    charts: 0, /* made so far: their ids */
    conditions: el("div", {}),
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

/* ---- sections: a question, its answers in sentences, its charts ---- */

function sectionOf(section, state) {
  const answers = el("div", {class: "answers"}), id = "planner-" + section.id;
  const charts = section.charts.map((make) => ({make, figure: null}));
  const now = state.planner.evaluate();
  for (const chart of charts)
    chart.figure = figureOf(chart.make(state.planner, now), "planner-" + state.charts++);
  const node = el("section", {class: "question", id, "aria-labelledby": id + "-title"},
                  el("h3", {id: id + "-title", tabindex: -1}, section.title), answers,
                  el("div", {class: "charts"}, charts.map((c) => c.figure.node)));
  return {
    node,
    say(planned) {
      answers.replaceChildren(
          ...section.answers.map((make) => el("p", {}, make(state.planner, planned))));
    },
    charts
  };
}

function questionButtons(state) {
  return el("div", {class: "buttons", role: "group", "aria-label": "Questions to ask"},
            QUESTIONS.map((question) => el("button", {
                            type: "button",
                            class: "ask",
                            click() {
                              state.planner.setAll(question.set);
                              state.showAll();
                              state.changed();
                              const title =
                                  document.getElementById(`planner-${question.section}-title`);
                              title.scrollIntoView({block: "start"});
                              title.focus({preventScroll: true});
                            }
                          },
                                           question.text)));
}

const WIDE = 62 * 16; /* as in report.css */

function controlGroups(state) {
  const wide = innerWidth >= WIDE; /* on a phone the sliders would hide the answers */
  return CONTROLS.map(
      ({legend, controls, closed}) =>
          el("details", {class: "group", open: !closed && (wide || legend === "Workload")},
             el("summary", {}, legend), legend === "Model" ? modelChooser(state) : null,
             controls.map((control) => {
               const made = controlOf(control, state);
               state.controls.push(made);
               return made.node;
             })));
}

const FRAME_MS = 5;  /* of a frame's 16 for charts: the browser wants the rest */
const RESTS_MS = 60; /* without a move */

/* Sets state.changed(). However fast a slider moves, a frame says the words and draws charts until
 * its time is up, those in sight first come first served; the next frame goes on. What is out of
 * sight is drawn when the slider rests, and only then is the setting put into the address. */
function redrawing(state, charts, say) {
  let pending = [], scheduled = false, said = true, resting = false, timer = 0;
  const schedule = () => {
    if (!scheduled) requestAnimationFrame(frame);
    scheduled = true;
  };
  const frame = () => {
    const since = performance.now(), planned = state.planner.evaluate();
    scheduled = false;
    if (!said) say(planned);
    said = true;
    while (pending.length && performance.now() - since < FRAME_MS) {
      const {make, figure} = pending.shift();
      figure.update(make(state.planner, planned));
    }
    if (pending.length) return schedule();
    if (!resting) return;
    writeAddress(state);
    document.documentElement.dataset.planner = "settled";
  };
  const draw = (some) => {
    pending.push(...some.filter((chart) => !pending.includes(chart)));
    schedule();
  };
  /* The first time too: a page of many results answers while its planner is drawn. */
  state.begin = () => {
    document.documentElement.dataset.planner = "moving";
    resting = true;
    draw(charts);
  };
  state.changed = () => {
    document.documentElement.dataset.planner = "moving";
    said = resting = false;
    if (!scheduled) draw(charts.filter(({figure}) => onScreen(figure.node)));
    clearTimeout(timer);
    timer = setTimeout(() => {
      resting = true;
      draw(charts);
    }, RESTS_MS);
  };
}

function setUpPlanner(place, entries) {
  if (!wasm) {
    place.append(
        notice("The planner is not in this page: " + wasmProblem +
               ". Everything else is. `refill plan` has the same models on the command line."));
    return;
  }
  const state = plannerState(entries);
  const sections = PLANNER_SECTIONS.map((section) => sectionOf(section, state));
  const facts = el("dl", {class: "numbers small"});
  const say = (planned) => {
    facts.replaceChildren(
        ...plannerFacts(planned).map(([name, value, below]) => numberOf(name, value, below)));
    sections.forEach((section) => section.say(planned));
  };
  redrawing(state, sections.flatMap((section) => section.charts), say);
  place.append(
      el("p", {},
         "What would other prompts, drives, GPUs or prices give? Each slider changes what " +
             "depends on it at once; the page's address keeps the setting, so it can be sent " +
             "to a colleague."),
      el("p", {class: "note"},
         "“here” is what the chosen result had or measured, “published” the default of the " +
             "cost model, the slides or a datasheet, “assumed” ours. TFLOPS is what a GPU " +
             "achieves, not its peak. Offload runs on the fewest GPUs that hold the model and " +
             "one request, in whole servers; context parallelism (CP) keeps every KV in HBM."),
      questionButtons(state), startChooser(state),
      el("div", {class: "planner"},
         el("form", {
           class: "controls",
           "aria-label": "Planner inputs",
           submit(event) { event.preventDefault(); }
         },
            controlGroups(state)),
         el("div", {class: "results"}, state.conditions, facts, sections.map((s) => s.node))));
  state.showAll();
  say(state.planner.evaluate());
  state.begin();
}
