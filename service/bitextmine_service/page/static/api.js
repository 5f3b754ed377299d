// Requests to the service that the page came from, with its key if it asks for one.

const TOKEN = "bitextmine-key";
const BASE = new URL("./", document.baseURI);

/** What went wrong, in words: `code` is stable, `status` the HTTP status or 0 where no answer came. */
export class ApiError extends Error {
  constructor(message, code, status) {
    super(message);
    this.code = code;
    this.status = status;
  }
}

/** The address of a path of the API, such as v1/jobs or /v1/jobs, also behind a proxy that adds a prefix. */
export function address(path, query = {}) {
  const url = new URL(path.replace(/^\//, ""), BASE);
  if (url.origin !== location.origin) throw new ApiError(`${url.host} is not this service`, "origin-refused", 0);
  for (const [name, value] of Object.entries(query)) {
    for (const each of [value].flat()) {
      if (each !== null && each !== undefined && each !== "") url.searchParams.append(name, each);
    }
  }
  return url;
}

export function key() {
  return sessionStorage.getItem(TOKEN);
}

/** Keep a key until the tab is closed, or forget it. */
export function keepKey(token) {
  if (token) sessionStorage.setItem(TOKEN, token);
  else sessionStorage.removeItem(TOKEN);
}

export function authorized(headers = {}) {
  return key() ? { ...headers, Authorization: `Bearer ${key()}` } : headers;
}

/** The response of a request, if it is a good one. */
export async function answered(path, { query, headers, ...options } = {}) {
  let response;
  try {
    response = await fetch(address(path, query), { credentials: "omit", ...options, headers: authorized(headers) });
  } catch (error) {
    if (error instanceof ApiError || error.name === "AbortError") throw error;
    throw new ApiError("the service does not answer", "unreachable", 0);
  }
  if (!response.ok) throw refusal(response.status, await response.text());
  return response;
}

/** The error that an answer stands for; asks for a key where one is missing. */
export function refusal(status, text) {
  let problem = {};
  try {
    problem = JSON.parse(text);
  } catch {
    // a proxy's page
  }
  if (status === 401) document.dispatchEvent(new CustomEvent("key-needed", { detail: problem.detail }));
  return new ApiError(problem.detail ?? `the service answered ${status}`, problem.code ?? "unexpected-answer", status);
}

export async function get(path, query = {}, options = {}) {
  return (await answered(path, { query, ...options })).json();
}

export async function send(method, path, body = undefined, query = {}) {
  const json = body === undefined ? {} : { body: JSON.stringify(body), headers: { "Content-Type": "application/json" } };
  const response = await answered(path, { method, query, ...json });
  return response.status === 204 ? null : response.json();
}

/** All items of a list that comes in pages, up to so many. */
export async function all(path, query = {}, most = 10_000) {
  const items = [];
  let cursor = null;
  do {
    const page = await get(path, { limit: 1000, ...query, cursor });
    items.push(...page.items);
    cursor = page.next_cursor;
  } while (cursor && items.length < most);
  return items;
}

/** Save what a path answers as a file: the browser's own download without a key, which a link cannot carry. */
export async function save(path, query = {}) {
  const link = document.createElement("a");
  link.download = "";
  if (!key()) {
    link.href = address(path, query);
    link.click();
    return;
  }
  const response = await answered(path, { query });
  const name = /filename="?([^";]+)/.exec(response.headers.get("Content-Disposition") ?? "");
  link.href = URL.createObjectURL(await response.blob());
  link.download = name ? name[1] : "download";
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}
