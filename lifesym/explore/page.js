const find = (id) => document.getElementById(id);

// What Python knows, as JSON that is deflated and in base 64.
async function unpacked(text) {
  const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
  return JSON.parse(await new Response(stream).text());
}

const data = await unpacked(find("data").textContent.trim());
const OF_OPERATOR = data.of_operator;
const RESOURCES = ["compute", "memory", "dispatch", "network"];
const STEPS = 1000; // positions of a slider
const POINTS = 41; // of the stack
const COLUMNS = 24, ROWS = 16, MOST_BATCH = 512; // cells of the map

// What is chosen: indices of menus, numbers that were moved away from the variant's own, the phase.
const state = { ...data.start, values: { ...data.start.values }, phase: "step", dark: null };

// ---- the variant that is chosen, and its numbers

const key = (changes = {}) => {
  const s = { ...state, ...changes };
  return [s.model, s.device, s.weights, s.kv, s.chunked ? 1 : 0, s.devices > 1 ? 1 : 0].join();
};
const variant = (changes) => data.variants[key(changes)];
const slider = (name) => data.sliders.find((each) => each.name === name);

function number(name, of = variant()) {
  if (name === "devices") return state.devices;
  if (name === "device_memory") return of.capacity ?? NaN;
  const given = state.values[name];
  if (given !== undefined) return name === "chunk" ? Math.min(given, number("prompt", of)) : given;
  return of.point?.[name] ?? NaN;
}

function call(index, of, changes = {}) {
  const entry = data.functions[index];
  return FUNCTIONS[index](...entry.args.map((name) => changes[name] ?? number(name, of)));
}

// ---- numbers for people: SI prefixes and four digits

const PREFIXES = [[1e12, "T"], [1e9, "G"], [1e6, "M"], [1e3, "k"], [1, ""], [1e-3, "m"], [1e-6, "µ"], [1e-9, "n"]];
const PREFIXED = { s: "s", byte: "B", "byte/s": "B/s", "FLOP/s": "FLOP/s", FLOP: "FLOP", J: "J", W: "W", "token/s": "token/s" };

function amount(value, unit, digits = 4) {
  if (value === undefined || Number.isNaN(value)) return "–";
  if (!Number.isFinite(value)) return "∞";
  const shown = PREFIXED[unit];
  const rounded = Number(value.toPrecision(digits));
  if (shown === undefined) return `${plain(rounded)}${unit && unit !== "1" ? ` ${unit}` : ""}`;
  if (rounded === 0) return `0 ${shown}`;
  const [scale, prefix] = PREFIXES.find(([one]) => Math.abs(rounded) >= one) ?? PREFIXES.at(-1);
  const small = unit === "token/s" && scale < 1 ? [1, ""] : [scale, prefix];
  return `${plain(Number((rounded / small[0]).toPrecision(digits)))} ${small[1]}${shown}`;
}
const plain = (value) => String(value);

const SUFFIX = { "": 1, k: 1e3, K: 1e3, M: 1e6, G: 1e9, T: 1e12, P: 1e15, m: 1e-3, u: 1e-6, "µ": 1e-6, n: 1e-9, Ki: 1024, Mi: 1024 ** 2, Gi: 1024 ** 3 };

// A number as people type it: 4096, 4k, 3.35 TB/s, 20us.
function typed(text, unit, whole) {
  const found = /^\s*([+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)\s*(Ki|Mi|Gi|[kKMGTPmuµn]?)\s*(.*?)\s*$/.exec(text);
  if (!found) return NaN;
  const rest = found[3];
  const letters = { s: "s", byte: "B", "byte/s": "B/s", "FLOP/s": "FLOP/s", W: "W" }[unit];
  if (rest && rest !== letters && rest !== unit) return NaN;
  const scale = whole && found[2] === "k" ? 1024 : SUFFIX[found[2]]; // 4k tokens are 4096
  const value = Number(found[1]) * scale;
  return whole && !Number.isInteger(value) ? NaN : value;
}

// ---- sliders

function ends(name) {
  const row = slider(name);
  const own = variant().point?.[name];
  let [low, high] = [row.low, row.high];
  if (row.around && own) [low, high] = [own / 10, own * 10];
  const most = variant().positions;
  if (row.length && most) high = Math.min(high, most);
  if (name === "chunk") high = Math.max(low + 1, number("prompt"));
  return [low, high];
}

function position(name, value) {
  const [low, high] = ends(name);
  const part = slider(name).log ? Math.log(value / low) / Math.log(high / low) : (value - low) / (high - low);
  return Math.round(STEPS * Math.min(1, Math.max(0, part)));
}

function at(name, place) {
  const [low, high] = ends(name);
  const part = place / STEPS;
  const value = slider(name).log ? low * (high / low) ** part : low + (high - low) * part;
  const rounded = slider(name).whole && value < 1000 ? Math.round(value) : Number(value.toPrecision(3));
  return slider(name).whole ? Math.max(low, Math.min(high, Math.round(rounded))) : rounded;
}

function control(row) {
  const made = document.createElement("div");
  made.className = "control";
  made.id = `row-${row.name}`;
  made.innerHTML =
    `<label for="text-${row.name}"></label><input type="text" id="text-${row.name}" autocomplete="off" inputmode="decimal">` +
    `<input type="range" id="range-${row.name}" min="0" max="${STEPS}" step="1">`;
  const [label, text, range] = made.children;
  label.textContent = row.label;
  label.title = row.meaning;
  range.setAttribute("aria-label", row.meaning);
  range.addEventListener("input", () => set(row.name, at(row.name, Number(range.value))));
  text.addEventListener("change", () => {
    const value = typed(text.value, row.unit, row.whole);
    const fine = value >= row.least && (row.most === null || value <= row.most);
    text.setAttribute("aria-invalid", String(!fine));
    if (fine) set(row.name, value);
  });
  return made;
}

function menu(name, label, options, chosen) {
  const made = document.createElement("div");
  made.className = "control menu";
  made.innerHTML = `<label for="menu-${name}"></label><select id="menu-${name}"></select>`;
  made.firstChild.textContent = label;
  const list = made.lastChild;
  list.append(...options.map((text, i) => new Option(text, i)));
  list.addEventListener("change", () => chosen(Number(list.value)));
  return made;
}

function build() {
  const choose = (name) => (index) => {
    state[name] = index;
    if (name === "device") for (const row of data.sliders) if (row.place === "device") delete state.values[row.name];
    settle();
    update();
  };
  find("menus").append(
    menu("model", "model", data.models, choose("model")),
    menu("device", "device", data.devices, choose("device")),
    menu("weights", "weights", data.weights, choose("weights")),
    menu("kv", "KV cache", data.kv, choose("kv")),
    menu("devices", "in parallel", [], (index) => { state.devices = counts()[index]; settle(); update(); }),
  );
  const chunked = document.createElement("div");
  chunked.className = "control switch";
  chunked.id = "switch-chunked";
  chunked.innerHTML = '<label for="chunked">chunked prefill</label><input type="checkbox" id="chunked">';
  chunked.lastChild.addEventListener("change", (event) => { state.chunked = event.target.checked; update(); });
  for (const row of data.sliders) {
    if (row.name === "chunk") find("workload").append(chunked);
    find(row.place).append(control(row));
  }
  for (const each of document.querySelectorAll('input[name="phase"]')) {
    each.addEventListener("change", () => { state.phase = each.value; update(); });
  }
  find("reset").addEventListener("click", () => { state.values = { ...data.start.values }; update(); });
  find("theme").addEventListener("click", () => { state.dark = !dark(); update(); });
  find("csv").addEventListener("click", save);
  find("link").addEventListener("click", async () => {
    await navigator.clipboard?.writeText(location.href).catch(() => {});
    find("link").textContent = "Link is in the address bar, and copied";
  });
  find("controls").addEventListener("submit", (event) => event.preventDefault());
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", update);
  addEventListener("hashchange", () => { restore(); update(); });
}

const counts = () => data.counts[[state.model, state.device].join()] ?? [1];

// The choice that is nearest to what is asked where there is none: one device instead of several.
function settle() {
  if (!counts().includes(state.devices)) state.devices = 1;
}

// ---- what is answered

// The function of a phase or of its formula: what is known of it, and its values.
function phase(name, of, changes, kind = "phases") {
  const index = of[kind][name];
  return index === undefined ? null : { entry: data.functions[index], results: call(index, of, changes) };
}

function operators({ entry, results }) {
  return entry.operators.map(([name, group], i) => {
    const made = { name, group };
    OF_OPERATOR.forEach((what, k) => { made[what] = results[1 + i * OF_OPERATOR.length + k]; });
    made.bound = RESOURCES.reduce((best, one) => (made[one] > made[best] ? one : best));
    return made;
  });
}

function whole(of) {
  const results = call(of.whole, of);
  return Object.fromEntries(data.functions[of.whole].metrics.map((name, i) => [name, results[i]]));
}

// The functions of a variant.
const indices = (of) => [...Object.values(of.phases), ...Object.values(of.formulas), of.memory, of.whole];

// Why there is no answer, if there is none.
function refused() {
  const chosen = variant();
  if (!chosen || chosen.refused) return chosen?.refused ?? "this combination is not modelled";
  if (chosen.positions) {
    const longest = Math.max(number("prompt") + (chosen.phases.step === undefined ? 0 : number("generated") - 1), chosen.phases.step === undefined ? 0 : number("past") + 1);
    if (longest > chosen.positions) return `${longest} tokens are more than the ${chosen.positions} positions of ${data.models[state.model]}`;
  }
  return null;
}

function answer(of = variant()) {
  const prefill = phase("prefill", of), step = phase("step", of);
  return { ttft: prefill.results[0], tpot: step?.results[0], ...whole(of), prefill, step };
}

// ---- showing it

let results = null;

function update() {
  find("refused").hidden = true;
  for (const name of ["model", "device", "weights", "kv"]) find(`menu-${name}`).value = state[name];
  const many = find("menu-devices");
  many.replaceChildren(...counts().map((n, i) => new Option(n === 1 ? "one device" : `${n} devices`, i)));
  many.value = counts().indexOf(state.devices);
  many.closest(".control").hidden = counts().length === 1;
  find("chunked").checked = state.chunked;
  document.documentElement.classList.toggle("dark", dark());
  find("theme").setAttribute("aria-pressed", String(dark()));
  const why = refused();
  if (!variant() || variant().refused) {
    results = null;
    show(why);
    return;
  }
  const step = variant().phases.step !== undefined;
  if (!step) state.phase = "prefill";
  for (const each of document.querySelectorAll('input[name="phase"]')) {
    each.checked = each.value === state.phase;
    each.disabled = each.value === "step" && !step;
  }
  sliders();
  if (why) {
    results = null;
    show(why);
    return;
  }
  results = answer();
  tiles();
  const rows = operators(results[state.phase]);
  formula(phase(state.phase, variant(), {}, "formulas"));
  table(rows);
  devices();
  if (charts) draw(rows);
  find("said").replaceChildren(...[...variant().said, ...Object.values(variant().lacking)].map((text) => {
    const line = document.createElement("li");
    line.textContent = text;
    return line;
  }));
  remember();
}

function show(why) {
  find("refused").textContent = why;
  find("refused").hidden = false;
  find("tiles").replaceChildren();
  for (const id of ["formula", "operators", "devices"]) find(id).tBodies[0].replaceChildren();
}

function sliders() {
  const used = new Set(indices(variant()).flatMap((index) => data.functions[index].args));
  for (const row of data.sliders) {
    find(`row-${row.name}`).hidden = !used.has(row.name);
    if (!used.has(row.name)) continue;
    const value = number(row.name), text = find(`text-${row.name}`);
    if (document.activeElement !== text || !text.value) {
      text.value = Number.isNaN(value) ? "" : row.whole ? String(value) : amount(value, row.unit, 6);
      text.setAttribute("aria-invalid", "false");
    }
    const range = find(`range-${row.name}`);
    range.value = Number.isNaN(value) ? 0 : position(row.name, value);
    range.setAttribute("aria-valuetext", text.value);
  }
}

function tiles() {
  const r = results, room = variant().capacity;
  const fits = room === null ? "the device's memory is not known" : r.memory <= room ? `fits in ${gib(room)}` : `does not fit in ${gib(room)}`;
  const rows = [
    ["TTFT", amount(r.ttft, "s"), `prompt ${number("prompt")}, batch ${number("batch")}`],
    ["decode step", amount(r.tpot, "s"), r.tpot === undefined ? "generates nothing" : `at context ${number("past")}`],
    ["mean step", amount(r.tpot_mean, "s"), "over the generation"],
    ["tokens a second", amount(r.tps, "token/s"), "of all sequences"],
    ["latency", amount(r.latency, "s"), "of a request"],
    ["memory", amount(r.memory, "byte"), fits],
    ["sequences that fit", room === null ? "–" : amount(Math.max(0, r.sequences), ""), "with activations"],
    ["energy", amount(r.energy, "J"), r.energy === undefined ? "no power figure" : `${amount(r.tokens_per_joule, "token/J")}`],
    ["cost", amount(r.cost, ""), r.cost === undefined || Number.isNaN(r.cost) ? "give a price an hour" : "for a million tokens"],
  ];
  find("tiles").innerHTML = rows.map(([what, value, more]) =>
    `<div class="tile"><div class="what">${what}</div><div class="value" data-tile="${what}">${value}</div><div class="more${more.startsWith("does not") ? " bad" : ""}">${more}</div></div>`).join("");
}
const escaped = (text) => text.replace(/[&<>"]/g, (letter) => `&#${letter.charCodeAt(0)};`);
const gib = (bytes) => `${plain(Number((bytes / 2 ** 30).toPrecision(4)))} GiB`;
const share = (part, all) => `${Math.abs(part / all) < 5e-5 && part !== 0 ? "< 0.01" : plain(Number(((100 * part) / all).toFixed(2)))} %`;

let shownFormula = null;

function formula({ entry, results: found }) {
  const body = find("formula").tBodies[0];
  if (shownFormula !== entry) {
    shownFormula = entry;
    body.innerHTML = entry.formula;
    find("formula-names").innerHTML = entry.names;
  }
  for (const each of body.querySelectorAll("[data-number]")) each.textContent = amount(found[each.dataset.number], "s");
  for (const each of body.querySelectorAll("[data-share]")) each.textContent = share(found[each.dataset.share], found[0]);
  for (const each of body.querySelectorAll("[data-branch]")) {
    const others = [...each.parentElement.children].filter((one) => one.dataset.branch !== undefined);
    const largest = Math.max(...others.map((one) => found[one.dataset.branch]));
    each.classList.toggle("active", others.length === 1 || found[each.dataset.branch] === largest);
  }
  find("formula-name").textContent = state.phase === "step" ? "TPOT" : "TTFT";
  find("formula-total").textContent = amount(found[0], "s");
}

function table(rows) {
  const total = rows.reduce((sum, row) => sum + row.time, 0);
  const body = [...rows].sort((a, b) => b.time - a.time).map((row) => {
    const cells = [amount(row.time, "s"), share(row.time, total), row.bound, amount(row.compute, "s"), amount(row.memory, "s"), amount(row.flops, "FLOP"), amount(row.bytes, "byte")];
    return `<tr><th scope="row">${escaped(row.name)}</th>${cells.map((cell) => `<td class="number">${cell}</td>`).join("")}</tr>`;
  });
  find("operators").tBodies[0].innerHTML = body.join("");
}

// The workload on every device, each at its own numbers.
function devices() {
  const kept = state.values;
  const body = data.devices.map((name, device) => {
    const of = variant({ device });
    const head = `<tr${device === state.device ? ' class="here"' : ""}><th scope="row">${escaped(name)}</th>`;
    if (!of || of.refused) return `${head}<td colspan="5">${escaped(of?.refused ?? "not modelled there with so many devices")}</td></tr>`;
    if (device !== state.device) {
      state.values = Object.fromEntries(Object.entries(kept).filter(([n]) => slider(n).place !== "device"));
    }
    const r = answer(of);
    state.values = kept;
    const room = of.capacity === null ? "" : r.memory <= of.capacity ? "" : " (does not fit)";
    const cells = [amount(r.ttft, "s"), amount(r.tpot, "s"), amount(r.tps, "token/s"), amount(r.memory, "byte") + room, of.capacity === null ? "–" : amount(Math.max(0, r.sequences), "")];
    return `${head}${cells.map((cell) => `<td class="number">${cell}</td>`).join("")}</tr>`;
  });
  find("devices").tBodies[0].innerHTML = body.join("");
}

// ---- charts

let charts = null;

const symbol = () => (state.phase === "step" ? "past" : "prompt");
const dark = () => state.dark ?? matchMedia("(prefers-color-scheme: dark)").matches;

// The lengths that charts go over: to twice the one that is asked about, or as far as there are positions.
function span() {
  const here = Math.max(256, number(symbol()));
  const most = 2 ** Math.ceil(Math.log2(2 * here));
  return Math.min(most, variant().positions ?? most);
}

function draw(rows) {
  const of = variant(), name = state.phase, longest = span(), low = name === "step" ? 0 : 1;
  const groups = Object.keys(data.colours.groups);
  const stack = { x: [], ...Object.fromEntries(groups.map((group) => [group, []])) };
  for (let i = 0; i < POINTS; i++) {
    const x = Math.round(low + ((longest - low) * i) / (POINTS - 1));
    const sums = Object.fromEntries(groups.map((group) => [group, 0]));
    for (const row of operators(phase(name, of, at_(x)))) sums[row.group] += 1e3 * row.time;
    stack.x.push(x);
    for (const group of groups) stack[group].push(sums[group]);
  }
  charts("stack-data").data = stack;
  charts("stack-now").location = number(symbol());
  const tops = stack.x.map((_, i) => groups.reduce((sum, group) => sum + stack[group][i], 0));
  ranged("stack", [0, longest], [0, 1.05 * Math.max(...tops)]);
  const used = groups.filter((group) => stack[group].some((value) => value > 0));
  find("stack-of").textContent = name === "step" ? " of a decode step, over its context" : " of the prefill, over the prompt";
  legend("stack-key", used.map((group) => [group, data.colours.groups[group]]));
  roofline(rows);
  map(of, name, longest, low);
  themed();
}

const at_ = (x, batch) => {
  const changes = { [symbol()]: x };
  if (symbol() === "prompt" && state.chunked) changes.chunk = Math.min(number("chunk"), x);
  return batch === undefined ? changes : { ...changes, batch };
};

function roofline(rows) {
  const working = rows.filter((row) => row.flops > 0 && row.bytes > 0 && row.time > 0);
  const peak = number("peak") * number("compute_efficiency"), rate = number("bandwidth") * number("memory_efficiency");
  const total = rows.reduce((sum, row) => sum + row.time, 0);
  const x = working.map((row) => row.flops / row.bytes), y = working.map((row) => row.flops / row.time);
  charts("roof-data").data = {
    x, y,
    colour: working.map((row) => data.colours.groups[row.group]),
    size: working.map((row) => 6 + 18 * Math.sqrt(row.time / total)),
    name: working.map((row) => row.name),
    said: working.map((row, i) => `${amount(row.time, "s")}, ${amount(y[i], "FLOP/s")} at ${amount(x[i], "FLOP/B")}, ${row.bound}-bound`),
  };
  const named = []; // points that are close share a label, the longest time first
  for (const i of working.map((_, i) => i).sort((a, b) => working[b].time - working[a].time)) {
    const near = named.find((each) => Math.abs(Math.log10(x[each.i] / x[i])) < 0.5 && Math.abs(Math.log10(y[each.i] / y[i])) < 0.25);
    if (near) near.more += 1;
    else if (working[i].time > 0.001 * total) named.push({ i, more: 0 });
  }
  charts("roof-labels").data = {
    x: named.map(({ i }) => x[i]),
    y: named.map(({ i }) => y[i]),
    name: named.map(({ i, more }) => (more ? `${working[i].name} +${more}` : working[i].name)),
  };
  if (!(peak > 0 && rate > 0)) return;
  const from = Math.min(...x, peak / rate) / 3, to = Math.max(...x, peak / rate) * 3;
  charts("roof-line").data = { x: [from, peak / rate, to], y: [from * rate, peak, peak] };
  ranged("roof", [from, to], [Math.min(...y, from * rate) / 2, 2 * Math.max(...y, peak)]);
}

function map(of, name, longest, low) {
  const cells = { left: [], right: [], bottom: [], top: [], colour: [], hatch: [], said: [] };
  const seen = new Set();
  for (let i = 0; i < COLUMNS; i++) {
    const left = low + ((longest - low) * i) / COLUMNS, right = low + ((longest - low) * (i + 1)) / COLUMNS;
    const x = Math.max(low, Math.round((left + right) / 2));
    for (let j = 0; j < ROWS; j++) {
      const bottom = MOST_BATCH ** (j / ROWS), top = MOST_BATCH ** ((j + 1) / ROWS);
      const batch = Math.max(1, Math.round(Math.sqrt(bottom * top)));
      const { entry, results: found } = phase(name, of, at_(x, batch));
      const sums = [0, 0, 0, 0];
      for (let k = 0; k < entry.operators.length; k++) {
        const begin = 1 + k * OF_OPERATOR.length;
        let best = 0;
        for (let r = 1; r < 4; r++) if (found[begin + 1 + r] > found[begin + 1 + best]) best = r;
        sums[best] += found[begin];
      }
      const bound = RESOURCES[sums.indexOf(Math.max(...sums))];
      const prompt = Math.max(1, x);
      const [held] = call(of.memory, of, { batch, prompt, generated: 2 });
      const full = of.capacity !== null && held > of.capacity;
      seen.add(bound);
      if (full) seen.add("does not fit");
      cells.left.push(left); cells.right.push(right); cells.bottom.push(bottom); cells.top.push(top);
      cells.colour.push(data.colours.resources[bound]);
      cells.hatch.push(full ? "x" : " ");
      cells.said.push(`${x} tokens, batch ${batch}: ${amount(found[0], "s")}, mostly ${bound}${full ? ", does not fit" : ""}`);
    }
  }
  charts("map-data").data = cells;
  ranged("map", [low, longest], [1, MOST_BATCH]);
  charts("map-now").data = { x: [number(symbol())], y: [number("batch")] };
  const shown = RESOURCES.filter((one) => seen.has(one)).map((one) => [one, data.colours.resources[one]]);
  legend("map-key", seen.has("does not fit") ? [...shown, ["crossed: does not fit", "transparent"]] : shown);
}

function ranged(name, x, y) {
  const chart = charts(name);
  for (const [range, [start, end]] of [[chart.x_range, x], [chart.y_range, y]]) {
    if (range.start !== start || range.end !== end) range.setv({ start, end });
  }
}

function legend(id, rows) {
  find(id).replaceChildren(...rows.map(([text, colour]) => {
    const made = document.createElement("span");
    made.style.setProperty("--colour", colour);
    made.textContent = text;
    return made;
  }));
}

let shownTheme = null;

function themed() {
  const style = getComputedStyle(document.documentElement);
  const [back, text, line] = ["--back", "--text", "--line"].map((name) => style.getPropertyValue(name).trim());
  if (shownTheme === back) return;
  shownTheme = back;
  for (const name of ["stack", "roof", "map"]) {
    const chart = charts(name);
    chart.background_fill_color = back;
    chart.border_fill_color = back;
    chart.outline_line_color = line;
    for (const axis of [...chart.below, ...chart.left]) {
      if (axis.axis_label_text_color === undefined) continue;
      Object.assign(axis, { axis_label_text_color: text, major_label_text_color: text, axis_line_color: text, major_tick_line_color: text, minor_tick_line_color: line });
    }
    for (const grid of chart.center) if (grid.grid_line_color !== undefined) grid.grid_line_color = line;
  }
  charts("stack-now").line_color = text;
  charts("roof-names").text_color = text;
  charts("roof-glyph").line_color = text;
}

// ---- the link and the file

const MENUS = { model: "models", device: "devices", weights: "weights", kv: "kv" };

function remember() {
  const said = new URLSearchParams(Object.entries(MENUS).map(([name, list]) => [name, data[list][state[name]]]));
  said.set("parallel", state.devices);
  said.set("phase", state.phase);
  if (state.chunked) said.set("chunked", "1");
  for (const [name, value] of Object.entries(state.values)) said.set(name, value);
  history.replaceState(null, "", `#${said}`);
}

function restore() {
  const said = new URLSearchParams(location.hash.slice(1));
  for (const [name, list] of Object.entries(MENUS)) {
    const index = data[list].indexOf(said.get(name));
    if (index >= 0) state[name] = index;
  }
  if (said.has("parallel")) state.devices = Number(said.get("parallel"));
  if (said.has("phase")) state.phase = said.get("phase") === "prefill" ? "prefill" : "step";
  if (said.has("model")) state.chunked = said.has("chunked");
  for (const row of data.sliders) {
    if (!said.has(row.name)) continue;
    const value = Number(said.get(row.name));
    if (value >= row.least && (row.most === null || value <= row.most)) state.values[row.name] = value;
  }
  settle();
}

function set(name, value) {
  state.values[name] = value;
  schedule();
}

let waiting = false, last = 0;
const FRAME = 16; // milliseconds

// At once where nothing was drawn in this frame, so that charts are painted in the next; else then.
function schedule() {
  if (waiting) return;
  if (performance.now() - last > FRAME) return drawn();
  waiting = true;
  requestAnimationFrame(drawn);
}

function drawn() {
  waiting = false;
  update();
  last = performance.now();
}

function save() {
  if (!results) return;
  const rows = [["what", "name", "value", "unit"]];
  for (const [name, list] of Object.entries(MENUS)) rows.push(["setting", name, data[list][state[name]], ""]);
  rows.push(["setting", "devices in parallel", state.devices, ""]);
  for (const row of data.sliders) if (!find(`row-${row.name}`).hidden) rows.push(["setting", row.name, number(row.name), row.unit]);
  rows.push(["result", "ttft", results.ttft, "s"], ["result", "tpot", results.tpot ?? "", "s"]);
  for (const [name, unit] of Object.entries(data.functions[variant().whole].units)) rows.push(["result", name, results[name] ?? "", unit]);
  const units = { flops: "FLOP", bytes: "byte" };
  for (const name of ["prefill", "step"]) {
    if (!results[name]) continue;
    for (const row of operators(results[name])) for (const what of OF_OPERATOR) rows.push([name, `${row.name} ${what}`, row[what], units[what] ?? "s"]);
  }
  const text = rows.map((row) => row.map((cell) => (/[",]/.test(cell) ? `"${String(cell).replaceAll('"', '""')}"` : cell)).join(",")).join("\n");
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([`${text}\n`], { type: "text/csv" }));
  link.download = `${data.models[state.model]}.csv`;
  link.click();
  URL.revokeObjectURL(link.href);
}

// ---- beginning

function tapped(x, y) {
  state.values[symbol()] = Math.max(symbol() === "past" ? 0 : 1, Math.round(x));
  state.values.batch = Math.max(1, Math.round(y));
  schedule();
}

window.lifesym = { state, set, tapped, update, get results() { return results; } };
build();
restore();
update();

function ready() {
  const made = window.Bokeh?.documents[0]?.get_model_by_name("map-now");
  if (!made) return requestAnimationFrame(ready);
  charts = (name) => Bokeh.documents[0].get_model_by_name(name);
  update();
  document.documentElement.dataset.ready = "1";
}
ready();
