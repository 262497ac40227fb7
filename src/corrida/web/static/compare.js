// The items that are opened stand in the address, so that "back" and a link show them again.

const items = document.querySelectorAll(".flipped details[data-item]");

function keep() {
  const address = new URL(location.href);
  address.searchParams.delete("open");
  for (const item of items) if (item.open) address.searchParams.append("open", item.dataset.item);
  if (address.href !== location.href) history.replaceState(history.state, "", address);
}

for (const item of items) item.addEventListener("toggle", keep);
