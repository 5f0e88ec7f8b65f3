// Statuses as elements.

import { element } from "./dom.js?v={digest}";

const SVG = "http://www.w3.org/2000/svg";
const BASE = `${document.body.dataset.base}/`;
const MARKS = { unlisted: "unlisted", private: "followers", direct: "direct" };
const ICONS = {
  reply: "M10 8 5 12l5 4M5 12h8a6 6 0 0 1 6 6",
  share: "M4 12V9a3 3 0 0 1 3-3h11m-3.500-3.500L18 6l-3.500 3.500M20 12v3a3 3 0 0 1-3 3H6m3.500 3.500L6 18l3.500-3.500",
  favourite: "M12 19.500 5.200 12.800a4.200 4.200 0 0 1 6-6l.8.8.8-.8a4.200 4.200 0 0 1 6 6z",
  delete: "M5 7h14M10 7V4.500h4V7M7 7l.8 12.500h8.400L17 7",
  bell: "M6.500 16.500V11a5.500 5.500 0 0 1 11 0v5.500l1.500 1.500H5zM10.500 20.500h3",
  picture: "M4 6h16v13H4zM4 16l4.500-4.500 4 4 3-3L20 17M15 9.500h.01",
};

export function icon(name) {
  const svg = document.createElementNS(SVG, "svg");
  const path = document.createElementNS(SVG, "path");
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("aria-hidden", "true");
  path.setAttribute("d", ICONS[name]);
  svg.append(path);
  return svg;
}

/** An address of this service as a path, so that it leads to where the page came from. */
export const here = (url) => (url.startsWith(BASE) ? `/${url.slice(BASE.length)}` : url);

const LINKS = ["http:", "https:"];

function addressOf(text) {
  try {
    return new URL(text, location.href);
  } catch {
    return null;
  }
}

/**
 * HTML of the API as nodes of this page. The service has made it from plain text and escaped all of
 * that; here it is not believed. It is parsed into a document of its own, in which nothing runs and
 * nothing is loaded, and from that only text, paragraphs, line breaks and links to web addresses
 * are made anew: no other element and no attribute of it gets into the page. Even then a script
 * would not run, because the Content-Security-Policy lets only files of the service run.
 */
export function content(html) {
  const made = element("div", "content");
  for (const node of inert(html).childNodes) copy(node, made);
  return made;
}

const inert = (html) => new DOMParser().parseFromString(html, "text/html").body;

/** The words of it alone. */
export const textOf = (html) => inert(html).textContent;

function copy(node, into) {
  if (node.nodeType === Node.TEXT_NODE) {
    into.append(node.data);
    return;
  }
  if (node.nodeType !== Node.ELEMENT_NODE) return;
  let target = into;
  if (node.localName === "br" || node.localName === "p") {
    target = element(node.localName);
    into.append(target);
  } else if (node.localName === "a") {
    const url = addressOf(here(node.getAttribute("href") ?? ""));
    if (url && LINKS.includes(url.protocol)) {
      target = element("a");
      target.href = url.href;
      if (url.origin !== location.origin) Object.assign(target, { target: "_blank", rel: "nofollow noopener noreferrer" });
      into.append(target);
    }
  }
  for (const child of node.childNodes) copy(child, target);
}

export const nameOf = (account) => account.display_name || account.username;

export function avatar(account) {
  const picture = element("img", "avatar");
  picture.src = here(account.avatar_static);
  picture.alt = "";
  picture.loading = "lazy";
  return picture;
}

const NEAR = new Intl.RelativeTimeFormat(undefined, { numeric: "auto", style: "narrow" });

/** "5 min. ago", and from a week on the date. */
export function ago(moment) {
  const seconds = (Date.parse(moment) - Date.now()) / 1000;
  if (seconds > -45) return "now";
  if (seconds < -7 * 86400) return new Date(moment).toLocaleDateString(undefined, { dateStyle: "medium" });
  const [unit, length] = seconds > -3300 ? ["minute", 60] : seconds > -79200 ? ["hour", 3600] : ["day", 86400];
  return NEAR.format(Math.round(seconds / length), unit);
}

function by(status) {
  const { account } = status;
  const made = element("div", "by");
  const who = element("a", "who");
  who.href = here(account.url);
  who.append(element("b", "", nameOf(account)), element("span", "", `@${account.acct}`));
  const when = element("a", "when");
  when.href = here(status.url);
  const time = element("time", "", ago(status.created_at));
  time.dateTime = status.created_at;
  time.title = new Date(status.created_at).toLocaleString();
  when.append(time);
  made.append(avatar(account), who);
  for (const mark of [MARKS[status.visibility], status.edited_at && "edited"]) if (mark) made.append(element("span", "mark", mark));
  made.append(when);
  return made;
}

function pictures(status) {
  const made = element("div", "pictures");
  for (const { url, preview_url, description } of status.media_attachments) {
    const link = element("a");
    link.href = here(url);
    link.target = "_blank";
    link.rel = "noopener";
    const picture = element("img");
    picture.src = here(preview_url);
    picture.alt = description || "A picture without a description";
    picture.loading = "lazy";
    link.append(picture);
    made.append(link);
  }
  return made;
}

function poll({ options, voters_count, expired }) {
  const made = element("ul", "poll");
  for (const { title, votes_count } of options) {
    const line = element("li");
    line.append(element("span", "", title), element("span", "", votes_count ?? ""));
    made.append(line);
  }
  return [made, element("p", "soft", `${voters_count} ${voters_count === 1 ? "voter" : "voters"}${expired ? ", ended" : ""}`)];
}

function warned(text, nodes) {
  const made = element("details", "warned");
  made.append(element("summary", "", text), ...nodes);
  return made;
}

function act(name, label, count, pressed, work) {
  const button = element("button", `act ${name}`);
  button.type = "button";
  button.setAttribute("aria-label", count ? `${label}, ${count}` : label);
  button.title = label;
  if (pressed !== null) button.setAttribute("aria-pressed", pressed);
  button.append(icon(name));
  if (count) button.append(element("span", "", count.toLocaleString()));
  button.addEventListener("click", () => work(button));
  return button;
}

const isIn = (context) => ({ filter }) => filter.context.includes(context);

/** Whether a filter of the reader's says to leave it out. */
export const isHidden = (status, context) =>
  (status.filtered ?? []).filter(isIn(context)).some(({ filter }) => filter.filter_action === "hide");

/** A status with what the reader can do about it; `me` is the reader's id. */
export function statusCard(whole, { me, context, actions }) {
  const status = whole.reblog ?? whole;
  const made = element("article", "card status");
  made.dataset.id = whole.id;
  made.dataset.of = status.id;
  if (whole.reblog) made.append(element("p", "shared", whole.account.id === me ? "You shared" : `${nameOf(whole.account)} shared`));
  let shown = [content(status.content)];
  if (status.media_attachments.length) {
    const all = pictures(status);
    shown.push(status.sensitive && !status.spoiler_text ? warned("Sensitive pictures", [all]) : all);
  }
  if (status.poll) shown.push(...poll(status.poll));
  if (status.spoiler_text) shown = [warned(status.spoiler_text, shown)];
  const filters = (whole.filtered ?? []).filter(isIn(context));
  if (filters.length) shown = [warned(`Filtered: ${filters[0].filter.title}`, shown)];
  const acts = element("div", "acts");
  acts.append(act("reply", "Reply", status.replies_count, null, () => actions.reply(status)));
  const share = act("share", "Share", status.reblogs_count, status.reblogged, (button) => actions.mark(status, "reblog", button));
  share.disabled = status.visibility === "direct" || (status.visibility === "private" && status.account.id !== me);
  acts.append(
    share,
    act("favourite", "Favourite", status.favourites_count, status.favourited, (button) => actions.mark(status, "favourite", button)),
  );
  if (status.account.id === me) acts.append(act("delete", "Delete", 0, null, () => actions.delete(status)));
  made.append(by(status), ...shown, acts);
  return made;
}
