"use strict";
const maps = JSON.parse(document.getElementById("maps").textContent);
const layer = document.getElementById("layer");
const head = document.getElementById("head");

function weights(map) {
  const heads = map[Math.min(layer.selectedIndex, map.length - 1)].heads;
  if (head.value !== "mean") return heads[Math.min(Number(head.value), heads.length - 1)];
  return heads[0].map((_, place) => heads.reduce((sum, row) => sum + row[place], 0) / heads.length);
}

function draw() {
  const style = getComputedStyle(document.documentElement);
  const colours = ["--hot", "--cold"].map((name) => style.getPropertyValue(name).split(",").map(Number));
  document.querySelectorAll("section").forEach((section) => {
    const map = maps[Number(section.dataset.map)];
    if (map.length === 0) return;
    const row = weights(map);
    const scale = row.reduce((most, weight) => Math.max(most, Math.abs(weight)), 1e-30);
    section.querySelectorAll(".tokens span").forEach((span, place) => {
      span.style.setProperty("--w", (Math.abs(row[place]) / scale).toFixed(3));
      span.classList.toggle("below", row[place] < 0);
      span.title = row[place].toPrecision(4);
    });
    const canvas = section.querySelector("canvas");
    if (!canvas) return;
    const side = Math.ceil(Math.sqrt(row.length));
    canvas.width = side;
    canvas.height = Math.ceil(row.length / side);
    const context = canvas.getContext("2d");
    const image = context.createImageData(canvas.width, canvas.height);
    row.forEach((weight, place) => {
      const colour = colours[weight < 0 ? 1 : 0];
      for (let channel = 0; channel < 3; channel++) image.data[4 * place + channel] = colour[channel];
      image.data[4 * place + 3] = Math.round((255 * Math.abs(weight)) / scale);
    });
    context.putImageData(image, 0, 0);
    const listed = row.map((weight, place) => [weight, place]).sort((a, b) => b[0] - a[0]);
    section.querySelectorAll("li").forEach((item, rank) => {
      item.textContent = listed[rank][1] + ": " + listed[rank][0].toPrecision(4);
    });
  });
}

const first = maps.find((map) => map.length > 0);
if (first) {
  first.forEach((row) => layer.add(new Option(row.layer)));
  layer.selectedIndex = first.length - 1;
  head.add(new Option("mean"));
  first[0].heads.forEach((_, number) => head.add(new Option(number)));
  document.querySelector(".choice").hidden = false;
  layer.onchange = head.onchange = draw;
  matchMedia("(prefers-color-scheme: dark)").onchange = draw;
  draw();
}
