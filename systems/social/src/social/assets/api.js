// The API of this origin, and signing in to it by OAuth 2: an authorization code with PKCE (RFC 7636).

const SESSION = "social-session";
const ENTERING = "social-entering";
const APP = "social-app";
const SCOPES = "read write follow";
const REDIRECT = `${location.origin}/`;

const kept = (store, name) => JSON.parse(store.getItem(name) ?? "null");

/** The token and the app it is of. In this tab alone, until it is closed or signs out. */
export const session = { token: "", app: null, ...kept(sessionStorage, SESSION) };

export class ApiError extends Error {
  /** `status` is 0 where there is no answer. */
  constructor(status, text) {
    super(text);
    this.status = status;
  }
}

export async function call(path, { method = "GET", body, headers = {} } = {}) {
  const all = { ...headers };
  if (session.token) all.Authorization = `Bearer ${session.token}`;
  if (body && !(body instanceof FormData)) {
    all["Content-Type"] = "application/json";
    body = JSON.stringify(body);
  }
  let reply;
  try {
    reply = await fetch(path, { method, body, headers: all });
  } catch {
    throw new ApiError(0, "The service does not answer. Try again.");
  }
  const said = await reply.json().catch(() => ({}));
  if (!reply.ok) throw new ApiError(reply.status, said.error_description || said.error || `Error ${reply.status}`);
  return said;
}

const base64url = (bytes) =>
  btoa(String.fromCharCode(...new Uint8Array(bytes))).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
const secret = () => base64url(crypto.getRandomValues(new Uint8Array(32)));

/** Go and ask for a code; the browser comes back to this page with it. */
export async function enter(name) {
  if (!crypto.subtle) throw new ApiError(0, "Signing in needs HTTPS: without it the browser has no cryptography.");
  const verifier = secret();
  const state = secret();
  const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(verifier));
  const consent = (app) =>
    `/oauth/authorize?${new URLSearchParams({
      response_type: "code",
      client_id: app.client_id,
      redirect_uri: REDIRECT,
      scope: SCOPES,
      state,
      code_challenge: base64url(digest),
      code_challenge_method: "S256",
    })}`;
  let app = kept(localStorage, APP);
  // An app that the service has forgotten would strand its user on an error.
  if (!app || !(await fetch(consent(app)).then((reply) => reply.ok, () => false))) {
    const body = { client_name: `${name} on the web`.slice(-60), redirect_uris: REDIRECT, scopes: SCOPES };
    const { client_id, client_secret } = await call("/api/v1/apps", { method: "POST", body });
    app = { client_id, client_secret };
    localStorage.setItem(APP, JSON.stringify(app));
  }
  sessionStorage.setItem(ENTERING, JSON.stringify({ verifier, state, app }));
  location.assign(consent(app));
}

/** Back from there: change the code for a token. Does nothing when no code came. */
export async function finishEntering() {
  const query = new URLSearchParams(location.search);
  if (!query.has("code") && !query.has("error")) return;
  history.replaceState(null, "", "/");
  const begun = kept(sessionStorage, ENTERING);
  sessionStorage.removeItem(ENTERING);
  if (!begun || query.get("state") !== begun.state) throw new ApiError(0, "This sign-in was not begun here. Try again.");
  if (query.has("error")) throw new ApiError(0, "You have not been signed in.");
  const body = {
    grant_type: "authorization_code",
    code: query.get("code"),
    redirect_uri: REDIRECT,
    code_verifier: begun.verifier,
    ...begun.app,
  };
  const { access_token } = await call("/oauth/token", { method: "POST", body });
  Object.assign(session, { token: access_token, app: begun.app });
  sessionStorage.setItem(SESSION, JSON.stringify(session));
}

export function forget() {
  Object.assign(session, { token: "", app: null });
  sessionStorage.removeItem(SESSION);
}

/** Sign out: the token is worth nothing afterwards, whoever has it. */
export async function leave() {
  const { token, app } = session;
  await call("/oauth/revoke", { method: "POST", body: { ...app, token } });
  forget();
}
