// The page of the shortener. It speaks to the REST API of the same origin and to nothing else.
import { at, element } from "./dom.js?v={digest}";

const API = "/rest/v3";
const PAGE_ITEMS = 10;
const VISITS_A_PAGE = 1000;
const VISITS_MAX = 20000;
const SVG = "http://www.w3.org/2000/svg";
const state = { key: sessionStorage.getItem("shortener-key") || "", page: 1, link: null };

class ApiError extends Error {
  constructor(status, text) {
    super(text);
    this.status = status;
  }
}

async function api(path, options = {}) {
  let reply;
  try {
    reply = await fetch(API + path, {
      ...options,
      headers: { "X-Api-Key": state.key, "Content-Type": "application/json", ...options.headers },
    });
  } catch {
    throw new ApiError(0, "The service does not answer. Try again.");
  }
  const body = await reply.json().catch(() => ({}));
  if (!reply.ok) throw new ApiError(reply.status, body.detail || body.title || `Error ${reply.status}`);
  return body;
}

function say(text, bad = false) {
  at("notice").textContent = text;
  at("notice").classList.toggle("bad", bad);
  at("notice").hidden = !text;
}

/** Run what a user asked for; what goes wrong is said to them. */
async function attempt(work) {
  try {
    await work();
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    if (error.status === 401) forgetKey();
    say(error.message, true);
  }
}

function forgetKey() {
  state.key = "";
  sessionStorage.removeItem("shortener-key");
  for (const id of ["make", "all", "one", "forget"]) at(id).hidden = true;
  at("key-form").hidden = false;
  at("key").focus();
}

async function useKey() {
  await showLinks();
  sessionStorage.setItem("shortener-key", state.key);
  at("key-form").hidden = true;
  for (const id of ["make", "all", "forget"]) at(id).hidden = false;
}

async function showLinks() {
  const query = new URLSearchParams({ page: state.page, itemsPerPage: PAGE_ITEMS });
  const term = at("search").value.trim();
  if (term) query.set("searchTerm", term);
  const { data, pagination } = (await api(`/short-urls?${query}`)).shortUrls;
  at("links").replaceChildren(...data.map(listItem));
  at("empty").hidden = data.length > 0;
  at("empty").textContent = term ? "No link matches." : "No links yet.";
  at("pages").hidden = pagination.pagesCount < 2;
  at("page-of").textContent = `${pagination.currentPage} of ${pagination.pagesCount}`;
  at("earlier").disabled = pagination.currentPage <= 1;
  at("later").disabled = pagination.currentPage >= pagination.pagesCount;
}

function listItem(link) {
  const item = element("li");
  const button = element("button");
  button.type = "button";
  const count = element("span", "count", link.visitsSummary.total.toLocaleString());
  count.append(element("small", "", link.visitsSummary.total === 1 ? "visit" : "visits"));
  const name = element("span", "name", link.title || link.shortUrl.replace(/^https?:\/\//, ""));
  button.append(name, count, element("span", "to", link.longUrl));
  button.addEventListener("click", () => attempt(() => showLink(link, true)));
  item.append(button);
  return item;
}

const domainQuery = (link) => (link.domain ? `?${new URLSearchParams({ domain: link.domain })}` : "");

async function showLink(link, focus) {
  state.link = link;
  at("one-title").textContent = link.title || link.shortCode;
  at("one-short").textContent = link.shortUrl.replace(/^https?:\/\//, "");
  at("one-short").href = link.shortUrl;
  at("one-long").textContent = (link.hasPassword ? "With a password, to " : "To ") + link.longUrl;
  const code = encodeURIComponent(link.shortCode);
  const domain = link.domain ? `&${new URLSearchParams({ domain: link.domain })}` : "";
  at("qr").src = `/${code}/qr-code?format=svg&size=328&margin=0${domain}`;
  at("qr").alt = `QR code of ${link.shortUrl}`;
  for (const kind of ["svg", "png"]) {
    at(`qr-${kind}`).href = `/${code}/qr-code?format=${kind}&size=1000&margin=40${domain}`;
    at(`qr-${kind}`).download = `${link.shortCode}.${kind}`;
  }
  at("one").hidden = false;
  if (focus) {
    at("one-title").focus({ preventScroll: true });
    at("one").scrollIntoView({ block: "start" });
  }
  await showVisits();
}

const dayOf = (date) =>
  `${date.getFullYear()}-${String(date.getMonth() + 1).padStart(2, "0")}-${String(date.getDate()).padStart(2, "0")}`;

async function showVisits() {
  const link = state.link;
  const count = Number(at("days").value);
  const first = new Date();
  first.setHours(0, 0, 0, 0);
  first.setDate(first.getDate() - count + 1);
  const days = new Map();
  for (let n = 0; n < count; n++) {
    const day = new Date(first);
    day.setDate(day.getDate() + n);
    days.set(dayOf(day), { people: 0, bots: 0 });
  }
  let seen = 0;
  let of_all = 0;
  for (let page = 1; ; page++) {
    const query = new URLSearchParams({ page, itemsPerPage: VISITS_A_PAGE, startDate: first.toISOString() });
    if (link.domain) query.set("domain", link.domain);
    const { data, pagination } = (await api(`/short-urls/${encodeURIComponent(link.shortCode)}/visits?${query}`)).visits;
    for (const visit of data) {
      const day = days.get(dayOf(new Date(visit.date)));
      if (day) day[visit.potentialBot ? "bots" : "people"]++;
    }
    seen += data.length;
    of_all = pagination.totalItems;
    if (page >= pagination.pagesCount || seen >= VISITS_MAX) break;
  }
  if (link !== state.link) return;
  const people = [...days.values()].reduce((sum, day) => sum + day.people, 0);
  const bots = [...days.values()].reduce((sum, day) => sum + day.bots, 0);
  const shown = seen < of_all ? ` (the last ${seen.toLocaleString()} of ${of_all.toLocaleString()})` : "";
  at("sum").replaceChildren(
    element("span", "key people", `${people.toLocaleString()} by people`),
    element("span", "key bots", `${bots.toLocaleString()} by bots${shown}`),
  );
  at("chart").replaceChildren(chart(days, `${people} visits by people and ${bots} by bots in ${count} days`));
  at("chart-rows").replaceChildren(
    ...[...days].reverse().map(([day, { people, bots }]) => {
      const row = element("tr");
      const head = element("th", "", day);
      head.scope = "row";
      row.append(head, element("td", "", people.toLocaleString()), element("td", "", bots.toLocaleString()));
      return row;
    }),
  );
}

function drawn(name, attributes, text) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  if (text !== undefined) made.textContent = text;
  return made;
}

/** 1, 2 or 5 times a power of ten, so that at most four steps reach the most. */
function stepFor(most) {
  const power = 10 ** Math.floor(Math.log10(Math.max(most / 4, 1)));
  return [1, 2, 5, 10].map((n) => n * power).find((step) => step * 4 >= most);
}

function chart(days, label) {
  // Drawn as wide as it is shown, so that its text is as large as other text.
  const wide = Math.max(at("chart").clientWidth, 240);
  const high = 190, left = 40, top = 8, bottom = 24;
  const most = Math.max(...[...days.values()].map((day) => day.people + day.bots), 1);
  const step = stepFor(most);
  const top_value = Math.ceil(most / step) * step;
  const y = (value) => top + (high - top - bottom) * (1 - value / top_value);
  const svg = drawn("svg", { viewBox: `0 0 ${wide} ${high}`, role: "img", "aria-label": label });
  for (let value = 0; value <= top_value; value += step) {
    svg.append(
      drawn("line", { x1: left, x2: wide, y1: y(value), y2: y(value), class: "rule" }),
      drawn("text", { x: left - 8, y: y(value) + 4, "text-anchor": "end" }, value.toLocaleString()),
    );
  }
  if (![...days.values()].some((day) => day.people + day.bots)) {
    svg.append(drawn("text", { x: (wide + left) / 2, y: y(top_value / 2), "text-anchor": "middle" }, "No visits in this time"));
  }
  const slot = (wide - left) / days.size;
  const bar = Math.min(slot * 0.72, 36);
  let n = 0;
  for (const [day, { people, bots }] of days) {
    const x = left + n * slot + (slot - bar) / 2;
    const group = drawn("g", {});
    group.append(drawn("title", {}, `${day}: ${people} by people, ${bots} by bots`));
    if (people) group.append(drawn("rect", { x, width: bar, y: y(people), height: y(0) - y(people), class: "people", rx: 1.5 }));
    if (bots) group.append(drawn("rect", { x, width: bar, y: y(people + bots), height: y(people) - y(people + bots), class: "bots", rx: 1.5 }));
    svg.append(group);
    const labels = Math.min(days.size, Math.floor(wide / 70));
    if (n % Math.ceil(days.size / labels) === 0) {
      const shown = new Date(`${day}T12:00`).toLocaleDateString(undefined, { day: "numeric", month: "short" });
      svg.append(drawn("text", { x: x + bar / 2, y: high - 6, "text-anchor": n === 0 && slot < 30 ? "start" : "middle" }, shown));
    }
    n++;
  }
  return svg;
}

at("key-form").addEventListener("submit", (event) => {
  event.preventDefault();
  state.key = at("key").value.trim();
  attempt(async () => {
    await useKey();
    at("key").value = "";
    say("");
    at("long").focus();
  });
});

at("make").addEventListener("submit", (event) => {
  event.preventDefault();
  const body = { longUrl: at("long").value.trim() };
  const slug = at("slug").value.trim();
  if (slug) body.customSlug = slug;
  if (at("title").value.trim()) body.title = at("title").value.trim();
  if (at("password").value) body.password = at("password").value;
  const tags = at("tags").value.split(",").map((tag) => tag.trim()).filter(Boolean);
  if (tags.length) body.tags = tags;
  // The same form sent twice makes one link.
  const headers = { "Idempotency-Key": (state.sending ??= crypto.randomUUID?.() ?? `${Date.now()}-${Math.random()}`) };
  attempt(async () => {
    try {
      const link = await api("/short-urls", { method: "POST", body: JSON.stringify(body), headers });
      state.sending = null;
      at("make").reset();
      state.page = 1;
      say(`Made ${link.shortUrl}`);
      await Promise.all([showLink(link, true), showLinks()]);
    } catch (error) {
      // Only when nobody knows whether the link was made is the next try the same one.
      if (error.status && error.status < 500) state.sending = null;
      throw error;
    }
  });
});

at("copy").addEventListener("click", async () => {
  try {
    await navigator.clipboard.writeText(state.link.shortUrl);
    say("Copied.");
  } catch {
    getSelection().selectAllChildren(at("one-short"));
    say("Select and copy the link by hand: the browser does not let this page do it.");
  }
});

let searching = 0;
at("search").addEventListener("input", () => {
  clearTimeout(searching);
  searching = setTimeout(() => {
    state.page = 1;
    attempt(showLinks);
  }, 250);
});
at("days").addEventListener("change", () => attempt(showVisits));
let resizing = 0;
addEventListener("resize", () => {
  clearTimeout(resizing);
  resizing = setTimeout(() => state.link && attempt(showVisits), 250);
});
at("forget").addEventListener("click", () => {
  say("");
  forgetKey();
});
at("close").addEventListener("click", () => {
  at("one").hidden = true;
  state.link = null;
});
for (const [id, by] of [["earlier", -1], ["later", 1]]) {
  at(id).addEventListener("click", () => {
    state.page += by;
    attempt(showLinks);
  });
}

if (state.key) attempt(useKey);
else forgetKey();
