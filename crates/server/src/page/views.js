// How answers look. Nothing here asks anything; the demo in `demo/` shows its answers with the same functions.
// Whatever comes from a model or a person is set as text, never as markup.

/** An element with these properties (or attributes, where it has no such property) and children; strings become text. */
export function element(tag, properties = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name in made) made[name] = value;
    else made.setAttribute(name, value);
  }
  made.append(...children);
  return made;
}

/** A share of 1 as people read it. */
export function percent(share) {
  const value = 100 * share;
  if (value > 0 && value < 0.1) return "< 0.1 %";
  return `${value.toFixed(1)} %`;
}

/** A number in few digits. */
export function number(value) {
  return String(Number(value.toPrecision(4)));
}

/**
 * Labels with bars as long as their scores, which are shares of 1.
 * With `choose` every row is a button that calls it with its row; `chosen` is the row that is pressed.
 */
export function bars(rows, { choose, chosen } = {}) {
  const list = element("ol", { className: "bars" });
  for (const row of rows) {
    const bar = element("span", { className: "bar", ariaHidden: "true" }, element("span"));
    bar.firstChild.style.setProperty("--share", Math.min(1, Math.max(0, row.score)));
    const parts = [
      element("span", { className: "label" }, row.label),
      bar,
      element("span", { className: "score" }, percent(row.score)),
    ];
    const holder = choose
      ? element("button", { type: "button", onclick: () => choose(row), ariaPressed: String(row === chosen) }, ...parts)
      : element("div", {}, ...parts);
    list.append(element("li", {}, holder));
  }
  return list;
}

/** `before` continued by a token: `##ing` goes on a word, and a blank that both have stands once. */
export function continued(before, token) {
  if (token.startsWith("##")) return before.trimEnd() + token.slice(2);
  return before.endsWith(" ") ? before + token.trimStart() : before + token;
}

/**
 * A text whose masks are buttons, and the candidates of the mask that is selected.
 *
 * `masks[i]` is a list of `{score, token_str}` for the i-th mask, likeliest first. `askAgain`, if given, is called with the
 * text in which the masks that a person filled are filled, and the others still masked.
 */
export function filledMasks(text, maskToken, masks, askAgain) {
  const [first, ...others] = text.split(maskToken);
  const after = [...others.slice(0, masks.length - 1), others.slice(masks.length - 1).join(maskToken)];
  const slots = masks.map((candidates, place) => {
    const rows = candidates.map(({ token_str, score }) => ({ label: token_str, score }));
    return { rows, chosen: rows[0], byPerson: false, after: after[place] };
  });
  const holder = element("div");
  let selected = slots[0];

  function slotButton(slot) {
    const button = element("button", { type: "button", className: "slot", ariaPressed: String(slot === selected) });
    button.textContent = slot.chosen.label.trim();
    button.title = percent(slot.chosen.score);
    button.onclick = () => {
      selected = slot;
      draw(".slot[aria-pressed=true]");
    };
    return button;
  }

  function draw(focus) {
    const sentence = element("p", { className: "sentence" }, first);
    for (const slot of slots) sentence.append(slotButton(slot), slot.after);
    const title = slots.length > 1 ? `Mask ${slots.indexOf(selected) + 1} of ${slots.length}` : "Candidates";
    const choose = (row) => {
      Object.assign(selected, { chosen: row, byPerson: true });
      draw(".bars [aria-pressed=true]");
    };
    const candidates = bars(selected.rows, { chosen: selected.chosen, choose });
    holder.replaceChildren(sentence, element("h3", {}, title), candidates);
    const byPerson = slots.filter((slot) => slot.byPerson).length;
    if (askAgain && byPerson > 0 && byPerson < slots.length) {
      const again = element("button", { type: "button", className: "again" }, "Ask again with what you filled");
      again.onclick = () => askAgain(partlyFilled());
      holder.append(again);
    }
    if (focus) holder.querySelector(focus).focus();
  }

  function partlyFilled() {
    const fill = (before, { chosen, byPerson, after }) =>
      (byPerson ? continued(before, chosen.label) : before + maskToken) + after;
    return slots.reduce(fill, first);
  }

  draw();
  return holder;
}

/**
 * A text with marked parts: `{start, end, label, score}`, counted in characters (not in JavaScript's UTF-16 units). Parts that
 * overlap one before them are left out, and said to be.
 */
export function markedText(text, spans, { showLabels = true } = {}) {
  const characters = Array.from(text);
  const colours = new Map();
  const paragraph = element("p", { className: "marked" });
  let place = 0;
  let overlapping = 0;
  for (const span of [...spans].sort((a, b) => a.start - b.start)) {
    if (span.start < place) {
      overlapping += 1;
      continue;
    }
    if (!colours.has(span.label)) colours.set(span.label, colours.size % 6);
    const mark = element("mark", { title: `${span.label}: ${percent(span.score)}` });
    mark.dataset.colour = colours.get(span.label);
    mark.append(characters.slice(span.start, span.end).join(""));
    if (showLabels) mark.append(" ", element("span", { className: "tag" }, span.label));
    paragraph.append(characters.slice(place, span.start).join(""), mark);
    place = span.end;
  }
  paragraph.append(characters.slice(place).join(""));
  if (overlapping === 0) return paragraph;
  const note = element("p", { className: "note" }, `${overlapping} more overlap those shown, and stand in the list alone.`);
  return element("div", {}, paragraph, note);
}

/** A table: names of columns, and rows of texts or numbers. */
export function table(columns, rows) {
  const head = element("tr", {}, ...columns.map((name) => element("th", { scope: "col" }, name)));
  const cell = (value) =>
    typeof value === "number"
      ? element("td", { className: "number" }, number(value))
      : element("td", {}, String(value));
  const body = rows.map((row) => element("tr", {}, ...row.map(cell)));
  const made = element("table", {}, element("thead", {}, head), element("tbody", {}, ...body));
  return element("div", { className: "scroll" }, made);
}

/** The cosine of the angle between two vectors. */
export function cosine(left, right) {
  const product = (one, other) => one.reduce((sum, value, place) => sum + value * other[place], 0);
  const lengths = Math.sqrt(product(left, left) * product(right, right));
  return lengths === 0 ? 0 : product(left, right) / lengths;
}

/** How much each text's vector is like each other's. */
export function similarity(texts, vectors) {
  const numbers = texts.map((_, place) => element("th", { scope: "col" }, String(place + 1)));
  const head = element("tr", {}, element("th", { scope: "col" }, "Text"), ...numbers);
  const rows = texts.map((text, row) => {
    const cells = vectors.map((vector) => {
      const value = cosine(vectors[row], vector);
      const cell = element("td", { className: "number heat" }, value.toFixed(3));
      return heated(cell, value, 1);
    });
    return element("tr", {}, element("th", { scope: "row" }, `${row + 1}. ${text}`), ...cells);
  });
  const made = element("table", { className: "similarity" }, element("thead", {}, head), element("tbody", {}, ...rows));
  return element("div", { className: "scroll" }, made);
}

/** Gives an element the colour of a weight, as a share of the largest; weights below zero have another colour. */
function heated(made, weight, largest) {
  made.style.setProperty("--share", Math.min(1, Math.abs(weight) / largest).toFixed(3));
  made.classList.toggle("below", weight < 0);
  return made;
}

/** What the first token takes of each, coloured. `layers` is `[{layer, heads: [[weight, …], …]}, …]`; layer and head are selectable. */
export function attentionMap(tokens, layers) {
  const layerNames = layers.map(({ layer }, place) => element("option", { value: place }, String(layer)));
  const layer = element("select", { onchange: draw }, ...layerNames);
  layer.selectedIndex = layers.length - 1;
  const headNames = ["mean", ...layers[0].heads.keys()].map((name) => element("option", { value: name }, String(name)));
  const head = element("select", { onchange: draw }, ...headNames);
  const map = element("p", { className: "tokens" });
  const most = element("div");

  /** Of the selected layer, the selected head's weights or their mean. */
  function weights() {
    const { heads } = layers[layer.selectedIndex];
    if (head.value !== "mean") return heads[Number(head.value)];
    return tokens.map((_, place) => heads.reduce((sum, row) => sum + row[place], 0) / heads.length);
  }

  function draw() {
    const row = weights();
    const largest = row.reduce((most, weight) => Math.max(most, Math.abs(weight)), Number.MIN_VALUE);
    const shown = row.map((weight, place) => {
      const properties = { className: "token heat", title: `${tokens[place]}: ${number(weight)}` };
      return heated(element("span", properties, tokens[place]), weight, largest);
    });
    map.replaceChildren(...shown);
    const ranked = row.map((weight, place) => [tokens[place], place, weight]).sort((a, b) => Math.abs(b[2]) - Math.abs(a[2]));
    most.replaceChildren(element("h3", {}, "Largest weights"), table(["Token", "Place", "Weight"], ranked.slice(0, 8)));
  }

  draw();
  const labels = [element("label", {}, "Layer ", layer), element("label", {}, "Head ", head)];
  return element("div", {}, element("p", { className: "choice" }, ...labels), map, most);
}
