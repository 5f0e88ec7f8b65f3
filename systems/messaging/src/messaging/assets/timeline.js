// What is said in a room, as the items of a list: days, messages with their ticks, lines between.

import { picture, save } from "/-/api.js?v={digest}";
import { element, face, icon, say } from "/-/parts.js?v={digest}";
import { dayOf, lineOf, listed, messageOf, nameOf, timeOf } from "/-/words.js?v={digest}";

const TOGETHER_MS = 5 * 60_000;
const PICTURE_PX = 320;

/** The items of a room, oldest first, those on their way last. */
export function itemsOf(store, room, outbox) {
  const items = [];
  const readers = store.readers(room);
  let day = "";
  let before = null;
  const dayBefore = (ms) => {
    if (dayOf(ms) === day) return;
    day = dayOf(ms);
    before = null;
    const shown = day;
    items.push({ key: `day:${shown}`, sign: "", make: () => element("li", "day", element("span", "", shown)) });
  };
  room.timeline.forEach((event, index) => {
    const message = messageOf(room, event);
    const line = message ? "" : lineOf(room, event);
    if (!message && !line) return;
    dayBefore(event.origin_server_ts);
    const key = event.unsigned?.transaction_id ? `txn:${event.unsigned.transaction_id}` : event.event_id;
    if (line) {
      before = null;
      items.push({ key, sign: line, make: () => element("li", "line", line) });
      return;
    }
    const isOwn = event.sender === store.userId;
    const by = isOwn ? readers.filter(([, upTo]) => upTo >= index).map(([user]) => nameOf(room, user)) : [];
    const isHead = before?.sender !== event.sender || event.origin_server_ts - before.origin_server_ts > TOGETHER_MS;
    const isForMe = event.content["m.mentions"]?.user_ids?.includes?.(store.userId) ?? false;
    before = event;
    items.push(itemOf(key, {
      ...message, isOwn, isHead, isForMe, by, name: nameOf(room, event.sender), sender: event.sender,
      at: event.origin_server_ts, isSent: true,
    }));
  });
  for (const entry of outbox.of(room.id)) {
    if (entry.event && room.known.has(entry.event)) continue;
    dayBefore(entry.at);
    const isHead = before?.sender !== store.userId;
    before = { sender: store.userId, origin_server_ts: entry.at };
    items.push(itemOf(`txn:${entry.txn}`, {
      kind: entry.content.msgtype === "m.image" ? "sending" : "text", text: entry.content.body, content: {},
      isOwn: true, isHead, by: [], name: "", sender: store.userId, at: entry.at,
      isSent: Boolean(entry.event), problem: entry.problem, txn: entry.txn,
    }));
  }
  return items;
}

function itemOf(key, shown) {
  return { key, sign: JSON.stringify(shown), make: () => bubble(shown) };
}

function bubble(shown) {
  const item = element("li", `message ${shown.isOwn ? "own" : "other"}${shown.isHead ? " head" : ""}`);
  if (!shown.isOwn) item.append(shown.isHead ? face(shown.name, shown.sender) : element("span", "gap"));
  const box = element("div", `bubble ${shown.kind}${shown.isForMe ? " for-me" : ""}`);
  if (shown.isHead && !shown.isOwn) box.append(element("b", "who", shown.name));
  box.append(bodyOf(shown));
  const time = element("time", "", timeOf(shown.at));
  time.dateTime = new Date(shown.at).toISOString();
  time.title = new Date(shown.at).toLocaleString();
  const foot = element("span", "foot", ...(shown.isEdited ? ["edited "] : []), time);
  if (shown.isOwn) foot.append(tickOf(shown));
  box.append(foot);
  item.append(box);
  if (shown.problem) item.append(problemOf(shown));
  return item;
}

function tickOf(shown) {
  if (shown.problem) return "";
  const [name, label] = shown.by.length
    ? ["read", `Read by ${listed(shown.by)}`]
    : shown.isSent ? ["sent", "Sent"] : ["wait", "On its way"];
  const tick = icon(name, label);
  tick.setAttribute("class", `tick ${name}`);
  return tick;
}

function bodyOf({ kind, text, content, name, isOwn }) {
  if (kind === "image") return pictureOf(content, text);
  if (kind === "file") {
    const button = element("button", "file", icon("file"), element("span", "", text || "File"));
    button.type = "button";
    button.addEventListener("click", () => saved(content.url, text));
    return button;
  }
  if (kind === "encrypted") return element("span", "text", icon("lock"), ` ${text}`);
  if (kind === "emote") return element("span", "text", `${isOwn ? "You" : name} ${text}`);
  return element("span", "text", text);
}

function pictureOf(content, text) {
  const { w, h } = content.info ?? {};
  const image = element("img");
  image.alt = text || "Picture";
  // Its place is kept before it is there, so that nothing jumps.
  const scale = w > 0 && h > 0 ? Math.min(1, PICTURE_PX / w, PICTURE_PX / h) : 0;
  image.width = scale ? Math.max(40, Math.round(w * scale)) : PICTURE_PX;
  image.height = scale ? Math.max(40, Math.round(h * scale)) : Math.round(PICTURE_PX * 0.75);
  picture(content.url).then((address) => (image.src = address), () => image.classList.add("missing"));
  const button = element("button", "picture", image);
  button.type = "button";
  button.title = "Save";
  button.addEventListener("click", () => saved(content.url, text));
  return button;
}

async function saved(url, text) {
  try {
    await save(url, text || "file");
  } catch (error) {
    say(error.message);
  }
}

/** What could not be sent, with what can be done; the view hears the clicks. */
function problemOf({ txn, problem }) {
  const made = element("span", "problem", `Not sent: ${problem} `);
  for (const [what, label] of [["retry", "Try again"], ["drop", "Discard"]]) {
    const button = element("button", "plain", label);
    button.type = "button";
    button.dataset[what] = txn;
    made.append(button);
  }
  return made;
}
