// The screens page: draws what the server's events say. Every text is set as text, never as HTML.

const MAX_DEVICES = 60;
const MAX_CARDS = 12;

const byId = (id) => document.getElementById(id);
const grid = byId("screens");
const devices = new Map(); // number → {facts, cards: newest first, node}

/** A new element with a class, perhaps text, and children. */
function element(tag, className, text, ...children) {
  const node = document.createElement(tag);
  node.className = className;
  if (text) node.textContent = text;
  node.append(...children);
  return node;
}

/** A device's own wallpaper colour, the same at every visit. */
function hueOf(facts) {
  const start = { apns: 205, fcm: 135, web: 18 }[facts.platform];
  return start + ((facts.number * 47) % 130);
}

function ago(time) {
  const seconds = Math.max(0, (Date.now() - Date.parse(time)) / 1000);
  if (seconds < 45) return "now";
  if (seconds < 3600) return `${Math.round(seconds / 60)}m ago`;
  if (seconds < 86400) return `${Math.round(seconds / 3600)}h ago`;
  return new Date(time).toLocaleDateString();
}

function clockOf(device) {
  const moment = new Date(device.cards[0]?.time ?? device.facts.minted_at);
  const hour = moment.toLocaleTimeString([], { hour: "numeric", minute: "2-digit", hour12: false });
  const day = moment.toLocaleDateString([], { weekday: "long", month: "long", day: "numeric" });
  return element("div", "clock", "", element("b", "", hour), element("span", "", day));
}

function cardNode(device, entry) {
  const { card } = entry;
  if (card.silent) {
    const line = element("button", "silent", `silent · data only · ${ago(entry.time)}`);
    line.addEventListener("click", () => showDetails(device, entry));
    return line;
  }
  const title = card.sealed ? "Encrypted" : card.title || device.facts.name;
  const when = element("time", "", ago(entry.time));
  when.dateTime = entry.time;
  const icon = element("span", "icon", "");
  if (card.badge) icon.append(element("em", "", String(card.badge)));
  const words = element("span", "words", "");
  words.append(element("span", "top", "", element("span", "title", title), when));
  if (card.subtitle) words.append(element("span", "subtitle", card.subtitle));
  const body = card.sealed ? entry.note || "An empty push: only the browser knows what it means." : card.body;
  if (body) words.append(element("span", "text", body));
  const node = element("button", "card", "", icon, words);
  node.addEventListener("click", () => showDetails(device, entry));
  return node;
}

function draw(device, arriving) {
  const { facts, cards } = device;
  const stack = element("div", "stack", "");
  for (const entry of cards) {
    const node = cardNode(device, entry);
    if (arriving.has(entry.id)) node.classList.add("arriving");
    stack.append(node);
  }
  const quiet = element("p", "quiet", facts.gone ? "The app is no longer installed." : "Nothing has arrived yet.");
  const screen = element("div", "screen", "", clockOf(device), cards.length ? stack : quiet);
  screen.style.setProperty("--hue", hueOf(facts));
  const frame = element("div", "frame", "");
  if (facts.platform === "web") {
    const address = element("span", "", facts.real ? "a real Firefox" : "https://app.example");
    frame.append(element("div", "chrome", "", element("i", ""), element("i", ""), element("i", ""), address));
  }
  frame.append(screen);
  const kind = { apns: "APNs", fcm: "FCM", web: "Web Push" }[facts.platform];
  const label = element("div", "label", "", element("b", "", facts.name), element("span", "", `${kind} · ${facts.detail}`));
  device.node.className = facts.gone ? "device gone" : "device";
  device.node.dataset.platform = facts.platform;
  device.node.replaceChildren(frame, label);
}

/** Puts an entry on its device's screen, in the place of an earlier one that it replaces. */
function receive(device, entry) {
  const { replaces } = entry.card;
  if (replaces !== null && replaces !== undefined) {
    device.cards = device.cards.filter((each) => each.card.replaces !== replaces);
  }
  device.cards.unshift(entry);
  device.cards.length = Math.min(device.cards.length, MAX_CARDS);
}

function admit(facts) {
  const device = devices.get(facts.number) ?? { cards: [], node: element("article", "device", "") };
  device.facts = facts;
  devices.set(facts.number, device);
  return device;
}

function showCounts(view) {
  byId("device-count").textContent = view.total_devices.toLocaleString();
  byId("entry-count").textContent = view.total_entries.toLocaleString();
  byId("empty").hidden = view.total_devices > 0;
  byId("more").hidden = view.total_devices <= MAX_DEVICES;
  byId("more-total").textContent = view.total_devices.toLocaleString();
}

function onSnapshot(view) {
  devices.clear();
  for (const facts of view.devices) admit(facts);
  for (const entry of view.entries) receive(devices.get(entry.device), entry);
  for (const device of devices.values()) draw(device, new Set());
  grid.replaceChildren(...[...devices.values()].map((device) => device.node));
  showCounts(view);
}

function onNews(view) {
  const touched = view.devices.map(admit);
  const arriving = new Set(view.entries.map((entry) => entry.id));
  for (const entry of view.entries) receive(devices.get(entry.device), entry);
  for (const device of touched) {
    draw(device, arriving);
    grid.prepend(device.node);
  }
  for (const node of [...grid.children].slice(MAX_DEVICES)) {
    for (const [number, device] of devices) if (device.node === node) devices.delete(number);
    node.remove();
  }
  showCounts(view);
}

function showDetails(device, entry) {
  byId("details-title").textContent = entry.card.title || device.facts.name;
  byId("details-when").textContent = `${device.facts.name} · ${new Date(entry.time).toLocaleString()} · no. ${entry.id}`;
  const readable = typeof entry.payload === "string" ? entry.payload : JSON.stringify(entry.payload, null, 2);
  byId("details-payload").textContent = entry.note ?? readable;
  const headers = byId("details-headers");
  headers.replaceChildren();
  for (const [name, value] of Object.entries(entry.headers)) {
    headers.append(element("dt", "", name), element("dd", "", value));
  }
  byId("details").showModal();
}

function showLink(state, text) {
  byId("link").dataset.state = state;
  byId("link").lastElementChild.textContent = text;
}

byId("clear").addEventListener("click", () => fetch("/inbox", { method: "DELETE" }));
byId("details").addEventListener("click", (event) => {
  if (event.target === byId("details")) byId("details").close();
});
setInterval(() => {
  for (const node of document.querySelectorAll(".card time")) node.textContent = ago(node.dateTime);
}, 15000);

const events = new EventSource("/events");
events.addEventListener("open", () => showLink("live", "live"));
events.addEventListener("error", () => showLink("lost", "reconnecting"));
events.addEventListener("snapshot", (event) => onSnapshot(JSON.parse(event.data)));
events.addEventListener("news", (event) => onNews(JSON.parse(event.data)));
