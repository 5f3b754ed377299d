// Files to the service: in one request, or, where they are large, in pieces that survive a broken connection (tus 1.0.0).

import { ApiError, address, answered, authorized, refusal } from "./api.js";

const PIECE = 8 << 20;
const TUS = { "Tus-Resumable": "1.0.0" };
const TRIES = 8;

/** Make a corpus of a file; returns its job. `source` is what provenance calls it. `onProgress(bytes sent, bytes in all)`. */
export async function uploadCorpus(file, { name, lang, format, source = file.name }, onProgress = () => {}) {
  const query = { name, lang, format, source: source.slice(-200) };
  if (file.size <= PIECE) return JSON.parse((await sent("POST", address("v1/corpora", query), file, {}, onProgress)).text);
  const memory = `upload:${file.name}:${file.size}:${file.lastModified}`;
  const upload = await inPieces(file, memory, onProgress);
  const job = await (await answered("v1/corpora", { method: "POST", query: { ...query, upload } })).json();
  sessionStorage.removeItem(memory); // not before: where the corpus is refused, the file need not be sent again
  return job;
}

/** Send a file in pieces; the same file again goes on where an upload in this tab stopped, also at its end. Returns its id. */
async function inPieces(file, memory, onProgress) {
  let place = sessionStorage.getItem(memory);
  let offset = place ? await offsetOf(place) : null;
  if (offset === null) {
    place = await begun(file);
    sessionStorage.setItem(memory, place);
    offset = 0;
  }
  let failures = 0;
  while (offset < file.size) {
    try {
      offset = await pieceSent(place, file, offset, onProgress);
      failures = 0;
    } catch (error) {
      failures += 1;
      if (failures > TRIES || (error.status >= 400 && error.status < 500 && ![408, 409, 423, 429].includes(error.status))) throw error;
      await new Promise((resolve) => setTimeout(resolve, 250 * 2 ** failures));
      offset = await offsetOf(place).catch(() => offset);
      if (offset === null) throw error;
    }
  }
  return place.split("/").pop();
}

async function begun(file) {
  const name = btoa(String.fromCharCode(...new TextEncoder().encode(file.name.slice(-150))));
  const headers = { ...TUS, "Upload-Length": file.size, "Upload-Metadata": `filename ${name}` };
  return (await answered("v1/uploads", { method: "POST", headers })).headers.get("Location");
}

/** How much of an upload has arrived; null where it is gone. */
async function offsetOf(place) {
  try {
    const response = await answered(place, { method: "HEAD", headers: TUS });
    return Number(response.headers.get("Upload-Offset"));
  } catch (error) {
    if (error.status === 404 || error.status === 410) return null;
    throw error;
  }
}

async function pieceSent(place, file, offset, onProgress) {
  const piece = file.slice(offset, offset + PIECE);
  const headers = { ...TUS, "Upload-Offset": offset, "Content-Type": "application/offset+octet-stream" };
  const told = (done) => onProgress(offset + done, file.size);
  const answer = await sent("PATCH", address(place), piece, headers, told);
  return Number(answer.request.getResponseHeader("Upload-Offset"));
}

/** A request with a body, by XMLHttpRequest: fetch does not say how much of it has been sent. */
function sent(method, url, body, headers, onProgress) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open(method, url);
    for (const [name, value] of Object.entries(authorized(headers))) request.setRequestHeader(name, value);
    request.upload.onprogress = (event) => onProgress(event.loaded, event.total);
    request.onload = () => {
      if (request.status < 300) resolve({ request, text: request.responseText });
      else reject(refusal(request.status, request.responseText));
    };
    request.onerror = () => reject(new ApiError("the connection broke", "unreachable", 0));
    request.send(body);
  });
}
