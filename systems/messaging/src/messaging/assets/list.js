// The list of rooms.

import { at, element, face, reconcile } from "/-/parts.js?v={digest}";
import { nameOf, peer, previewOf, roomName, shortTime } from "/-/words.js?v={digest}";

export function showRooms(store, openId) {
  const rooms = store.sorted();
  reconcile(at("rooms"), rooms.map((room) => itemOf(store, room, room.id === openId)));
  at("no-rooms").hidden = rooms.length > 0;
  const waiting = rooms.reduce((sum, room) => sum + (room.membership === "invite" ? 1 : room.unread), 0);
  document.title = waiting ? `(${waiting}) Messages` : "Messages";
}

function itemOf(store, room, isOpen) {
  const name = roomName(room);
  const other = peer(room);
  const presence = other && (store.presence.get(other) ?? "offline");
  const isInvited = room.membership === "invite";
  const typing = room.typing.length ? `${nameOf(room, room.typing[0])} is typing…` : "";
  const about = isInvited ? `${nameOf(room, room.inviter ?? "")} invites you` : typing || previewOf(room, store.userId);
  const when = isInvited ? "" : shortTime(room.at);
  const { unread, highlights } = room;
  const make = () => {
    const link = element("a", isOpen ? "open" : "");
    link.href = `#/${encodeURIComponent(room.id)}`;
    if (isOpen) link.setAttribute("aria-current", "page");
    const badge = element("span", "badges");
    if (isInvited) badge.append(element("span", "badge strong", "new"));
    if (highlights) badge.append(marked("badge strong", "@", `${highlights} for you`));
    if (unread) badge.append(marked("badge", unread > 999 ? "999+" : `${unread}`, `${unread} unread`));
    link.append(face(name, other ?? room.id, presence), element("b", "", name), element("time", "", when));
    link.append(element("span", typing ? "about typing" : "about", about), badge);
    const item = element("li", unread || isInvited ? "unread" : "");
    item.append(link);
    return item;
  };
  return { key: room.id, sign: JSON.stringify([name, presence, about, when, unread, highlights, isOpen]), make };
}

function marked(className, text, label) {
  const made = element("span", className, text);
  made.setAttribute("role", "img");
  made.setAttribute("aria-label", label);
  made.title = label;
  return made;
}
