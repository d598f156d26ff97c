// The console: what lives here, and for how long. Same API as everybody's, nothing stored in the browser.

const byId = (id) => document.getElementById(id);
const cards = new Map(); // id -> {image, element, since}
const erased = new Set(); // by this page: a list that was asked for before must not bring them back
const UNSETTLED = new Set(["received", "processing"]);
const SOON = 60_000;
let clockSkew = 0; // server time minus ours, in ms
let nextCursor = null;
let openId = null;
let role = null; // the caller's; the server decides what it may do, the page only what it offers
const SEES_PICTURES = new Set(["uploader", "operator", "admin"]);
const UPLOADS = new Set(["uploader", "admin"]);
const ERASES = new Set(["operator", "admin"]);

async function call(path, options) {
  const response = await fetch(path, options);
  const date = Date.parse(response.headers.get("date"));
  if (!Number.isNaN(date) && Math.abs(date + 500 - Date.now() - clockSkew) > 2_000) clockSkew = date + 500 - Date.now();
  if (response.ok) return response.status === 204 ? null : response.json();
  const problem = await response.json().catch(() => ({ title: "This is no Mayfly server", detail: "" }));
  throw Object.assign(new Error(`${problem.title}: ${problem.detail}`), { status: response.status });
}

function say(text, alarm = false) {
  // A screen reader tells every write to it, so only news is written.
  if (byId("status").textContent !== text) byId("status").textContent = text;
  byId("status").classList.toggle("alarm", alarm);
}

function remaining(image) {
  return Date.parse(image.expires_at) - (Date.now() + clockSkew);
}

function lifeLeft(milliseconds) {
  const seconds = Math.max(0, Math.ceil(milliseconds / 1_000));
  const parts = [[86_400, "d"], [3_600, "h"], [60, "m"], [1, "s"]];
  const words = [];
  let rest = seconds;
  for (const [size, unit] of parts) {
    if (rest >= size || (unit === "s" && words.length === 0)) words.push(`${Math.floor(rest / size)} ${unit}`);
    rest %= size;
  }
  return words.slice(0, 2).join(" ");
}

function readable(time) {
  return time.replace("T", " ").replace(/(\.\d+)?Z$/, " UTC");
}

function sized(bytes) {
  return bytes < 1_048_576 ? `${Math.ceil(bytes / 1_024)} KiB` : `${(bytes / 1_048_576).toFixed(1)} MiB`;
}

function show(image) {
  if (erased.has(image.id)) return;
  let card = cards.get(image.id);
  if (!card) {
    const element = byId("card").content.firstElementChild.cloneNode(true);
    element.querySelector(".open").addEventListener("click", () => detail(image.id));
    card = { element, since: performance.now() };
    cards.set(image.id, card);
    // Ids sort by birth; the list stands newest first.
    const after = [...byId("images").children].find((other) => other.dataset.id < image.id);
    element.dataset.id = image.id;
    byId("images").insertBefore(element, after ?? null);
  }
  card.image = image;
  const state = card.element.querySelector(".state");
  state.textContent = image.reason ? `${image.state}: ${image.reason}` : image.state;
  state.className = `state ${image.state}`;
  const dimensions = image.facts ? `${image.facts.width} × ${image.facts.height}, ` : "";
  card.element.querySelector(".size").textContent = `${dimensions}${sized(image.bytes)}`;
  const small = image.renditions[0];
  const picture = card.element.querySelector("img");
  if (small && picture.hidden && SEES_PICTURES.has(role)) {
    picture.src = small.href;
    picture.alt = `${image.media_type}, received ${readable(image.received_at)}`;
    picture.hidden = false;
  }
}

function drop(id) {
  cards.get(id)?.element.remove();
  cards.delete(id);
  if (openId === id) byId("detail").close();
}

function tick() {
  for (const [id, { image, element }] of cards) {
    const left = remaining(image);
    if (left <= 0) { drop(id); continue; }
    const expiry = element.querySelector(".expiry");
    expiry.textContent = `gone in ${lifeLeft(left)}`;
    expiry.title = readable(image.expires_at);
    expiry.classList.toggle("soon", left < SOON);
  }
  byId("empty").hidden = cards.size > 0;
}

async function refresh() {
  const asked = performance.now();
  try {
    const page = await call("/v1/images?limit=60");
    const seen = new Set(page.items.map((image) => image.id));
    const oldest = page.items.at(-1)?.id ?? "";
    // What should stand on this page and does not was erased elsewhere.
    for (const [id, { since }] of [...cards]) {
      if (since < asked && !seen.has(id) && (id >= oldest || !page.next_cursor)) drop(id);
    }
    page.items.forEach(show);
    if (nextCursor === null) { nextCursor = page.next_cursor; }
    byId("more").hidden = !nextCursor;
    say(`${cards.size}${nextCursor ? " and more" : ""} living`);
  } catch (fault) {
    if (fault.status === 401) return askForToken();
    say(fault.status ? fault.message : "The server does not answer", true);
  }
  tick();
  const busy = [...cards.values()].some(({ image }) => UNSETTLED.has(image.state));
  setTimeout(refresh, busy ? 700 : 4_000);
}

async function begin() {
  try {
    const me = await call("/v1/me");
    role = me.role;
    byId("sign-in").hidden = true;
    document.querySelector("main").hidden = false;
    byId("door").hidden = !UPLOADS.has(role);
    byId("erase").hidden = !ERASES.has(role);
    byId("who").hidden = !me.signed_in;
    byId("name").textContent = `${me.name} (${role})`;
    refresh();
  } catch (fault) {
    if (fault.status === 401) return askForToken();
    say(fault.status ? fault.message : "The server does not answer", true);
    setTimeout(begin, 4_000);
  }
}

function askForToken() {
  [...cards.keys()].forEach(drop);
  nextCursor = null;
  say("");
  byId("who").hidden = true;
  document.querySelector("main").hidden = true;
  byId("sign-in").hidden = false;
  byId("token").focus();
}

byId("sign-in").addEventListener("submit", async (event) => {
  event.preventDefault();
  const token = byId("token").value.trim();
  byId("token").value = "";
  byId("sign-in-problem").textContent = "";
  try {
    await call("/v1/session", { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify({ token }) });
    begin();
  } catch (fault) {
    byId("sign-in-problem").textContent = fault.status ? fault.message : "The server does not answer";
    byId("token").focus();
  }
});
byId("sign-out").addEventListener("click", async () => {
  try { await call("/v1/session", { method: "DELETE" }); } catch (fault) { return say(fault.message, true); }
  location.reload(); // nothing of what was seen stays on the page
});

async function detail(id) {
  try {
    const image = await call(`/v1/images/${id}`);
    openId = id;
    byId("detail-title").textContent = image.file_name ?? image.id;
    const largest = image.renditions.at(-1);
    byId("detail-picture").hidden = !largest;
    if (largest) byId("detail-picture").src = largest.href;
    const { format, kib, ...found } = image.facts ?? {}; // type and size say the same
    const facts = { id: image.id, state: image.state, reason: image.reason, received: readable(image.received_at),
      expires: readable(image.expires_at), type: image.media_type, size: sized(image.bytes), ...image.labels, ...found };
    byId("detail-facts").replaceChildren(...Object.entries(facts)
      .filter(([, value]) => value !== null && typeof value !== "object")
      .flatMap(([name, value]) => [element("dt", name.replaceAll("_", " ")), element("dd", String(value))]));
    const links = image.renditions.map((rendition) => link(rendition.href, `${rendition.name} ${rendition.width} × ${rendition.height}`));
    if (image.state !== "rejected") links.push(link(`/v1/images/${id}/original`, "original"));
    byId("detail-links").replaceChildren(...links);
    byId("detail").showModal();
  } catch (fault) {
    if (fault.status === 410) drop(id);
    say(fault.message, true);
  }
}

function element(name, text) {
  const made = document.createElement(name);
  made.textContent = text;
  return made;
}

function link(href, text) {
  const made = element("a", text);
  made.href = href;
  return made;
}

function upload(file) {
  return new Promise((resolve) => {
    const note = element("li", file.name);
    const bar = document.createElement("progress");
    note.append(bar);
    byId("notes").append(note);
    const request = new XMLHttpRequest();
    const retain = byId("retain").value;
    request.open("POST", `/v1/images${retain ? `?retain=${retain}` : ""}`);
    request.setRequestHeader("Content-Type", file.type || "application/octet-stream");
    request.setRequestHeader("Content-Disposition", `attachment; filename*=UTF-8''${encodeURIComponent(file.name)}`);
    request.upload.onprogress = ({ loaded, total }) => { bar.max = total; bar.value = loaded; };
    request.onload = () => {
      if (request.status === 201) { note.remove(); show(JSON.parse(request.response)); tick(); }
      else fail(note, bar, problemOf(request));
      resolve();
    };
    request.onerror = () => { fail(note, bar, "The server does not answer."); resolve(); };
    request.send(file);
  });
}

function problemOf(request) {
  try { return JSON.parse(request.response).detail; } catch { return `The server answered ${request.status}.`; }
}

function fail(note, bar, text) {
  bar.remove();
  note.append(Object.assign(element("span", text), { className: "problem" }));
  const close = element("button", "Dismiss");
  close.type = "button";
  close.addEventListener("click", () => note.remove());
  note.append(close);
}

async function uploadAll(files) {
  // Three at a time: one that is refused does not hold the others up.
  const waiting = [...files];
  const lane = async () => { while (waiting.length) await upload(waiting.shift()); };
  await Promise.all([lane(), lane(), lane()]);
}

byId("files").addEventListener("change", ({ target }) => {
  uploadAll(target.files);
  target.value = ""; // so that the same file can be chosen again
});
const door = byId("door");
door.addEventListener("submit", (event) => event.preventDefault());
for (const name of ["dragover", "dragleave", "drop"]) {
  door.addEventListener(name, (event) => {
    event.preventDefault();
    door.classList.toggle("over", name === "dragover");
    if (name === "drop") uploadAll(event.dataTransfer.files);
  });
}
byId("more").addEventListener("click", async () => {
  const page = await call(`/v1/images?limit=60&cursor=${encodeURIComponent(nextCursor)}`).catch((fault) => say(fault.message, true));
  if (!page) return;
  page.items.forEach(show);
  nextCursor = page.next_cursor ?? "";
  byId("more").hidden = !nextCursor;
  tick();
});
byId("erase").addEventListener("click", async () => {
  const id = openId;
  if (!confirm("Erase this image now? It cannot be undone.")) return;
  try { await call(`/v1/images/${id}`, { method: "DELETE" }); } catch (fault) { if (fault.status !== 410) return say(fault.message, true); }
  erased.add(id);
  drop(id);
  tick();
});
byId("detail").addEventListener("close", () => { openId = null; byId("detail-picture").removeAttribute("src"); });
setInterval(tick, 1_000);
begin();
