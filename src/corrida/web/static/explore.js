// Many runs at once: parallel coordinates drawn here, two figures of Vega beside them, and what is kept of all three.

const { draw, refill } = await import(document.querySelector("meta[name=figure-module]").content);
const { localise } = await import(document.querySelector("script[src*='/page.js']").src);
const root = document.querySelector("[data-explore]");
const base = document.body.dataset.base;
const answer = await fetch(root.dataset.explore);
if (!answer.ok) throw new Error(`the runs could not be read: ${answer.status}`);
const { axes, beside, x, y, colour, runs, values, charts } = await answer.json();
const fields = [...axes, ...beside]; // those of the scatter need no axis of their own

const MOST_ROWS = 100;
const TOP = 48, HEIGHT = 300, MISSING = 34, GAP = 128;
const SVG = "http://www.w3.org/2000/svg";
const limits = new Map(); // by field: { low, high } of numbers, or { names }. The rectangle of the scatter is two of them
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

const isKept = (at) => fields.every((field) => within(field.name, at));

// Six digits, and never so that what lies on the limit falls outside of it.
function rounded(value, way) {
  if (!Number.isFinite(value) || value === 0) return value;
  const unit = 10 ** (Math.floor(Math.log10(Math.abs(value))) - 5);
  const near = Number(value.toPrecision(6));
  return (way < 0 ? near <= value : near >= value) ? near : Number((near + way * unit).toPrecision(6));
}

function limit(name, low, high) {
  limits.set(name, { low: rounded(Math.min(low, high), -1), high: rounded(Math.max(low, high), 1) });
}

// In the address: name~least~greatest, or name~=~value~value; an end that is open is empty.
const guarded = (part) => part.replace(/[%~]/g, (mark) => (mark === "%" ? "%25" : "%7E"));
const unguarded = (part) => part.replace(/%25|%7E/g, (mark) => (mark === "%25" ? "%" : "~"));
const end = (value) => (Number.isFinite(value) ? String(value) : "");
const kept = () => [...limits].map(([name, limit]) => [guarded(name), ...(limit.names ? ["=", ...[...limit.names].map(guarded)] : [end(limit.low), end(limit.high)])].join("~"));

function remember() {
  const query = new URLSearchParams(location.search);
  const named = (texts) => texts.map((text) => text.split("~")[0]).sort().join("~");
  const before = query.getAll("keep");
  query.delete("keep");
  for (const text of kept()) query.append("keep", text);
  // Back leads to what was limited before, not through every step of a pointer.
  const step = named(before) === named(kept()) ? "replaceState" : "pushState";
  if (before.join() !== kept().join()) history[step](null, "", `?${query}`);
}

function recall() {
  limits.clear();
  for (const text of new URLSearchParams(location.search).getAll("keep")) {
    const [name, ...rest] = text.split("~").map(unguarded);
    const field = fields.find((one) => one.name === name);
    if (field?.kind === "name" && rest[0] === "=") limits.set(name, { names: new Set(rest.slice(1)) });
    else if (field?.kind === "number" && rest.length === 2 && rest.every((part) => !Number.isNaN(Number(part))))
      limits.set(name, { low: rest[0] === "" ? -Infinity : Number(rest[0]), high: rest[1] === "" ? Infinity : Number(rest[1]) });
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
  const gap = Math.max(GAP, Math.min(640, (box.parentElement.clientWidth - 150) / Math.max(axes.length - 1, 1)));
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
  const most = Math.floor((gap - 26) / 7.2), name = short(axis.name);
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
      else limit(axis.name, scale.value(low), scale.value(high));
      mark();
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
  for (const axis of fields) {
    const field = element("fieldset", {}, place);
    element("legend", {}, field, short(axis.name));
    if (axis.kind === "name") {
      const list = element("div", { className: "values" }, field);
      const boxes = axis.domain.map((name) => {
        const label = element("label", {}, list);
        const box = element("input", { type: "checkbox", value: name }, label);
        element("span", {}, label, name);
        return box;
      });
      list.addEventListener("change", () => {
        const names = boxes.filter((box) => box.checked).map((box) => box.value);
        if (names.length) limits.set(axis.name, { names: new Set(names) });
        else limits.delete(axis.name);
        mark();
        update();
      });
      inputs.set(axis.name, boxes);
      continue;
    }
    const pair = ["least", "greatest"].map((which) => {
      const input = element("input", { type: "number", step: "any", placeholder: which }, field);
      input.setAttribute("aria-label", `${which} ${axis.name} to keep`);
      input.addEventListener("input", () => {
        const [low, high] = pair.map((one) => one.value);
        if (low === "" && high === "") limits.delete(axis.name);
        else limits.set(axis.name, { low: low === "" ? -Infinity : Number(low), high: high === "" ? Infinity : Number(high) });
        mark();
        update();
      });
      return input;
    });
    inputs.set(axis.name, pair);
  }
}

function showLimits() {
  for (const [name, parts] of inputs) {
    const limit = limits.get(name);
    if (parts[0]?.type === "checkbox") for (const box of parts) box.checked = Boolean(limit?.names?.has(box.value));
    else parts.forEach((input, i) => {
      const value = limit ? [limit.low, limit.high][i] : Infinity;
      if (document.activeElement !== input) input.value = Number.isFinite(value) ? value : "";
    });
  }
}

// -- what follows ------------------------------------------------------------------------------------------------
let later;
let settled = Promise.resolve(); // the figures are drawn: before that other points would draw them twice

function rows(chosen) {
  const table = document.querySelector("table[data-rows]");
  const body = document.createElement("tbody");
  for (const at of chosen.slice(0, MOST_ROWS)) {
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
  document.querySelector("[data-shown]").textContent = chosen.length > MOST_ROWS ? `the newest ${MOST_ROWS} of ${chosen.length}` : "";
  document.dispatchEvent(new CustomEvent("rows-changed"));
}

function update() {
  const left = [], chosen = new Set();
  runs.forEach((run, at) => {
    if (!isKept(at)) return;
    left.push(at);
    chosen.add(run.id);
  });
  lines.forEach((line, at) => line.classList.toggle("off", !chosen.has(runs[at].id)));
  root.querySelector("[data-kept]").textContent = limits.size ? `${left.length} of ${runs.length} runs kept` : "";
  root.querySelector("[data-clear]").hidden = !limits.size;
  showHeld();
  showLimits();
  clearTimeout(later);
  later = setTimeout(async () => {
    remember();
    rows(left);
    await settled;
    for (const [name, figure] of figures) {
      const spec = charts[name];
      if (spec) refill(figure, { ...spec, data: { ...spec.data, values: spec.data.values.map((point) => ({ ...point, chosen: chosen.has(point.run) })) } });
    }
  }, 150);
}

root.querySelector("[data-clear]").addEventListener("click", () => {
  limits.clear();
  mark();
  update();
});

// -- the rectangle of the scatter --------------------------------------------------------------------------------
let view; // of Vega
let byHand = -Infinity; // when a person last touched the scatter: what Vega says of its rectangle at other times is our own doing

const shapes = figures.get("scatter");
for (const kind of ["pointerdown", "wheel", "dblclick"]) shapes?.addEventListener(kind, () => { byHand = performance.now(); }, { capture: true, passive: true });
addEventListener("pointermove", (event) => { if (event.buttons && byHand > 0) byHand = performance.now(); }, true);
addEventListener("pointerup", () => { if (byHand > 0) byHand = performance.now(); }, true);

shapes?.addEventListener("drawn", (event) => {
  view = event.detail;
  view.addSignalListener("brush", (_, range) => {
    if (performance.now() - byHand > 500) return;
    const taken = new Map();
    for (const [channel, name] of [["x", x], ["y", y]]) {
      const ends = range?.[channel];
      if (!ends?.length) limits.delete(name);
      else if (typeof ends[0] === "string") limits.set(name, { names: new Set(ends.filter((one) => taken.get(name)?.names.has(one) ?? true)) });
      else limit(name, ends[0], ends.at(-1));
      const { low, high } = limits.get(name) ?? {}, first = taken.get(name); // one field may lie along both
      if (first && low !== undefined) limits.set(name, { low: Math.max(low, first.low), high: Math.min(high, first.high) });
      if (limits.has(name)) taken.set(name, limits.get(name));
    }
    update();
  });
  view.addResizeListener(() => mark());
  mark();
});

// Where a limit lies along an axis of the scatter, in pixels; null where no rectangle can show it.
function extent(channel, name) {
  const whole = channel === "x" ? [0, view.width()] : [view.height(), 0];
  const known = limits.get(name), scale = view.scale(channel);
  if (!known) return whole;
  if (known.names) {
    const domain = scale.domain(), at = domain.map((_, i) => i).filter((i) => known.names.has(domain[i]));
    if (!at.length || at.at(-1) - at[0] >= at.length) return null;
    const edge = scale.step() * 0.4 * Math.sign(whole[1] - whole[0]), places = [at[0], at.at(-1)].map((i) => scale(domain[i]));
    return channel === "x" ? [Math.min(...places) - edge, Math.max(...places) + edge] : [Math.max(...places) - edge, Math.min(...places) + edge];
  }
  const [least, greatest] = [Math.min(...whole), Math.max(...whole)];
  return [known.low, known.high].map((value, i) => {
    const place = Number.isFinite(value) ? scale(value) : whole[i];
    return Number.isFinite(place) ? Math.min(Math.max(place, least), greatest) : whole[i];
  });
}

// Shows the limits of both fields as the rectangle.
function mark() {
  if (!view) return;
  const both = limits.has(x) || limits.has(y) ? [extent("x", x), extent("y", y)] : [null, null];
  const [across, up] = both.every(Boolean) ? both : [[0, 0], [0, 0]];
  byHand = -Infinity;
  view.signal("brush_x_1", across).signal("brush_y_1", up).runAsync();
}

addEventListener("popstate", () => {
  recall();
  mark();
  update();
});

// Another choice of axes or runs keeps the limits.
document.querySelector(".explore-form")?.addEventListener("formdata", (event) => {
  for (const text of kept()) event.formData.append("keep", text);
});

recall();
limitsByHand();
if (limits.size) root.querySelector("[data-by-hand]").open = true;
settled = Promise.all(["scatter", "time"].map((name) => charts[name] && draw(figures.get(name), charts[name])));
let width;
new ResizeObserver(() => {
  if (width === (width = box.parentElement.clientWidth)) return;
  plot();
  update();
}).observe(box.parentElement);
