/*
 * What the planner says at a setting, in words and numbers: each section's question answered in
 * sentences, above the plots that show why.
 */

const REGIMES = ["reading", "copying to the GPU", "writing", "copying from the GPU", "compute"];

function firstTokenAnswer(p, planned) {
  const sla = p.get("sla_ttft_s"), met = (s) => s <= sla ? "meets" : "misses";
  return `At α = ${significant(p.get("alpha"))} and ${
             format.count(p.get("context_tokens"))} tokens TTFT is ${
             format.seconds(planned.ttft_reload_s)} reloaded, ${
             format.seconds(planned.ttft_min_gpu_s)} recomputed (${
             significant(planned.speedup)}×); ${REGIMES[planned.regime] || "?"} binds. ` +
         `Of the ${format.seconds(sla)} that users accept, reloading ${
             met(planned.ttft_reload_s)} it, recomputing ${met(planned.ttft_min_gpu_s)} it.`;
}

/* Of local drives, whatever storage is in use at this concurrency. */
function driveAnswer(p, planned) {
  const drives = p.get("drives"), now = planned.ttft_local_s, more = planned.ttft_one_drive_more_s;
  const enough = planned.drives_enough;
  const more_drives = `${format.count(drives + 1)} drives instead of ${format.count(drives)}`;
  const local = planned.external ? "KV that is on local drives: " : "";
  const until = Number.isFinite(enough)
                    ? ` With ${format.count(enough)} drive${enough === 1 ? "" : "s"} compute ` +
                          `binds, and more gain nothing.`
                    : "";
  if (more < now * 0.995)
    return `${local}With ${more_drives} TTFT falls from ${format.seconds(now)} to ${
        format.seconds(more)} (${format.change(more / now - 1)}).${until}`;
  return `${local}With ${more_drives} TTFT stays ${format.seconds(now)}: no help.${until}`;
}

function matchAnswer(p, planned) {
  return `To match context parallelism's TTFT by reading all, storage must deliver ${
      format.rate(planned.match_cp_bytes_per_s)}; to match recomputing on the fewest GPUs, ${
      format.rate(planned.match_min_gpu_bytes_per_s)}.`;
}

function costAnswer(p, planned) {
  const first = Number.isFinite(planned.first_saving_requests)
                    ? ` Context parallelism needs more GPUs from ${
                          format.count(planned.first_saving_requests)} requests on.`
                    : "";
  return `An hour costs ${format.usd(planned.cost_offload_usd_per_hour)} with offload, ${
      format.usd(planned.cost_cp_usd_per_hour)} with all KV in HBM: ${
      format.percent(planned.cost_ratio)} of it.${first}`;
}

function externalAnswer(p, planned) {
  const recompute = planned.ttft_min_gpu_s, external = planned.ttft_external_s;
  const requests = format.count(p.get("concurrency"));
  const full =
      planned.external
          ? `${requests} requests hold ${format.gigabytes(planned.kv_bytes_total)} of KV, ${
                format.gigabytes(planned.external_bytes)} more than the local drives: external ` +
                `storage for ${format.usd(planned.cost_offload_external_usd_per_hour)} an hour.`
          : `Local drives hold ${format.count(planned.overflow_requests)} requests: at ${
                requests} no external storage is needed.`;
  const saved = planned.cost_cp_usd_per_hour - planned.cost_offload_usd_per_hour;
  const cheaper = saved > 0 ? ` It is ${format.usd(saved)} an hour cheaper than all KV in HBM.`
                            : "";
  const times = `TTFT ${format.seconds(external)} reloaded from it, ${
      format.seconds(
          planned.ttft_local_s)} from local drives, ${format.seconds(recompute)} recomputed`;
  const worth = external < recompute ? `worth it (${significant(recompute / external)}×)`
                                     : "not worth it for TTFT";
  return `${full} At ${format.rate(p.get("external_bytes_per_s"))} it is ${worth}: ${times}.${
      cheaper}`;
}

function usersAnswer(p, planned) {
  const full = planned.max_batch_reload > planned.max_sequences
                   ? `; HBM holds no more: a shorter context or an fp8 KV cache would`
                   : "";
  return `At ${format.seconds(p.get("sla_tpot_s"))} per output token one GPU serves ${
             significant(planned.users_per_gpu_reload)} users with reload and ${
             significant(planned.users_per_gpu)} with every prompt recomputed ` +
         `(${format.count(planned.held_batch_reload)} and ${format.count(planned.held_batch)} on ${
             format.count(planned.gpus_offload)} GPUs${full}).`;
}

function tiersAnswer(p, planned) {
  const tiers = [
    ["HBM", planned.s0_ttft_s], ["DRAM", planned.s1a_ttft_s], ["local NVMe", planned.s1b_ttft_s],
    ["shared storage", planned.s3_ttft_s]
  ];
  const best = tiers.reduce((a, b) => b[1] < a[1] ? b : a);
  return `${format.count(p.get("prefixes"))} prefixes are ${
      format.gigabytes(planned.working_set_bytes)} of KV. On one kind of storage alone, ${
      best[0]} gives the lowest mean TTFT, ${format.seconds(best[1])}; all four in turn give ${
      format.seconds(planned.cascade_ttft_s)}. Local drives of all replicas hit ${
      format.percent(planned.s1b_hit_rate)} of requests, DRAM ${
      format.percent(planned.s1a_hit_rate)}, HBM ${format.percent(planned.s0_hit_rate)}.`;
}

function turnsAnswer(p, planned) {
  const first = planned.turns_first_gain;
  const gain = first > 0 ? `reload is faster from turn ${format.count(first)} on`
                         : "reload is faster at none of them";
  return `Over ${format.count(p.get("turns"))} turns users wait ${
      format.seconds(planned.turns_reload_s)} with reload, ${
      format.seconds(
          planned.turns_recompute_s)} without (${significant(planned.turns_speedup)}×); ${gain}. ${
      format.percent(planned.turns_avoided_share)} of prefill is avoided, for ${
      format.gigabytes(planned.turns_stored_bytes)} of stored KV.`;
}

function plannerFacts(planned) {
  return [
    ["KV of a request", format.gigabytes(planned.kv_bytes_per_request)],
    ["KV of all requests", format.gigabytes(planned.kv_bytes_total)],
    ["Local drives hold", format.count(planned.overflow_requests), "requests"],
    [
      "Servers, offload / CP",
      `${format.count(planned.servers_offload)} / ${format.count(planned.servers_cp)}`,
      `${format.count(planned.gpus_offload)} / ${format.count(planned.gpus_cp)} GPUs`
    ],
    ["Offload cost / CP", format.percent(planned.cost_ratio)],
    ["e = T/R", significant(planned.e), `α* = ${significant(planned.alpha_star)}`],
    [
      "T / R per token",
      `${format.seconds(planned.compute_s_per_token)} / ${format.seconds(planned.read_s_per_token)}`
    ],
    [
      "Batch gain", significant(planned.batch_gain) + "×",
      `bound ${significant(planned.tps_gain_bound)}×`
    ],
  ];
}

/* Each section of the planner: its question, its answers, its charts (planner_charts.js). */
const PLANNER_SECTIONS = [
  {
    id: "first-token",
    title: "How soon is the first token?",
    answers: [firstTokenAnswer, driveAnswer, matchAnswer],
    charts: [ttftBars, plannerSpeedup, drivesCurve]
  },
  {
    id: "cost",
    title: "What does an hour cost?",
    answers: [costAnswer, externalAnswer],
    charts: [costBars, costCurve]
  },
  {
    id: "users",
    title: "How many users at once?",
    answers: [usersAnswer],
    charts: [usersCurve, tpotCurve, mtokCurve]
  },
  {
    id: "tiers",
    title: "Where should KV be kept?",
    answers: [tiersAnswer],
    charts: [tiersBars, hitBars]
  },
  {
    id: "conversation",
    title: "What does a conversation gain?",
    answers: [turnsAnswer],
    charts: [turnsCurve, alphaCurve]
  },
];

/* What buyers ask, as settings: a click sets these inputs and leads to the answer. */
const QUESTIONS = [
  {
    text: "Does a second drive help me at 32k?",
    set: {context_tokens: 32768, drives: 1},
    section: "first-token"
  },
  {
    text: "Is external storage at 10 GB/s worth it at 400 requests?",
    set: {concurrency: 400, external_bytes_per_s: 10e9},
    section: "cost"
  },
  {text: "How many users per GPU at 40 ms TPOT?", set: {sla_tpot_s: 0.04}, section: "users"},
];
