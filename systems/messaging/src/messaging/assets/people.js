// Who is in the room, inviting others, leaving.

import { ApiError, call, part, userId } from "/-/api.js?v={digest}";
import { at, element, face, reconcile, say } from "/-/parts.js?v={digest}";
import { localPart } from "/-/words.js?v={digest}";

const SHOWN_MAX = 200;
const RANKS = ["online", "unavailable", "offline"];
let shown = null; // {store, room, changes, members}

/** Show the people of a room where they are asked for; read again when who is there changed. */
export function showPeople(store, room) {
  at("people-open").setAttribute("aria-expanded", String(!at("people").hidden));
  if (at("people").hidden) return;
  if (shown?.room !== room || shown.changes !== room.people) read(store, room);
  else render();
}

async function read(store, room) {
  const members = shown?.room === room ? shown.members : [];
  shown = { store, room, changes: room.people, members };
  render();
  const mine = shown;
  try {
    const answer = await call("GET", `/rooms/${part(room.id)}/members`, { query: { not_membership: "leave" } });
    mine.members = answer.chunk
      .map((event) => ({ user: event.state_key, name: event.content.displayname, membership: event.content.membership }))
      .filter((member) => member.membership === "join" || member.membership === "invite");
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    say(error.message);
  }
  if (shown === mine) render();
}

function render() {
  const { store, members } = shown;
  const known = members.map((member) => {
    // Nobody is told of themselves, and who reads this is there.
    const isOnline = member.user === store.userId;
    const presence = isOnline ? "online" : (store.presence.get(member.user) ?? "offline");
    return { ...member, presence: member.membership === "invite" ? null : presence, name: member.name || localPart(member.user) };
  });
  const rank = (member) => (member.presence ? RANKS.indexOf(member.presence) : RANKS.length);
  known.sort((a, b) => rank(a) - rank(b) || a.name.localeCompare(b.name));
  reconcile(at("members"), known.slice(0, SHOWN_MAX).map((member) => itemOf(store, member)));
  at("members-more").hidden = known.length <= SHOWN_MAX;
  at("members-more").textContent = `and ${(known.length - SHOWN_MAX).toLocaleString()} more`;
}

function itemOf(store, { user, name, presence }) {
  const about = presence ? (user === store.userId ? `${user} · you` : user) : `${user} · invited`;
  const make = () => {
    const lines = element("span", "titles", element("b", "", name), element("small", "", about));
    return element("li", presence ? "" : "invited", face(name, user, presence), lines);
  };
  return { key: user, sign: JSON.stringify([name, presence, about]), make };
}

/** Make the buttons work; `current` gives the store and the room, `onLeft` is called behind. */
export function wirePeople(current, onLeft) {
  const close = () => {
    at("people").hidden = true;
    showPeople(...current());
  };
  at("people-open").addEventListener("click", () => {
    at("people").hidden = !at("people").hidden;
    at("leave").textContent = "Leave the room";
    showPeople(...current());
  });
  at("people-close").addEventListener("click", () => {
    close();
    at("people-open").focus();
  });
  at("invite").addEventListener("submit", async (event) => {
    event.preventDefault();
    const [, room] = current();
    try {
      const whom = userId(at("invite-user").value);
      await call("POST", `/rooms/${part(room.id)}/invite`, { body: { user_id: whom } });
      at("invite").reset();
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      say(error.message);
    }
  });
  at("leave").addEventListener("click", async () => {
    // Asked once more in place: who leaves a room by mistake may have to be invited again.
    if (at("leave").textContent === "Leave the room") {
      at("leave").textContent = "Leave it, really";
      return;
    }
    const [, room] = current();
    try {
      await call("POST", `/rooms/${part(room.id)}/leave`, { body: {} });
      at("people").hidden = true;
      onLeft();
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      say(error.message);
    }
  });
}
