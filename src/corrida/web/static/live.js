// The page of a run that runs: when the server says that it changed, the parts that show it are asked for again.

const { localise } = await import(document.querySelector("script[src*='/page.js']").src);
const head = document.querySelector("[data-events]");
const mark = () => document.querySelector(".live-mark")?.classList.toggle("on", connected);
const shown = new WeakMap();
let connected = false;
let busy = false;
let again = false;

async function renew() {
  if (busy) {
    again = true;
    return;
  }
  busy = true;
  try {
    const answer = await fetch(location.href, { headers: { accept: "text/html" } });
    if (!answer.ok) return;
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    for (const part of document.querySelectorAll("[data-live]")) {
      const other = page.querySelector(`[data-live="${part.dataset.live}"]`);
      const held = part.contains(document.activeElement) && document.activeElement.matches("input, select");
      if (other && !held && other.innerHTML !== (shown.get(part) ?? part.innerHTML)) {
        shown.set(part, other.innerHTML);
        for (const time of other.querySelectorAll("time[datetime]")) localise(time);
        part.replaceChildren(...other.childNodes);
      }
    }
    mark();
    document.dispatchEvent(new CustomEvent("run-changed"));
    if (!document.querySelector("[data-curves]") && page.querySelector("[data-curves]")) location.reload();
  } finally {
    busy = false;
    if (again) {
      again = false;
      setTimeout(renew, 500);
    }
  }
}

if (head) {
  const source = new EventSource(head.dataset.events);
  source.addEventListener("state", renew);
  source.addEventListener("end", () => {
    source.close();
    location.reload();
  });
  source.onopen = source.onerror = () => {
    connected = source.readyState === EventSource.OPEN;
    mark();
  };
  addEventListener("pagehide", () => source.close());
}
