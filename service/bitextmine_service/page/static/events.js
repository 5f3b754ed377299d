// A job as it changes, from the stream of its events. EventSource cannot carry a key, so the stream is read here, by the
// same rules: a connection that breaks is made again, with the id of the last event.

import { ApiError, answered } from "./api.js";

const FINAL = new Set(["succeeded", "failed", "cancelled"]);

export function isOver(job) {
  return FINAL.has(job.state);
}

/** Follow a job to its end and return it. `onJob(job)` and `onProgress(progress)` are told of each change. */
export async function follow(id, { onJob = () => {}, onProgress = () => {}, signal } = {}) {
  const state = { last: null, wait: 2000, job: null, over: false };
  for (;;) {
    try {
      await connection(id, state, { onJob, onProgress, signal });
    } catch (error) {
      if (signal?.aborted || !isPassing(error)) throw error;
    }
    if (state.over) return state.job;
    await new Promise((resolve) => setTimeout(resolve, state.wait));
    signal?.throwIfAborted();
  }
}

/** Whether it may be different later: no answer, a connection that broke, 429 or a service that is restarting. */
function isPassing(error) {
  return !(error instanceof ApiError) || error.status === 0 || error.status === 429 || error.status >= 500;
}

async function connection(id, state, { onJob, onProgress, signal }) {
  const headers = { Accept: "text/event-stream", ...(state.last ? { "Last-Event-ID": state.last } : {}) };
  const response = await answered(`v1/jobs/${id}/events`, { headers, signal });
  if (response.status === 204) {
    state.over = true;
    return;
  }
  for await (const event of events(response.body)) {
    if (event.retry) state.wait = event.retry;
    if (event.id) state.last = event.id;
    if (event.type === "job") {
      state.job = JSON.parse(event.data);
      onJob(state.job);
    } else if (event.type === "progress") {
      onProgress(JSON.parse(event.data));
    } else if (event.type === "end") {
      state.over = true;
      return;
    }
  }
}

/** The events of a stream of bytes, as the HTML standard parses them (section 9.2.6). */
export async function* events(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      text = (text + value).replaceAll("\r\n", "\n");
      const blocks = text.split("\n\n");
      text = blocks.pop();
      yield* blocks.map(parsed);
    }
  } finally {
    reader.cancel().catch(() => {});
  }
}

function parsed(block) {
  const event = { type: "message", data: "" };
  const data = [];
  for (const line of block.split("\n")) {
    const [, field, value] = /^([^:]*):? ?(.*)$/.exec(line);
    if (field === "event") event.type = value;
    else if (field === "data") data.push(value);
    else if (field === "id") event.id = value;
    else if (field === "retry" && /^\d+$/.test(value)) event.retry = Number(value);
  }
  event.data = data.join("\n");
  return event;
}
