// The figures of step metrics: asked for when they come into view, and again when the form or the run changes.

const form = document.querySelector("form[data-curves]");
const { refill, whenSeen } = await import(document.querySelector("meta[name=figure-module]").content);
const seen = new Set();
let waiting;
let turn = 0;

function state() {
  const query = new URLSearchParams();
  const others = [...form.querySelectorAll("input[name=with]")].map((input) => input.value);
  if (others.length) query.set("with", others.join(","));
  if (Number(form.elements.smooth.value)) query.set("smooth", form.elements.smooth.value);
  if (form.elements.log.checked) query.set("log", "1");
  if (form.elements.x.value === "time") query.set("x", "time");
  return query;
}

async function ask(figures) {
  const asked = turn;
  const query = state();
  for (const figure of figures) query.append("name", figure.dataset.name);
  const answer = await fetch(`${form.dataset.source}?${query}`);
  if (!answer.ok || asked !== turn) return;
  const { figures: made } = await answer.json();
  const byName = new Map(made.map((one) => [one.metric, one]));
  for (const figure of figures) {
    const one = byName.get(figure.dataset.name);
    if (!one || asked !== turn) continue;
    figure.querySelector("figcaption").textContent = one.alt;
    await refill(figure, one.spec);
  }
}

function soon(delay) {
  clearTimeout(waiting);
  waiting = setTimeout(() => {
    turn += 1;
    ask([...seen]);
  }, delay);
}

let fresh = [];
if (form) {
  for (const figure of document.querySelectorAll("figure[data-name]")) {
    whenSeen(figure, () => {
      seen.add(figure);
      if (fresh.push(figure) === 1) queueMicrotask(() => setTimeout(() => ask(fresh.splice(0))));
    });
  }
  const keep = () => {
    const query = new URLSearchParams(location.search);
    for (const name of ["smooth", "log", "x"]) query.delete(name);
    for (const [name, value] of state()) if (name !== "with") query.set(name, value);
    history.replaceState(null, "", `?${query}`);
  };
  form.elements.smooth.addEventListener("input", (event) => {
    event.target.parentElement.querySelector("output").textContent = Number(event.target.value).toFixed(2);
    soon(120);
  });
  form.addEventListener("change", (event) => {
    if (["smooth", "log", "x"].includes(event.target.name)) {
      keep();
      soon(20);
    } else if (event.target.name === "with") {
      form.requestSubmit();
      setTimeout(() => { event.target.value = ""; }); // for who comes back
    }
  });
  document.addEventListener("run-changed", () => soon(0));
}
