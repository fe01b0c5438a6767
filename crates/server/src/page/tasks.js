// What can be asked of a model: for each route of the server the fields to fill, examples, the request, and how its answer is shown.

import { attentionMap, bars, element, filledMasks, markedText, number, percent, similarity, table } from "./views.js";

const TEXT = { name: "text", label: "Text", kind: "text" };
const PAIR = { name: "pair", label: "Second text (for models of pairs)", kind: "text", optional: true };

/** A text, or a pair of texts. */
const oneOrPair = ({ text, pair }) => (pair ? [text, pair] : text);
/** The texts of a field that has one in each line. */
const lines = (value) => value.split("\n").map((line) => line.trim()).filter((line) => line !== "");

const SENTENCES = [
  { text: "a warm, funny and beautifully acted film." },
  { text: "the plot makes no sense and the jokes are stale." },
];

/**
 * By route. `body` makes the request of the fields' values, `show` an element of the answer; it may call `submit` with other
 * values for the fields, which are then asked. With `truncates` the request may say that texts which are too long are cut.
 */
export const TASKS = {
  "/fill-mask": {
    title: "Fill masks",
    fields: [{ ...TEXT, label: "Text with a mask in the place of each word to find", masks: true }],
    examples: [
      { text: "paris is the MASK of france." },
      { text: "MASK is the capital of japan." },
      { text: "the MASK of hungary is MASK." },
    ],
    body: ({ text }) => ({ inputs: text, top_k: 5 }),
    show(answer, { values, model, submit }) {
      const masks = Array.isArray(answer[0]) ? answer : [answer];
      return filledMasks(values.text, model.mask_token, masks, (text) => submit({ text }));
    },
  },
  "/predict": {
    title: "Classify",
    fields: [TEXT, PAIR],
    examples: SENTENCES,
    truncates: true,
    body: (values) => ({ inputs: oneOrPair(values) }),
    show(answer, { model }) {
      if (model.problem_type !== "regression") return bars(answer);
      if (answer.length === 1) return element("p", { className: "big" }, number(answer[0].score));
      return table(["Name", "Number"], answer.map(({ label, score }) => [label, score]));
    },
  },
  "/tokens": {
    title: "Find entities",
    fields: [
      TEXT,
      {
        name: "aggregation",
        label: "Tokens of one word",
        kind: "select",
        options: [
          ["simple", "stay apart if their classes differ (simple)"],
          ["first", "take the class of the first (first)"],
          ["average", "take the class of their mean (average)"],
          ["max", "take the class of the surest (max)"],
        ],
      },
    ],
    examples: [
      { text: "Anna Schmidt moved from Berlin to the European Central Bank in Frankfurt." },
      { text: "Paris is in France, and Kyoto is in Japan." },
    ],
    truncates: true,
    body: ({ text, aggregation }) => ({ inputs: text, aggregation_strategy: aggregation }),
    show(answer, { values }) {
      if (answer.length === 0) return element("p", {}, "No entity was found.");
      const spans = answer.map(({ start, end, entity_group, score }) => ({ start, end, label: entity_group, score }));
      const rows = answer.map(({ word, entity_group, score }) => [word, entity_group, percent(score)]);
      return element("div", {}, markedText(values.text, spans), table(["Text", "Class", "Score"], rows));
    },
  },
  "/qa": {
    title: "Answer a question",
    fields: [
      { name: "question", label: "Question", kind: "line" },
      { name: "context", label: "Text to look in", kind: "text" },
      { name: "impossible", label: "The text may hold no answer", kind: "check" },
    ],
    examples: [
      {
        question: "Who designed the tower?",
        context: "The tower in Paris was designed by the engineers of Gustave Eiffel, and opened in 1889.",
      },
      {
        question: "When was the bridge opened?",
        context: "The old bridge fell in a flood. The new one was opened in 1932 and is painted green.",
      },
    ],
    body: ({ question, context, impossible }) => ({ question, context, top_k: 4, handle_impossible_answer: impossible || null }),
    show(answer, { values }) {
      const rows = answer.map((one) => ({ label: one.answer || "(no answer)", score: one.score, one }));
      const holder = element("div");
      if (rows.length === 0) {
        holder.append(element("p", {}, "No answer was found."));
        return holder;
      }
      const choose = (row, focus) => {
        const { start, end, score } = row.one;
        const spans = end > start ? [{ start, end, label: "answer", score }] : [];
        const text = markedText(values.context, spans, { showLabels: false });
        const ranked = bars(rows, { chosen: row, choose: (other) => choose(other, true) });
        holder.replaceChildren(text, element("h3", {}, "Answers"), ranked);
        if (focus) holder.querySelector("[aria-pressed=true]").focus();
      };
      choose(rows[0], false);
      return holder;
    },
  },
  "/choice": {
    title: "Choose",
    fields: [
      { name: "prompt", label: "Beginning or question", kind: "text" },
      { name: "choices", label: "Choices, one in each line", kind: "lines" },
    ],
    examples: [
      { prompt: "The glass fell on the floor. What happened?", choices: "It broke.\nIt sang.\nIt grew." },
      { prompt: "I put on my coat because", choices: "it was cold outside.\nthe soup was too salty." },
    ],
    truncates: true,
    body: ({ prompt, choices }) => ({ prompt, choices: lines(choices) }),
    show(answer, { values }) {
      const texts = lines(values.choices);
      const rows = answer.scores.map((score, place) => ({ label: texts[place], score }));
      return bars(rows.sort((one, other) => other.score - one.score));
    },
  },
  "/rerank": {
    title: "Rank texts",
    fields: [
      { name: "query", label: "Query", kind: "line" },
      { name: "texts", label: "Texts to rank, one in each line", kind: "lines" },
    ],
    examples: [
      {
        query: "How do bees find flowers?",
        texts: "Bees see ultraviolet patterns on petals.\nThe train leaves at noon.\nHoney keeps for years.",
      },
    ],
    truncates: true,
    body: ({ query, texts }) => ({ query, texts: lines(texts) }),
    show(answer, { values }) {
      const texts = lines(values.texts);
      return bars(answer.map(({ index, score }) => ({ label: texts[index], score })));
    },
  },
  "/embed": {
    title: "Compare texts",
    fields: [{ name: "texts", label: "Texts, one in each line", kind: "lines" }],
    examples: [
      { texts: "paris is the capital of france.\nrome is the capital of italy.\na cat is an animal." },
      { texts: "The train was late.\nThe bus did not come on time.\nShe likes apples." },
    ],
    truncates: true,
    body: ({ texts }) => ({ inputs: lines(texts) }),
    show(answer, { values, model }) {
      const about = `Each text is ${model.hidden_size} numbers; the table has the cosine between each two.`;
      return element("div", {}, similarity(lines(values.texts), answer), element("p", { className: "note" }, about));
    },
  },
  "/attention": {
    title: "Attention",
    fields: [TEXT, PAIR],
    examples: [{ text: "paris is the capital of france." }, { text: "the cat that chased the mice is black." }],
    truncates: true,
    body: (values) => ({ inputs: oneOrPair(values), truncate: false }),
    show({ tokens, attention }) {
      if (attention.length === 0) return element("p", {}, "This model has no layers.");
      const about = `What the first token, ${tokens[0]}, takes of each: the stronger the colour, the larger the weight.`;
      return element("div", {}, element("p", { className: "note" }, about), attentionMap(tokens, attention));
    },
  },
};
