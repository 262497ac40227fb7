// Many runs at once: parallel coordinates drawn here, two figures of Vega beside them, and what is kept of all three.

const { draw, refill } = await import(document.querySelector("meta[name=figure-module]").content);
const { localise } = await import(document.querySelector("script[src*='/page.js']").src);
const root = document.querySelector("[data-explore]");
const base = document.body.dataset.base;
const answer = await fetch(root.dataset.explore);
if (!answer.ok) throw new Error(`the runs could not be read: ${answer.status}`);
const { axes, x, y, colour, runs, values, charts } = await answer.json();

const MOST_ROWS = 100;
const TOP = 48, HEIGHT = 300, MISSING = 34, GAP = 128;
const SVG = "http://www.w3.org/2000/svg";
const limits = new Map(); // by axis: { low, high } of numbers, or { names }
let brush = {}; // of the scatter
const figures = new Map([...root.querySelectorAll("[data-chart]")].map((figure) => [figure.dataset.chart, figure]));

function node(name, facts, parent, text) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(facts)) made.setAttribute(key, value);
  if (text !== undefined) made.textContent = text;
  parent?.append(made);
  return made;
}

function element(name, facts, parent, text) {
  const made = Object.assign(document.createElement(name), facts);
  if (text !== undefined) made.textContent = text;
  parent?.append(made);
  return made;
}

const short = (name) => name.replace(/^(metrics|params)\./, "");
function number(value) {
  const size = Math.abs(value);
  if (Number.isInteger(value) && size < 1e15) return String(value);
  if (size >= 1e6 || size < 1e-4) return value.toExponential(3).replace(/\.?0+e/, "e");
  return String(Number(value.toFixed(size < 1000 ? 4 : 2)));
}

// -- what is kept ------------------------------------------------------------------------------------------------
function within(name, at) {
  const limit = limits.get(name);
  if (!limit) return true;
  const value = values[name][at];
  if (value === null) return false;
  return limit.names ? limit.names.has(value) : value >= limit.low && value <= limit.high;
}

function brushed(channel, name, at) {
  const range = brush[channel];
  if (!range) return true;
  const value = values[name][at];
  if (value === null) return false;
  return typeof value === "string" ? range.includes(value) : value >= Math.min(...range) && value <= Math.max(...range);
}

const isKept = (at) => axes.every((axis) => within(axis.name, at)) && (!x || brushed("x", x, at)) && (!y || brushed("y", y, at));

function remember() {
  const query = new URLSearchParams(location.search);
  query.delete("keep");
  for (const [name, limit] of limits) query.append("keep", [name, ...(limit.names ? ["=", ...limit.names] : [limit.low, limit.high])].join("~"));
  history.replaceState(null, "", `?${query}`);
}

function recall() {
  for (const text of new URLSearchParams(location.search).getAll("keep")) {
    const [name, ...rest] = text.split("~");
    const axis = axes.find((one) => one.name === name);
    if (axis?.kind === "name" && rest[0] === "=") limits.set(name, { names: new Set(rest.slice(1)) });
    else if (axis?.kind === "number" && rest.length === 2 && rest.every((part) => !Number.isNaN(Number(part))))
      limits.set(name, { low: Number(rest[0]), high: Number(rest[1]) });
  }
}

// -- parallel coordinates ----------------------------------------------------------------------------------------
const box = root.querySelector("[data-parallel]");
const scales = new Map();
let lines = [];

function scaleOf(axis) {
  const length = HEIGHT - 12;
  if (axis.kind === "name") {
    const step = length / Math.max(axis.domain.length, 1);
    const place = new Map(axis.domain.map((name, i) => [name, TOP + step * (i + 0.5)]));
    return { at: (value) => place.get(value), between: (low, high) => axis.domain.filter((name) => place.get(name) >= low && place.get(name) <= high), ticks: axis.domain.map((name) => [place.get(name), name]) };
  }
  const there = values[axis.name].filter((value) => value !== null);
  const shape = axis.log ? Math.log10 : (value) => value;
  const back = axis.log ? (value) => 10 ** value : (value) => value;
  let low = shape(there.reduce((a, b) => Math.min(a, b), Infinity)), high = shape(there.reduce((a, b) => Math.max(a, b), -Infinity));
  if (low === high) [low, high] = [low - 0.5, high + 0.5];
  const at = (value) => TOP + length * (1 - (shape(value) - low) / (high - low));
  const marks = [0, 1, 2, 3, 4].map((i) => back(low + (high - low) * i / 4));
  return { at, value: (place) => back(low + (high - low) * (1 - (place - TOP) / length)), ticks: marks.map((value) => [at(value), number(Number(value.toPrecision(3)))]) };
}

// Seven tones by rank: one run far off takes no room from the others.
function tones() {
  const scores = colour ? values[colour] : [];
  const order = [...new Set(scores.filter((value) => value !== null))].sort((a, b) => a - b);
  const rank = new Map(order.map((value, i) => [value, order.length > 1 ? i / (order.length - 1) : 1]));
  return runs.map((_, at) => (colour && scores[at] !== null ? Math.min(6, Math.floor(rank.get(scores[at]) * 7)) : "none"));
}

function plot() {
  const gap = Math.max(GAP, Math.min(400, (box.parentElement.clientWidth - 150) / Math.max(axes.length - 1, 1)));
  const width = gap * (axes.length - 1) + 150;
  const svg = node("svg", { viewBox: `0 0 ${width} ${TOP + HEIGHT + MISSING}`, width, height: TOP + HEIGHT + MISSING, role: "img", "aria-label": `Parallel coordinates of ${runs.length} runs over ${axes.map((axis) => short(axis.name)).join(", ")}` });
  const across = new Map(axes.map((axis, i) => [axis.name, 60 + gap * i]));
  for (const axis of axes) scales.set(axis.name, scaleOf(axis));
  const lacking = TOP + HEIGHT + 10;
  const group = node("g", { class: "lines" }, svg);
  const tone = tones();
  lines = runs.map((run, at) => {
    const points = axes.map((axis) => {
      const value = values[axis.name][at];
      return `${across.get(axis.name).toFixed(1)},${(value === null ? lacking : scales.get(axis.name).at(value)).toFixed(1)}`;
    });
    const line = node("polyline", { points: points.length > 1 ? points.join(" ") : `${points[0]} ${points[0].replace(/^[\d.]+/, (px) => Number(px) + 30)}`, class: `tone-${tone[at]}` }, group);
    node("title", {}, line, run.id);
    line.addEventListener("click", () => { location.href = `${base}/runs/${encodeURIComponent(run.id)}`; });
    return line;
  });
  for (const axis of axes) axisOf(axis, across.get(axis.name), lacking, svg, gap);
  box.replaceChildren(svg);
}

function axisOf(axis, place, lacking, svg, gap) {
  const scale = scales.get(axis.name);
  const group = node("g", { class: "axis", transform: `translate(${place} 0)` }, svg);
  node("line", { y1: TOP, y2: TOP + HEIGHT - 12 }, group);
  const most = Math.floor((gap - 10) / 7.2), name = short(axis.name);
  const label = node("text", { y: 18, class: "name", "text-anchor": "middle" }, group, name.length > most ? `…${name.slice(1 - most)}` : name);
  node("title", {}, label, axis.name);
  if (axis.log) node("text", { y: 33, "text-anchor": "middle" }, group, "log");
  for (const [at, text] of scale.ticks) {
    node("line", { x1: -4, x2: 0, y1: at, y2: at }, group);
    const wide = Math.floor((gap - 20) / 6.6);
    node("title", {}, node("text", { x: 6, y: at + 4 }, group, text.length > wide ? `${text.slice(0, wide - 1)}…` : text), text);
  }
  if (values[axis.name].includes(null)) {
    node("circle", { cy: lacking, r: 3 }, group);
    node("text", { x: 6, y: lacking + 4, class: "lacking" }, group, "missing");
  }
  const held = node("rect", { x: -8, width: 16, class: "held" }, group);
  held.dataset.axis = axis.name;
  const grip = node("rect", { x: -16, y: TOP - 8, width: 32, height: HEIGHT + 4, class: "grip" }, group);
  grip.addEventListener("pointerdown", (down) => {
    const top = svg.getBoundingClientRect().top;
    const from = down.clientY - top;
    grip.setPointerCapture(down.pointerId);
    const move = (event) => {
      const to = event.clientY - top;
      const [low, high] = [Math.min(from, to), Math.max(from, to)];
      if (high - low < 4) limits.delete(axis.name);
      else if (axis.kind === "name") limits.set(axis.name, { names: new Set(scale.between(low, high)) });
      else limits.set(axis.name, { low: Number(scale.value(high).toPrecision(6)), high: Number(scale.value(low).toPrecision(6)) });
      update();
    };
    grip.onpointermove = move;
    grip.onpointerup = grip.onpointercancel = () => { grip.onpointermove = null; };
    move(down);
  });
}

function showHeld() {
  for (const rect of box.querySelectorAll(".held")) {
    const limit = limits.get(rect.dataset.axis), scale = scales.get(rect.dataset.axis);
    const ends = !limit ? [0, 0] : limit.names ? [...limit.names].map(scale.at).filter((at) => at !== undefined) : [scale.at(limit.low), scale.at(limit.high)];
    const room = (at) => Math.min(Math.max(Number.isNaN(at) ? Infinity : at, TOP - 6), TOP + HEIGHT - 6);
    const low = ends.length ? room(Math.min(...ends)) : 0, high = ends.length ? room(Math.max(...ends)) : 0;
    const edge = limit?.names ? 9 : 0;
    rect.setAttribute("y", low - edge);
    rect.setAttribute("height", limit && ends.length ? Math.max(high - low + 2 * edge, 2) : 0);
  }
}

// -- limits by hand ----------------------------------------------------------------------------------------------
const inputs = new Map();

function limitsByHand() {
  const place = root.querySelector("[data-limits]");
  for (const axis of axes) {
    const field = element("fieldset", {}, place);
    element("legend", {}, field, short(axis.name));
    if (axis.kind === "name") {
      const select = element("select", { multiple: true, size: Math.min(4, Math.max(2, axis.domain.length)) }, field);
      select.setAttribute("aria-label", `Values of ${axis.name} to keep`);
      for (const name of axis.domain) element("option", { value: name }, select, name);
      select.addEventListener("change", () => {
        const names = [...select.selectedOptions].map((option) => option.value);
        if (names.length) limits.set(axis.name, { names: new Set(names) });
        else limits.delete(axis.name);
        update();
      });
      inputs.set(axis.name, [select]);
      continue;
    }
    const pair = ["least", "greatest"].map((which) => {
      const input = element("input", { type: "number", step: "any", placeholder: which }, field);
      input.setAttribute("aria-label", `${which} ${axis.name} to keep`);
      input.addEventListener("input", () => {
        const [low, high] = pair.map((one) => one.value);
        if (low === "" && high === "") limits.delete(axis.name);
        else limits.set(axis.name, { low: low === "" ? -Infinity : Number(low), high: high === "" ? Infinity : Number(high) });
        update();
      });
      return input;
    });
    inputs.set(axis.name, pair);
  }
}

function showLimits() {
  for (const [name, fields] of inputs) {
    const limit = limits.get(name);
    if (fields.length === 1) for (const option of fields[0].options) option.selected = Boolean(limit?.names?.has(option.value));
    else fields.forEach((input, i) => {
      const value = limit ? [limit.low, limit.high][i] : Infinity;
      if (document.activeElement !== input) input.value = Number.isFinite(value) ? value : "";
    });
  }
}

// -- what follows ------------------------------------------------------------------------------------------------
let later;
let settled = Promise.resolve(); // the figures are drawn: before that other points would draw them twice

function rows(kept) {
  const table = document.querySelector("table[data-rows]");
  const body = document.createElement("tbody");
  for (const at of kept.slice(0, MOST_ROWS)) {
    const run = runs[at], href = `${base}/runs/${encodeURIComponent(run.id)}`;
    const row = element("tr", {}, body);
    row.dataset.href = href;
    const pick = element("input", { type: "checkbox", name: "run", value: run.id }, element("td", { className: "pick" }, row));
    pick.setAttribute("aria-label", `Select ${run.id}`);
    const head = element("th", { scope: "row" }, row);
    element("a", { className: "run", href }, head, run.id);
    for (const alias of run.aliases) element("span", { className: "alias" }, head, `@${alias}`);
    element("span", { className: `status ${run.status}` }, element("td", {}, row), run.status);
    const time = element("time", { dateTime: run.created }, element("td", { className: "when" }, row));
    localise(time);
    for (const axis of axes) {
      const value = values[axis.name][at];
      element("td", { className: axis.kind === "number" ? "right" : "" }, row, value === null ? "–" : axis.kind === "number" ? number(value) : value);
    }
  }
  table.tBodies[0].replaceWith(body);
  document.querySelector("[data-shown]").textContent = kept.length > MOST_ROWS ? `the newest ${MOST_ROWS} of ${kept.length}` : "";
  document.dispatchEvent(new CustomEvent("rows-changed"));
}

function update() {
  const kept = [], chosen = new Set();
  runs.forEach((run, at) => {
    if (!isKept(at)) return;
    kept.push(at);
    chosen.add(run.id);
  });
  lines.forEach((line, at) => line.classList.toggle("off", !chosen.has(runs[at].id)));
  root.querySelector("[data-kept]").textContent = kept.length < runs.length ? `${kept.length} of ${runs.length} runs kept` : "";
  root.querySelector("[data-clear]").hidden = !limits.size && !Object.keys(brush).length;
  showHeld();
  showLimits();
  clearTimeout(later);
  later = setTimeout(async () => {
    remember();
    rows(kept);
    await settled;
    for (const [name, figure] of figures) {
      const spec = charts[name];
      if (spec) refill(figure, { ...spec, data: { ...spec.data, values: spec.data.values.map((point) => ({ ...point, chosen: chosen.has(point.run) })) } });
    }
  }, 150);
}

root.querySelector("[data-clear]").addEventListener("click", () => {
  limits.clear();
  brush = {};
  if (charts.scatter) settled = scatter();
  update();
});

async function scatter() {
  const view = await draw(figures.get("scatter"), charts.scatter);
  view?.addSignalListener("brush", (_, range) => {
    brush = range ?? {};
    update();
  });
}

recall();
limitsByHand();
settled = Promise.all([charts.scatter && scatter(), charts.time && draw(figures.get("time"), charts.time)]);
let width;
new ResizeObserver(() => {
  if (width === (width = box.parentElement.clientWidth)) return;
  plot();
  update();
}).observe(box.parentElement);
