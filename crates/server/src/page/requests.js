// Asking the server, and what its refusals mean for a person.

/** A refusal or a failure: a title, a sentence, and the HTTP status if there was an answer. */
export class Refused extends Error {
  constructor(title, message, status) {
    super(message);
    this.title = title;
    this.status = status;
  }
}

const TITLES = {
  404: "Not found",
  408: "Too slow",
  413: "Too long",
  422: "This cannot be asked",
  424: "Another kind of model",
  429: "The server is busy",
  503: "The server is busy",
  504: "No answer in time",
};

/** The address of a route: beside the page, wherever that is served. */
export const addressOf = (route) => new URL(route.slice(1), document.baseURI).href;

/**
 * The answer to a request, as it was parsed.
 *
 * Throws `Refused`, or an `AbortError` if `signal` ends it first.
 */
export async function fetchJson(route, body, signal) {
  const options = body && {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(body),
  };
  let response;
  let text;
  try {
    response = await fetch(addressOf(route), { ...options, signal });
    text = await response.text();
  } catch (error) {
    if (error.name === "AbortError") throw error;
    const advice = "It may have been stopped, or the connection to it was lost. Start it again, then ask again.";
    throw new Refused("The server does not answer", advice);
  }
  const parsed = parse(text);
  if (response.ok && parsed !== undefined) return parsed;
  if (response.ok) throw new Refused("The answer cannot be read", "It is no JSON: is something between this page and the server?");
  const title = TITLES[response.status] ?? (response.status < 500 ? "The server refused this" : "The server failed");
  throw new Refused(title, parsed?.error ?? `It answered ${response.status} ${response.statusText}.`, response.status);
}

function parse(text) {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** The command that asks the same from a shell. */
export function curlCommand(address, body) {
  const quoted = JSON.stringify(body).replaceAll("'", "'\\''");
  return `curl ${address} \\\n  -H 'Content-Type: application/json' \\\n  -d '${quoted}'`;
}
