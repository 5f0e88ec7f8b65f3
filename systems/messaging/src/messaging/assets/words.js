// What rooms, people and events are called, and what an event says in a line.

export const localPart = (user) => user.slice(1).split(":")[0];
export const nameOf = (room, user) => room.members.get(user)?.name || localPart(user);

/** The name of a room (specification, "Calculating the display name for a room"). */
export function roomName(room) {
  const named = room.state.get("m.room.name")?.name || room.state.get("m.room.canonical_alias")?.alias;
  if (named) return named;
  const heroes = room.summary["m.heroes"] ?? [];
  if (heroes.length) return listed(heroes.map((user) => nameOf(room, user)));
  return room.inviter ? nameOf(room, room.inviter) : "Empty room";
}

/** Who the room is with, when it is with one other only. */
export function peer(room) {
  const heroes = room.summary["m.heroes"] ?? [];
  const count = (room.summary["m.joined_member_count"] ?? 0) + (room.summary["m.invited_member_count"] ?? 0);
  return count === 2 && heroes.length === 1 ? heroes[0] : null;
}

export function listed(names) {
  if (names.length > 3) return `${names.slice(0, 2).join(", ")} and ${names.length - 2} others`;
  return names.length > 1 ? `${names.slice(0, -1).join(", ")} and ${names.at(-1)}` : (names[0] ?? "");
}

export const people = (count) => (count === 1 ? "1 person" : `${count.toLocaleString()} people`);
export const timeOf = (ms) => new Date(ms).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });

export function dayOf(ms) {
  const date = new Date(ms);
  const today = new Date();
  if (date.toDateString() === today.toDateString()) return "Today";
  today.setDate(today.getDate() - 1);
  if (date.toDateString() === today.toDateString()) return "Yesterday";
  const year = date.getFullYear() === new Date().getFullYear() ? undefined : "numeric";
  return date.toLocaleDateString([], { weekday: "long", day: "numeric", month: "long", year });
}

/** The time of today, the day of before. */
export function shortTime(ms) {
  const day = dayOf(ms);
  if (day === "Today") return timeOf(ms);
  return day === "Yesterday" ? day : new Date(ms).toLocaleDateString([], { day: "numeric", month: "short" });
}

const isText = (value) => typeof value === "string";

/**
 * A message as it is shown, {text, kind, content}; null for what is no message. `kind`: "text", "emote",
 * "image", "file", "gone" or "encrypted".
 */
export function messageOf(room, event) {
  if (event.type === "m.room.encrypted") return { kind: "encrypted", text: "Encrypted message", content: {} };
  if (event.type !== "m.room.message") return null;
  if (event.content["m.relates_to"]?.rel_type === "m.replace") return null;
  const isGone = room.redacted.has(event.event_id) || event.unsigned?.redacted_because || !event.content.msgtype;
  if (isGone) return { kind: "gone", text: "Deleted message", content: {} };
  const edit = room.edits.get(event.event_id);
  const isEdited = edit?.sender === event.sender && edit.content["m.new_content"] && !room.redacted.has(edit.event_id);
  const content = isEdited ? edit.content["m.new_content"] : event.content;
  const text = isText(content.body) ? content.body : "";
  const kinds = { "m.emote": "emote", "m.image": "image", "m.file": "file", "m.audio": "file", "m.video": "file" };
  const kind = kinds[content.msgtype] ?? "text";
  // What is no file of this server, or encrypted, is told by its name only.
  if ((kind === "image" || kind === "file") && !isText(content.url)) return { kind: "text", text, content, isEdited };
  return { kind, text, content, isEdited };
}

/** What a state event says, or "" for one that is not told. */
export function lineOf(room, event) {
  if (event.state_key === undefined) return "";
  const who = nameOf(room, event.sender);
  const { content } = event;
  if (event.type === "m.room.create") return `${who} made the room`;
  if (event.type === "m.room.name") return content.name ? `${who} named the room “${content.name}”` : "";
  if (event.type === "m.room.topic") return content.topic ? `${who} set the topic: ${content.topic}` : "";
  if (event.type === "m.room.encryption") return `${who} had the room encrypted`;
  if (event.type !== "m.room.member") return "";
  const whom = content.displayname || nameOf(room, event.state_key);
  const isOwn = event.sender === event.state_key;
  const replaced = event.unsigned?.replaces_state;
  const before = replaced && room.timeline.find((one) => one.event_id === replaced)?.content.membership;
  // A member who joins again has another name or picture now.
  if (content.membership === "join") return before === "join" ? "" : `${whom} joined`;
  if (content.membership === "invite") return `${who} invited ${whom}`;
  if (content.membership === "ban") return `${who} banned ${whom}`;
  if (content.membership === "leave") return isOwn ? `${whom} left` : `${who} removed ${whom}`;
  return "";
}

/** The last thing that was said, for the list of rooms. */
export function previewOf(room, userId) {
  const last = room.timeline.findLast((event) => messageOf(room, event) || lineOf(room, event));
  if (!last) return "";
  const message = messageOf(room, last);
  if (!message) return lineOf(room, last);
  const who = last.sender === userId ? "You" : nameOf(room, last.sender);
  const text = message.kind === "image" ? "Picture" : message.kind === "file" ? `File ${message.text}` : message.text;
  return message.kind === "emote" ? `${who} ${text}` : `${who}: ${text}`;
}
