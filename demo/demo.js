// Fills masks with a model that runs in the page: `tokenizer.json` cuts the text, onnxruntime's WebAssembly computes the graph.

import { Tokenizer } from "./vendor/tokenizers.min.mjs";
import * as ort from "./vendor/ort.wasm.bundle.min.mjs";
import { element, filledMasks } from "./views.js";

const CANDIDATES = 5;
const EXAMPLES = [
  "paris is the MASK of france.",
  "MASK is the capital of japan.",
  "the MASK of hungary is MASK.",
  "people in brazil speak MASK.",
];

const find = (id) => document.getElementById(id);
const [loading, step, progress] = ["loading", "step", "progress"].map(find);
const [form, text, answer] = ["form", "text", "answer"].map(find);

/** The bytes of a file; `told` is called with the share that has come, if the server says how many there are. */
async function download(url, told) {
  const response = await fetch(url);
  if (!response.ok) throw new Error(`\`${url}\`: the server answered ${response.status} ${response.statusText}`);
  const total = Number(response.headers.get("content-length"));
  const parts = [];
  let length = 0;
  for (const reader = response.body.getReader(); ; ) {
    const { done, value } = await reader.read();
    if (done) break;
    parts.push(value);
    length += value.length;
    if (total > 0) told(Math.min(1, length / total));
  }
  return new Uint8Array(await new Blob(parts).arrayBuffer());
}

async function json(url) {
  return JSON.parse(new TextDecoder().decode(await download(url, () => {})));
}

/** A masked language model with its tokenizer. */
class Filler {
  static async load(told) {
    const [config, tokenizer, settings] = await Promise.all(
      ["config", "tokenizer", "tokenizer_config"].map((name) => json(`model/${name}.json`)),
    );
    const bytes = await download("model/onnx/model.onnx", told);
    // A page of a plain static server has no shared memory, and so one thread.
    ort.env.wasm.numThreads = 1;
    ort.env.wasm.wasmPaths = { wasm: new URL("vendor/ort-wasm-simd-threaded.wasm", import.meta.url) };
    const session = await ort.InferenceSession.create(bytes, { executionProviders: ["wasm"] });
    return new Filler(config, new Tokenizer(tokenizer, settings), settings, session);
  }

  constructor(config, tokenizer, settings, session) {
    this.config = config;
    this.tokenizer = tokenizer;
    this.session = session;
    const spelt = (token) => token?.content ?? token;
    this.maskToken = spelt(settings.mask_token);
    this.maskId = tokenizer.token_to_id(this.maskToken);
    this.padId = config.pad_token_id ?? 0;
  }

  /** The length that the graph wants, if it wants one: transformers' landmarks are laid over a fixed number of tokens. */
  get fixedLength() {
    const { semantics, attention, num_landmarks, segment_means_seq_len } = this.config;
    const any = semantics !== "hf" || attention === "softmax" || num_landmarks === segment_means_seq_len;
    return any ? undefined : segment_means_seq_len;
  }

  /** The likeliest tokens for each mask of `text`. */
  async fill(text) {
    const encoding = this.tokenizer.encode(text, { return_token_type_ids: true });
    const masks = [...encoding.ids.keys()].filter((place) => encoding.ids[place] === this.maskId);
    if (masks.length === 0) throw new Error(`The text has no \`${this.maskToken}\`: write one in the place of a word.`);
    const longest = this.fixedLength ?? this.config.max_position_embeddings;
    if (encoding.ids.length > longest) {
      throw new Error(`The text has ${encoding.ids.length} tokens, and the model reads ${longest}: leave some out.`);
    }
    const length = this.fixedLength ?? encoding.ids.length;
    const tensor = (values, padding) => {
      const data = BigInt64Array.from({ length }, (_, place) => BigInt(values[place] ?? padding));
      return new ort.Tensor("int64", data, [1, length]);
    };
    const types = encoding.token_type_ids ?? encoding.ids.map(() => 0);
    const { logits } = await this.session.run({
      input_ids: tensor(encoding.ids, this.padId),
      attention_mask: tensor(encoding.attention_mask, 0),
      token_type_ids: tensor(types, 0),
    });
    const width = logits.dims[2];
    const candidates = (place) => this.likeliest(logits.data.subarray(place * width, (place + 1) * width));
    return { encoding, masks: masks.map(candidates) };
  }

  /** The likeliest entries of the tokenizer, by the logits of one place. */
  likeliest(logits) {
    const largest = logits.reduce((most, logit) => Math.max(most, logit), -Infinity);
    const sum = logits.reduce((sum, logit) => sum + Math.exp(logit - largest), 0);
    const score = (token) => Math.exp(logits[token] - largest) / sum;
    const known = [...logits.keys()].filter((token) => this.tokenizer.id_to_token(token) !== undefined);
    const ranked = known.sort((one, other) => logits[other] - logits[one] || one - other).slice(0, CANDIDATES);
    return ranked.map((token) => ({ token, score: score(token), token_str: this.tokenizer.decode([token]) }));
  }
}

function showError(error) {
  const card = element("div", { className: "card error", role: "alert" });
  card.append(element("h2", {}, "That did not work"), element("p", {}, error.message));
  answer.replaceChildren(card);
}

async function ask(filler) {
  const asked = text.value;
  const start = performance.now();
  try {
    const { encoding, masks } = await filler.fill(asked);
    const took = `${encoding.ids.length} tokens, ${Math.max(1, Math.round(performance.now() - start))} ms`;
    const again = (partly) => {
      text.value = partly;
      form.requestSubmit();
    };
    const tokens = element("details", {}, element("summary", {}, "Tokens"));
    tokens.append(element("p", {}, encoding.tokens.join(" ")));
    const filled = filledMasks(asked, filler.maskToken, masks, again);
    const card = element("div", { className: "card" }, element("h2", {}, "Filled"), filled);
    card.append(element("p", { className: "took" }, took), tokens);
    answer.replaceChildren(card);
  } catch (error) {
    showError(error);
  }
}

async function start() {
  step.textContent = "Loading the model …";
  const filler = await Filler.load((share) => {
    progress.value = share;
  });
  loading.remove();
  form.hidden = false;
  find("mask").textContent = filler.maskToken;
  const examples = EXAMPLES.map((example) => example.replaceAll("MASK", filler.maskToken));
  const buttons = examples.map((example) => {
    const button = element("button", { type: "button" }, example);
    button.onclick = () => {
      text.value = example;
      form.requestSubmit();
    };
    return button;
  });
  find("examples").append(...buttons);
  find("insert").onclick = () => {
    text.setRangeText(filler.maskToken, text.selectionStart, text.selectionEnd, "end");
    text.focus();
  };
  let running = Promise.resolve();
  form.onsubmit = (event) => {
    event.preventDefault();
    running = running.then(() => ask(filler));
  };
  text.value = examples[0];
  form.requestSubmit();
}

start().catch((error) => {
  loading.remove();
  showError(error);
});
