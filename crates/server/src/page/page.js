// The page: which model, which task, what is asked; then the answer, or why there is none.

import { Refused, addressOf, curlCommand, fetchJson } from "./requests.js";
import { TASKS } from "./tasks.js";
import { element } from "./views.js";

const find = (id) => document.getElementById(id);
const form = find("form");
const answer = find("answer");
const status = find("status");

/** What the server serves: the answer of `/info`. */
let info;
/** What was typed, by the names of fields: a text stays when the task changes. */
const typed = new Map();
/** Ends the request that is under way. */
let underWay = new AbortController();

const model = () => info.models[find("model").selectedIndex];
const route = () => form.elements.task.value;

/** The routes of a model that the page has a task for. */
const tasksOf = (model) => model.routes.filter((route) => route in TASKS);

function describe({ name, architecture, layers, heads, hidden_size, max_input_length, attention }) {
  const head = architecture.replace(/^Nystromformer(For|Model)?/, "").replace(/(?<=[a-z])(?=[A-Z])/g, " ");
  const size = `${layers} layers of ${heads} heads, width ${hidden_size}`;
  return `${name}: ${head || "encoder without a head"}, ${size}, ${attention} attention, up to ${max_input_length} tokens`;
}

function showTasks(wanted) {
  const routes = tasksOf(model());
  const radios = routes.map((route) => {
    const radio = element("input", { type: "radio", name: "task", value: route, onchange: showFields });
    return element("label", {}, radio, TASKS[route].title);
  });
  find("tasks").replaceChildren(...radios);
  find("about").textContent = describe(model());
  const first = routes.includes(wanted) ? wanted : routes[0];
  if (first === undefined) {
    find("fields").replaceChildren();
    showProblem(new Refused("Nothing to ask", "This page has no task for what this model serves."));
    return;
  }
  form.elements.task.value = first;
  showFields();
}

function showFields() {
  forget();
  const task = TASKS[route()];
  find("fields").replaceChildren(...task.fields.map(fieldOf));
  const withMasks = (text) => text.replaceAll("MASK", model().mask_token ?? "MASK");
  const examples = task.examples.map((example) =>
    Object.fromEntries(Object.entries(example).map(([name, text]) => [name, withMasks(text)])),
  );
  const button = (example) => {
    const [first] = Object.values(example);
    return element("button", { type: "button", onclick: () => submit(example) }, first.replaceAll("\n", " · "));
  };
  find("examples").replaceChildren(...examples.map(button));
  find("insert").hidden = !task.fields.some((field) => field.masks);
  const hash = new URLSearchParams({ model: model().name, task: route() });
  history.replaceState(null, "", `#${hash}`);
}

/** A label with its control, which holds what was typed before. */
function fieldOf({ name, label, kind, optional, options }) {
  const id = `field-${name}`;
  const tags = { text: "textarea", lines: "textarea", line: "input", check: "input", select: "select" };
  const control = element(tags[kind], { id, name, required: !optional && kind !== "check" });
  control.oninput = () => typed.set(name, kind === "check" ? control.checked : control.value);
  if (kind === "check") {
    Object.assign(control, { type: "checkbox", checked: typed.get(name) ?? false });
    return element("div", { className: "field check" }, element("label", { htmlFor: id }, control, " ", label));
  }
  if (kind === "line") control.type = "text";
  if (kind === "select") control.append(...options.map(([value, text]) => element("option", { value }, text)));
  if (typed.has(name)) control.value = typed.get(name);
  return element("div", { className: "field" }, element("label", { htmlFor: id }, label), control);
}

/** Puts values into the fields and asks. */
function submit(values) {
  for (const control of find("fields").querySelectorAll("textarea, input[type=text]")) {
    if (!(control.name in values) && control.required) continue;
    control.value = values[control.name] ?? "";
    typed.set(control.name, control.value);
  }
  form.requestSubmit();
}

function valuesOfFields() {
  const controls = [...find("fields").querySelectorAll("textarea, input, select")];
  return Object.fromEntries(controls.map((one) => [one.name, one.type === "checkbox" ? one.checked : one.value]));
}

/** Takes away what was answered, and ends what is under way. */
function forget() {
  underWay.abort();
  status.textContent = "";
  answer.replaceChildren();
  answer.ariaBusy = "false";
  find("request").hidden = true;
}

/** Asks the server; where several models are served, of the one that is selected. */
async function send(route, asked, signal) {
  const body = info.models.length > 1 ? { ...asked, model: model().name } : asked;
  find("curl").textContent = curlCommand(addressOf(route), body);
  find("request").hidden = false;
  const start = performance.now();
  const given = await fetchJson(route, body, signal);
  status.textContent = `Answered in ${Math.max(1, Math.round(performance.now() - start))} ms.`;
  return given;
}

/** Asks what the fields say; with `cut` texts that are too long are cut. */
async function ask(cut = false) {
  underWay.abort();
  underWay = new AbortController();
  const { signal } = underWay;
  const of = { route: route(), task: TASKS[route()], values: valuesOfFields(), model: model() };
  const asked = of.task.body(of.values);
  if (cut) asked.truncate = true;
  status.textContent = "Asking …";
  answer.ariaBusy = "true";
  try {
    const given = await send(of.route, asked, signal);
    const shown = of.task.show(given, { ...of, submit });
    const card = element("div", { className: "card" }, element("h2", {}, of.task.title), shown);
    if (cut) card.append(element("p", { className: "note" }, "What is beyond the model's length was cut off."));
    answer.replaceChildren(card);
  } catch (error) {
    if (signal.aborted) return;
    status.textContent = "";
    if (error.status === 413 && of.task.truncates && !cut) showProblem(error, () => ask(true), "Cut it and ask again");
    else showProblem(error, () => ask(cut));
  }
  answer.ariaBusy = "false";
}

/** Says what went wrong, with a way on. */
function showProblem(error, retry, label = "Ask again") {
  if (error.name === "AbortError") return;
  const title = error instanceof Refused ? error.title : "This page has a fault";
  const card = element("div", { className: "card error", role: "alert" }, element("h2", {}, title), element("p", {}, error.message));
  if (retry) card.append(element("button", { type: "button", onclick: retry }, label));
  answer.replaceChildren(card);
  if (!(error instanceof Refused)) console.error(error);
}

function insertMask() {
  const text = find("field-text");
  text.setRangeText(model().mask_token, text.selectionStart, text.selectionEnd, "end");
  typed.set("text", text.value);
  text.focus();
}

async function copyCurl() {
  const text = find("curl").textContent;
  try {
    await navigator.clipboard.writeText(text);
    find("copy").textContent = "Copied";
  } catch {
    // Only secure pages may write to the clipboard; elsewhere the command is selected, to be copied by hand.
    getSelection().selectAllChildren(find("curl"));
    find("copy").textContent = "Selected: copy it with Ctrl + C";
  }
  setTimeout(() => {
    find("copy").textContent = "Copy";
  }, 2500);
}

async function start() {
  try {
    info = await fetchJson("/info");
  } catch (error) {
    showProblem(error, start, "Try again");
    return;
  }
  answer.replaceChildren();
  const wanted = new URLSearchParams(location.hash.slice(1));
  find("model").replaceChildren(...info.models.map(({ name }) => element("option", {}, name)));
  find("model").selectedIndex = Math.max(0, info.models.findIndex(({ name }) => name === wanted.get("model")));
  find("models").hidden = info.models.length < 2;
  form.hidden = false;
  showTasks(wanted.get("task"));
}

find("model").onchange = () => showTasks(route());
find("insert").onclick = insertMask;
find("copy").onclick = copyCurl;
form.onsubmit = (event) => {
  event.preventDefault();
  ask();
};
form.onkeydown = (event) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) form.requestSubmit();
};
start();
