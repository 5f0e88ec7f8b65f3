// The Matrix client-server API of the same origin; the page speaks to nothing else.

const CLIENT = "/_matrix/client/v3";
const KEPT = "messaging-session";

/** What the server refused; status 0: it did not answer. */
export class ApiError extends Error {
  constructor(status, code, text, body = {}) {
    super(text);
    this.status = status;
    this.code = code;
    this.body = body;
  }

  /** Whether the same request may succeed later. */
  get isPassing() {
    return this.status === 0 || this.status === 429 || this.status >= 500;
  }
}

/** Who is signed in: {user_id, device_id, access_token}, or null. */
export let session = JSON.parse(localStorage.getItem(KEPT) ?? "null");

export function keepSession(given) {
  session = given;
  if (given) localStorage.setItem(KEPT, JSON.stringify(given));
  else localStorage.removeItem(KEPT);
  for (const address of pictures.values()) address.then(URL.revokeObjectURL, () => {});
  pictures.clear();
}

/** Called when the server no longer knows the token. */
let onSignedOut = () => {};
export const whenSignedOut = (work) => (onSignedOut = work);

export const part = encodeURIComponent;
export const serverName = () => session.user_id.slice(session.user_id.indexOf(":") + 1);

/** `bob` or `@bob` is somebody of this server. */
export function userId(typed) {
  const name = typed.trim().replace(/^@/, "");
  return name.includes(":") ? `@${name}` : `@${name.toLowerCase()}:${serverName()}`;
}

async function answered(method, path, { query, body, file, signal }) {
  const token = session?.access_token;
  const headers = {};
  if (token) headers.Authorization = `Bearer ${token}`;
  if (file) headers["Content-Type"] = file.type || "application/octet-stream";
  else if (body !== undefined) headers["Content-Type"] = "application/json";
  const address = (path.startsWith("/_matrix") ? path : CLIENT + path) + (query ? `?${new URLSearchParams(query)}` : "");
  let reply;
  try {
    reply = await fetch(address, { method, headers, signal, body: file ?? (body && JSON.stringify(body)) });
    if (reply.ok) return reply;
  } catch {
    throw new ApiError(0, "", "The server does not answer.");
  }
  const said = await reply.json().catch(() => ({}));
  // Of a token that was given up meanwhile nobody needs to hear.
  const isOver = reply.status === 401 && said.errcode === "M_UNKNOWN_TOKEN";
  if (isOver && token && token === session?.access_token) onSignedOut();
  throw new ApiError(reply.status, said.errcode ?? "", said.error || `Error ${reply.status}`, said);
}

/** An answer's JSON. Raises ApiError. */
export async function call(method, path, options = {}) {
  const reply = await answered(method, path, options);
  try {
    return await reply.json();
  } catch {
    throw new ApiError(0, "", "The answer of the server broke off.");
  }
}

/** The address of a file as this page may show it: files are for who is signed in, so an <img>
 * cannot ask for them itself. */
async function blobOf(uri, kind, query) {
  const path = /^mxc:\/\/([^/?#]+)\/([^/?#]+)$/.exec(uri ?? "");
  if (!path) throw new ApiError(404, "M_NOT_FOUND", "That is no file of a server.");
  const reply = await answered("GET", `/_matrix/client/v1/media/${kind}/${part(path[1])}/${part(path[2])}`, { query });
  return reply.blob();
}

const pictures = new Map();
export function picture(uri) {
  if (!pictures.has(uri)) {
    const found = blobOf(uri, "thumbnail", { width: 640, height: 480, method: "scale" }).then(URL.createObjectURL);
    found.catch(() => pictures.delete(uri));
    pictures.set(uri, found);
  }
  return pictures.get(uri);
}

/** Save a file; whatever it says it is, the browser does not open it. */
export async function save(uri, name) {
  const blob = await blobOf(uri, "download");
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([blob], { type: "application/octet-stream" }));
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}
