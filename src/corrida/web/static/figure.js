// Figures: every <figure data-figure> holds a Vega-Lite specification as JSON and is drawn when it comes into view.
// Expressions are interpreted (ast), so that the page needs no right to make code.

const address = document.querySelector("meta[name=vega]")?.content;
const dark = matchMedia("(prefers-color-scheme: dark)");

// Colours of the theme, as they are in the dark.
const night = { white: "transparent", "#FFFFFF": "transparent", "#24292F": "#e6edf3", "#57606A": "#9da7b3", "#EAEEF2": "#262c34",
  "#AFB8C1": "#57606a", "#B8BEC6": "#6e7781", "#000000": "#e6edf3", "#0072B2": "#2f8fd6", "#56B4E9": "#9bdcff", "#6E7781": "#9da7b3" };
const data = new Set(["data", "datasets", "field"]);
const words = new Set(["domain", "text", "title"]);
const drawn = new Map();
let vega;

function load() {
  vega ??= new Promise((done, failed) => {
    const script = document.createElement("script");
    script.src = address;
    script.onload = () => done(window.vegaEmbed);
    script.onerror = () => failed(new Error("vega.js could not be loaded"));
    document.head.append(script);
  });
  return vega;
}

function shaded(thing) {
  if (typeof thing === "string") return night[thing] ?? night[thing.toUpperCase()] ?? thing;
  if (Array.isArray(thing)) return thing.map((part) => shaded(part));
  if (thing === null || typeof thing !== "object") return thing;
  return Object.fromEntries(Object.entries(thing).map(([name, part]) =>
    [name, data.has(name) || (words.has(name) && (typeof part === "string" || Array.isArray(part))) ? part : shaded(part)]));
}

// Breaks a text into lines for a width in pixels; letters of the subtitle are some six of them wide.
function lines(text, width) {
  const most = Math.max(24, Math.floor(width / 6));
  const found = [""];
  for (const word of text.split(" ")) {
    const longer = found.at(-1) ? `${found.at(-1)} ${word}` : word;
    if (longer.length > most && found.at(-1)) found.push(word);
    else found[found.length - 1] = longer;
  }
  return found;
}

function fitted(spec, width) {
  const whole = structuredClone(spec);
  if (width && typeof whole.title?.subtitle === "string") whole.title.subtitle = lines(whole.title.subtitle, width - 16);
  const parts = ["facet", "hconcat", "vconcat", "concat", "repeat"];
  const split = ["row", "column", "facet"].some((channel) => whole.encoding?.[channel]);
  if (!split && !parts.some((part) => part in whole) && typeof whole.width === "number") {
    whole.width = "container";
    // What is high by its rows, or by choice, stays so; a small curve gives room to its title and legend.
    const rows = [whole, ...(whole.layer ?? [])].some((part) => part.encoding?.y?.type === "nominal");
    whole.autosize = { type: rows || whole.height > 220 ? "fit-x" : "fit", contains: "padding" };
  }
  const legend = { labelColor: "#24292F", titleColor: "#57606A", ...whole.config?.legend };
  if (width && width < 420) {
    legend.columns = 2;
    for (const part of [whole, ...(whole.layer ?? [])]) if (part.encoding?.color?.legend?.columns > 2) part.encoding.color.legend.columns = 2;
  }
  whole.config = { ...whole.config, legend, background: "transparent", customFormatTypes: false };
  delete whole.background;
  return dark.matches ? shaded(whole) : whole;
}

// Vega looks at its place when the window changes; what stands beside it may change as well.
const widths = new ResizeObserver((entries) => {
  for (const { target, contentRect: { width } } of entries) {
    if (target.dataset.width && Math.abs(target.dataset.width - width) > 1) requestAnimationFrame(() => dispatchEvent(new Event("resize")));
    target.dataset.width = width;
  }
});

function place(figure) {
  let box = figure.querySelector(":scope > .plot");
  if (!box) {
    box = document.createElement("div");
    box.className = "plot";
    figure.prepend(box);
  }
  return box;
}

// Draws a specification into a figure, in place of what is there. Returns the Vega view.
export async function draw(figure, spec) {
  const turn = (drawn.get(figure)?.turn ?? 0) + 1;
  drawn.set(figure, { ...drawn.get(figure), spec, turn });
  try {
    const embed = await load();
    if (drawn.get(figure).turn !== turn) return undefined;
    const box = place(figure);
    const alt = figure.querySelector("figcaption")?.textContent.trim();
    const before = drawn.get(figure).result;
    const width = box.clientWidth;
    const form = fitted(spec, width);
    const result = await embed(box, { ...form, description: alt || spec.description }, {
      ast: true, actions: false, defaultStyle: false, renderer: "canvas", mode: "vega-lite",
      tooltip: { disableDefaultStyle: true, theme: "custom" },
    });
    before?.finalize();
    figure.dataset.drawn = "";
    figure.classList.remove("failed");
    figure.classList.toggle("fits", form.width === "container");
    if (form.width !== "container" && figure.scrollWidth > figure.clientWidth) figure.tabIndex = 0; // keys scroll it then
    widths.observe(box);
    if (figure.scrollWidth > figure.clientWidth) figure.tabIndex = 0; // keys scroll it, too
    else figure.removeAttribute("tabindex");
    drawn.set(figure, { ...drawn.get(figure), result, width });
    figure.dispatchEvent(new CustomEvent("drawn", { detail: result.view }));
    return result.view;
  } catch (error) {
    figure.classList.add("failed");
    place(figure).textContent = `This figure cannot be drawn: ${error.message}`;
    return undefined;
  }
}

// Puts other points into a figure whose specification is otherwise the same.
export async function refill(figure, spec) {
  const known = drawn.get(figure);
  const name = spec.data?.name;
  const { data: points, ...form } = spec;
  const { data: old, ...oldForm } = known?.spec ?? {};
  if (!known?.result || !name || JSON.stringify(form) !== JSON.stringify(oldForm)) return draw(figure, spec);
  drawn.set(figure, { ...known, spec });
  await known.result.view.data(name, points.values).runAsync();
  return known.result.view;
}

export function whenSeen(figure, act) {
  const watch = new IntersectionObserver((entries) => {
    if (entries.some((entry) => entry.isIntersecting)) {
      watch.disconnect();
      act();
    }
  }, { rootMargin: "300px" });
  watch.observe(figure);
}

for (const figure of document.querySelectorAll("figure[data-figure]")) {
  const source = figure.querySelector("script[type='application/json']");
  if (source) whenSeen(figure, () => draw(figure, JSON.parse(source.textContent)));
}

const again = (needed) => {
  for (const [figure, known] of drawn) if (known.result && needed(figure, known)) draw(figure, known.spec);
};
dark.addEventListener("change", () => again(() => true));

// A figure follows the width of its page by itself; lines of text and legends are set anew where it changed much.
let resizing;
addEventListener("resize", () => {
  clearTimeout(resizing);
  resizing = setTimeout(() => again((figure, { width }) => Math.abs(place(figure).clientWidth / width - 1) > 0.15), 300);
});
