// The head of an account's statuses, with what one can do about it.

import { call } from "./api.js?v={digest}";
import { element } from "./dom.js?v={digest}";
import { avatar, content, here, nameOf } from "./status.js?v={digest}";

function count(number, one, many) {
  const made = element("span");
  made.append(element("b", "", number.toLocaleString()), ` ${number === 1 ? one : many}`);
  return made;
}

export function profile(account, me, attempt) {
  const made = element("section", "card profile");
  const banner = element("img", "banner");
  banner.src = here(account.header_static);
  banner.alt = "";
  const picture = avatar(account);
  picture.classList.add("large");
  const counts = element("p", "counts");
  counts.append(
    count(account.statuses_count, "post", "posts"),
    count(account.following_count, "following", "following"),
    count(account.followers_count, "follower", "followers"),
  );
  made.append(banner);
  if (account.id !== me.id) made.append(followButton(account, attempt));
  made.append(picture, element("h2", "", nameOf(account)), element("p", "soft", `@${account.acct}`), content(account.note), counts);
  return made;
}

function followButton(account, attempt) {
  const button = element("button", "plain follow");
  button.type = "button";
  button.hidden = true;
  const show = ({ following, requested }) => {
    button.textContent = following ? "Unfollow" : requested ? "Take back the request" : "Follow";
    button.dataset.undo = following || requested ? "un" : "";
    button.hidden = false;
  };
  button.addEventListener("click", () =>
    attempt(async () => show(await call(`/api/v1/accounts/${account.id}/${button.dataset.undo}follow`, { method: "POST" }))),
  );
  attempt(async () => show((await call(`/api/v1/accounts/relationships?${new URLSearchParams({ "id[]": account.id })}`))[0]));
  return button;
}
