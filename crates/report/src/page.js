"use strict";
// Light or dark: what the system says, until somebody asks for the other.
const root = document.documentElement;
const theme = document.getElementById("theme");
theme.hidden = false;
theme.onclick = () => {
  const dark = matchMedia("(prefers-color-scheme: dark)").matches;
  const now = root.dataset.theme || (dark ? "dark" : "light");
  root.dataset.theme = now === "dark" ? "light" : "dark";
  document.dispatchEvent(new Event("theme"));
};

const dataOf = (parent) => JSON.parse(parent.querySelector("script[type='application/json']").textContent);
const words = (value) => (value === 0 ? "0" : Math.abs(value) < 1e-3 || Math.abs(value) >= 1e7 ? value.toExponential(3) : String(Number(value.toPrecision(5))));

// Curves: the values at the step under the pointer; by keys, step after step.
function nearest(steps, step) {
  let low = 0;
  let high = steps.length - 1;
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (steps[middle] < step) low = middle;
    else high = middle;
  }
  return step - steps[low] <= steps[high] - step ? low : high;
}

function follow(figure) {
  const svg = figure.querySelector("svg");
  const script = figure.querySelector("script");
  if (!script) return;
  const { frame, x, y, log, curves } = dataOf(figure);
  const drawn = curves.filter((curve) => curve.x.length > 0);
  if (drawn.length === 0) return;
  const [left, top, width, height] = frame;
  const across = (step) => left + (width * (step - x[0])) / (x[1] - x[0]);
  const down = (value) => top + height - (height * ((log ? Math.log10(value) : value) - y[0])) / (y[1] - y[0]);
  const make = (name) => svg.appendChild(document.createElementNS(svg.namespaceURI, name));
  const cross = make("line");
  cross.setAttribute("class", "cross");
  cross.setAttribute("y1", top);
  cross.setAttribute("y2", top + height);
  const dots = drawn.map((curve) => {
    const dot = make("circle");
    dot.setAttribute("class", "dot c" + curve.colour);
    dot.setAttribute("r", 3.5);
    return dot;
  });
  const tip = figure.appendChild(document.createElement("div"));
  tip.className = "tip";
  tip.setAttribute("role", "status");
  const all = [cross, tip, ...dots];
  const hide = () => all.forEach((part) => part.setAttribute("hidden", ""));
  hide();
  const steps = [...new Set(drawn.flatMap((curve) => curve.x))].sort((a, b) => a - b);
  let at = steps.length - 1;

  function show(step) {
    tip.replaceChildren("step " + words(step));
    drawn.forEach((curve, number) => {
      const place = nearest(curve.x, step);
      const value = curve.y[place];
      const line = document.createElement("span");
      line.className = "key c" + curve.colour;
      line.textContent = curve.name + " " + words(value) + (curve.x[place] === step ? "" : " (step " + words(curve.x[place]) + ")");
      tip.append(line);
      const dot = dots[number];
      const height = down(value);
      dot.setAttribute("cx", across(curve.x[place]));
      dot.setAttribute("cy", Number.isFinite(height) ? height : top);
    });
    cross.setAttribute("x1", across(step));
    cross.setAttribute("x2", across(step));
    all.forEach((part) => part.removeAttribute("hidden"));
    const box = svg.getBoundingClientRect();
    const around = figure.getBoundingClientRect();
    const where = box.left - around.left + (across(step) * box.width) / svg.viewBox.baseVal.width;
    const isRight = where > around.width / 2;
    tip.style.left = isRight ? "auto" : where + 12 + "px";
    tip.style.right = isRight ? around.width - where + 12 + "px" : "auto";
    tip.style.top = box.top - around.top + 8 + "px";
  }
  svg.onpointermove = (event) => {
    const box = svg.getBoundingClientRect();
    const unit = ((event.clientX - box.left) / box.width) * svg.viewBox.baseVal.width;
    at = nearest(steps, x[0] + ((unit - left) / width) * (x[1] - x[0]));
    show(steps[at]);
  };
  svg.onpointerleave = hide;
  svg.onblur = hide;
  svg.onkeydown = (event) => {
    const by = { ArrowLeft: -1, ArrowRight: 1, PageDown: -Math.ceil(steps.length / 10), PageUp: Math.ceil(steps.length / 10) }[event.key];
    if (!by) return;
    event.preventDefault();
    at = Math.max(0, Math.min(steps.length - 1, at + by));
    show(steps[at]);
  };
}
document.querySelectorAll("figure.chart").forEach((figure) => figure.querySelector("script") && follow(figure));

// Attention: another layer or head.
function choose(part) {
  const layers = dataOf(part);
  if (layers.length === 0) return;
  const layer = part.querySelector("select.layer");
  const head = part.querySelector("select.head");
  layers.forEach((row) => layer.add(new Option(row.layer)));
  layer.selectedIndex = layers.length - 1;
  head.add(new Option("mean"));
  layers[0].heads.forEach((_, number) => head.add(new Option(number)));
  part.querySelector(".choice").hidden = false;

  function weights() {
    const heads = layers[layer.selectedIndex].heads;
    if (head.value !== "mean") return heads[Math.min(Number(head.value), heads.length - 1)];
    return heads[0].map((_, place) => heads.reduce((sum, row) => sum + row[place], 0) / heads.length);
  }
  function draw() {
    const row = weights();
    const scale = row.reduce((most, weight) => Math.max(most, Math.abs(weight)), 1e-30);
    part.querySelectorAll(".tokens span").forEach((span, place) => {
      if (place >= row.length) return;
      span.style.setProperty("--w", (Math.abs(row[place]) / scale).toFixed(3));
      span.classList.toggle("below", row[place] < 0);
      span.title = words(row[place]);
    });
    const canvas = part.querySelector("canvas");
    if (!canvas) return;
    const style = getComputedStyle(root);
    const colours = ["--hot", "--cold"].map((name) => style.getPropertyValue(name).split(",").map(Number));
    const side = Math.ceil(Math.sqrt(row.length)) || 1;
    canvas.width = side;
    canvas.height = Math.ceil(row.length / side) || 1;
    const context = canvas.getContext("2d");
    const image = context.createImageData(canvas.width, canvas.height);
    row.forEach((weight, place) => {
      const colour = colours[weight < 0 ? 1 : 0];
      for (let channel = 0; channel < 3; channel++) image.data[4 * place + channel] = colour[channel];
      image.data[4 * place + 3] = Math.round((255 * Math.abs(weight)) / scale);
    });
    context.putImageData(image, 0, 0);
    const listed = row.map((weight, place) => [weight, place]).sort((a, b) => b[0] - a[0]);
    part.querySelectorAll("li").forEach((item, rank) => {
      item.textContent = listed[rank][1] + ": " + words(listed[rank][0]);
    });
  }
  layer.onchange = head.onchange = draw;
  document.addEventListener("theme", draw);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
  draw();
}
document.querySelectorAll(".attention").forEach(choose);
