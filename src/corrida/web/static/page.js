// What every page has: times in the local zone, and keys.

for (const time of document.querySelectorAll("time[datetime]")) localise(time);

export function localise(time) {
  const when = new Date(time.dateTime);
  if (Number.isNaN(when.getTime())) return;
  const two = (number) => String(number).padStart(2, "0");
  time.textContent = `${when.getFullYear()}-${two(when.getMonth() + 1)}-${two(when.getDate())} ${two(when.getHours())}:${two(when.getMinutes())}`;
  time.title = `${time.dateTime.replace("T", " ").replace(/(\.\d+)?(Z|\+00:00)$/, "")} UTC`;
}

const rows = () => [...document.querySelectorAll("tr[data-href], .flipped details")].filter((row) => row.getClientRects().length);
let here = -1;

function go(step) {
  const all = rows();
  if (!all.length) return;
  all[here]?.classList.remove("here");
  here = Math.min(Math.max(here + step, 0), all.length - 1);
  all[here].classList.add("here");
  all[here].scrollIntoView({ block: "nearest" });
  all[here].querySelector("summary, a")?.focus({ preventScroll: true });
}

const keys = {
  "/": () => {
    const search = document.querySelector("[data-key='/']");
    search?.focus();
    search?.select(); // what is typed takes the place of what was searched before
  },
  j: () => go(1),
  k: () => go(-1),
  x: () => rows()[here]?.querySelector(".pick input")?.click(),
  c: () => document.querySelector("form[data-select]")?.requestSubmit(),
  "?": () => document.getElementById("keys")?.showModal(),
};

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.target.closest("input:not([type=checkbox]), textarea, select, [contenteditable], dialog[open]")) {
    if (event.key === "Escape") event.target.blur();
    return;
  }
  if (event.key === "Enter") {
    const row = rows()[here];
    if (row?.dataset.href && row.classList.contains("here") && !event.target.closest("a, button, summary")) {
      event.preventDefault(); // else a box that is ticked would send its form
      location.href = row.dataset.href;
    }
    return;
  }
  const act = keys[event.key];
  if (act) {
    event.preventDefault();
    act();
  }
});
