// What can be checked of a page without a person: contrast, names of controls, and that it fits its width.

import assert from "node:assert/strict";

/** Texts whose contrast is below WCAG's AA: 4.5, or 3 for large letters. Runs in the page. */
function faintTexts() {
  const channels = (colour) => {
    const [red, green, blue, alpha = 1] = colour.match(/[\d.]+/g).map(Number);
    return { rgb: [red, green, blue], alpha };
  };
  const over = (top, below) => top.rgb.map((value, place) => value * top.alpha + below[place] * (1 - top.alpha));
  const ground = (one) => {
    if (!one) return [255, 255, 255];
    const colour = channels(getComputedStyle(one).backgroundColor);
    return colour.alpha === 1 ? colour.rgb : over(colour, ground(one.parentElement));
  };
  const luminance = (rgb) => {
    const linear = rgb.map((value) => value / 255).map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4));
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2];
  };
  const faint = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const text = walker.currentNode.textContent.trim();
    const one = walker.currentNode.parentElement;
    if (text === "" || one.tagName === "OPTION" || !one.checkVisibility({ opacityProperty: true })) continue;
    const style = getComputedStyle(one);
    const below = ground(one);
    const [light, dark] = [luminance(over(channels(style.color), below)), luminance(below)].sort((a, b) => b - a);
    const size = parseFloat(style.fontSize);
    const needed = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700) ? 3 : 4.5;
    const contrast = (light + 0.05) / (dark + 0.05);
    if (contrast < needed) faint.push(`“${text.slice(0, 40)}”: ${contrast.toFixed(2)}`);
  }
  return faint;
}

/** Fails if a text is faint, a control has no name, or the page is wider than its window. */
export async function checkAccessible(page, what) {
  assert.deepEqual(await page.evaluate(`(${faintTexts})()`), [], `${what}: contrast`);
  const { nodes } = await page.send("Accessibility.getFullAXTree");
  const controls = new Set(["button", "textbox", "combobox", "radio", "checkbox", "link", "image", "progressbar"]);
  const nameless = nodes.filter((node) => !node.ignored && controls.has(node.role?.value) && !node.name?.value);
  assert.deepEqual(nameless.map((node) => node.role.value), [], `${what}: controls without a name`);
  const [width, window] = await page.evaluate("[document.documentElement.scrollWidth, document.documentElement.clientWidth]");
  assert.ok(width <= window, `${what}: ${width} wide in a window of ${window}`);
}
