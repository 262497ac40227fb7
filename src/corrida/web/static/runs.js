// Tables of runs: what is selected (kept while pages are turned), ids to copy, and rows of running runs that renew themselves.

const { localise } = await import(document.querySelector("script[src*='/page.js']").src);
const form = document.querySelector("form[data-select]");
const kept = `corrida.selected ${document.body.dataset.base}`;
const boxes = () => [...form.querySelectorAll(".pick input")];
let last;

function remembered() {
  try {
    const names = JSON.parse(sessionStorage.getItem(kept));
    return new Set(Array.isArray(names) ? names : []);
  } catch {
    return new Set();
  }
}

function keep(names) {
  try {
    sessionStorage.setItem(kept, JSON.stringify([...names]));
  } catch { /* without a place to keep them, this page alone is what counts */ }
}

// Runs that are selected on other pages of the table go with the form.
function show(names) {
  const here = new Set(boxes().map((box) => box.value));
  for (const box of boxes()) box.checked = names.has(box.value);
  for (const old of form.querySelectorAll("input[data-elsewhere]")) old.remove();
  const elsewhere = [...names].filter((name) => !here.has(name));
  for (const name of elsewhere) {
    const input = Object.assign(document.createElement("input"), { type: "hidden", name: "run", value: name });
    input.dataset.elsewhere = "";
    form.append(input);
  }
  form.classList.toggle("some", names.size > 0);
  const count = form.querySelector("[data-count]");
  count.textContent = names.size ? `${names.size} selected${elsewhere.length ? `, ${elsewhere.length} not on this page` : ""}` : "";
  form.querySelector("[data-picked] button").disabled = names.size < 2;
}

function changed() {
  const names = remembered();
  for (const box of boxes()) names[box.checked ? "add" : "delete"](box.value);
  keep(names);
  show(names);
}

function copyButton(link) {
  if (!navigator.clipboard || link.parentElement.querySelector(".copy")) return;
  const button = Object.assign(document.createElement("button"), { type: "button", className: "copy", title: "Copy the id" });
  button.setAttribute("aria-label", `Copy ${link.textContent}`);
  button.addEventListener("click", async () => {
    await navigator.clipboard.writeText(link.textContent);
    button.classList.add("done");
    setTimeout(() => button.classList.remove("done"), 1200);
  });
  link.parentElement.append(button);
}

const copies = (root) => root.querySelectorAll("tbody th > a.run").forEach(copyButton);

async function renew() {
  const table = document.querySelector("table[data-renew]");
  if (document.hidden || !table?.querySelector(".status.running")) return;
  const answer = await fetch(location.href, { headers: { accept: "text/html" } });
  const page = answer.ok && new DOMParser().parseFromString(await answer.text(), "text/html");
  const other = page && page.querySelector("table[data-renew]");
  if (!other) return;
  const focused = document.activeElement?.closest("tr")?.dataset.href;
  const marked = table.querySelector("tr.here")?.dataset.href;
  const inBox = document.activeElement?.matches(".pick input");
  for (const time of other.querySelectorAll("time[datetime]")) localise(time);
  table.replaceChildren(...other.childNodes);
  copies(table);
  for (const row of table.querySelectorAll("tr[data-href]")) {
    row.classList.toggle("here", row.dataset.href === marked);
    if (row.dataset.href === focused) row.querySelector(inBox ? ".pick input" : "a")?.focus({ preventScroll: true });
  }
  show(remembered());
}

if (form) {
  form.addEventListener("click", (event) => {
    const box = event.target.closest(".pick input");
    if (!box) return;
    const all = boxes();
    const from = all.findIndex((one) => one.value === last);
    if (event.shiftKey && from >= 0) {
      const to = all.indexOf(box);
      for (const one of all.slice(Math.min(from, to), Math.max(from, to) + 1)) one.checked = box.checked;
    }
    last = box.value;
    changed();
  });
  form.addEventListener("reset", (event) => {
    event.preventDefault();
    keep(new Set());
    show(new Set());
  });
  addEventListener("pageshow", () => show(remembered()));
  show(remembered());
  copies(form);
  document.addEventListener("rows-changed", () => {
    copies(form);
    show(remembered());
  });
  if (document.querySelector("table[data-renew] .status.running")) {
    setInterval(() => renew().catch(() => {}), 3000);
    document.addEventListener("visibilitychange", () => renew().catch(() => {}));
  }
}

// A chooser of columns closes when a person looks elsewhere.
const chooser = document.querySelector("details.columns");
document.addEventListener("click", (event) => {
  if (chooser?.open && !chooser.contains(event.target)) chooser.open = false;
});
chooser?.addEventListener("keydown", (event) => {
  if (event.key !== "Escape") return;
  chooser.open = false;
  chooser.querySelector("summary").focus();
});
