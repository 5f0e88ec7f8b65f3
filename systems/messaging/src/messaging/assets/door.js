// Signing in and registering.

import { ApiError, call, keepSession } from "/-/api.js?v={digest}";
import { at } from "/-/parts.js?v={digest}";

const DUMMY = "m.login.dummy";
const TOKEN = "m.login.registration_token";
const DEVICE = { initial_device_display_name: "Web page" };
let registers = false;
let onEntered = () => {};

export function wireDoor(entered) {
  onEntered = entered;
  at("mode-in").addEventListener("click", () => choose(false));
  at("mode-up").addEventListener("click", () => choose(true));
  at("door-form").addEventListener("submit", async (event) => {
    event.preventDefault();
    at("door-submit").disabled = true;
    complain("");
    try {
      keepSession(await (registers ? register() : signIn()));
      at("door-form").reset();
      onEntered();
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      complain(error.message);
    } finally {
      at("door-submit").disabled = false;
    }
  });
}

export function showDoor(reason) {
  at("door").hidden = false;
  choose(false);
  complain(reason);
  at("user").focus();
}

function choose(wanted) {
  registers = wanted;
  at("mode-in").setAttribute("aria-pressed", String(!wanted));
  at("mode-up").setAttribute("aria-pressed", String(wanted));
  at("door-submit").textContent = wanted ? "Register" : "Sign in";
  at("password").autocomplete = wanted ? "new-password" : "current-password";
  at("token-part").hidden = true;
  complain("");
}

function complain(text) {
  at("door-notice").textContent = text;
  at("door-notice").hidden = !text;
}

function signIn() {
  const identifier = { type: "m.id.user", user: at("user").value.trim() };
  return call("POST", "/login", { body: { type: "m.login.password", identifier, password: at("password").value, ...DEVICE } });
}

async function register() {
  const body = { username: at("user").value.trim().toLowerCase(), password: at("password").value, ...DEVICE };
  const token = at("token").value.trim();
  const auth = at("token-part").hidden ? { type: DUMMY } : { type: TOKEN, token };
  try {
    return await call("POST", "/register", { body: { ...body, auth } });
  } catch (error) {
    const wanted = error.body?.flows?.map((flow) => flow.stages?.[0]);
    if (!wanted?.includes(TOKEN) || auth.type === TOKEN) throw error;
    at("token-part").hidden = false;
    at("token").focus();
    throw new ApiError(401, "", "This server asks for a registration token.");
  }
}
