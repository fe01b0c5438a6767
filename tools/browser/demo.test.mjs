// Builds the demo of a tiny model and drives it in a real browser: node --test tools/browser/*.test.mjs
// DEMO=FOLDER takes a demo that is built already, of the model in MODEL; SCREENSHOTS=FOLDER writes pictures.

import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";

import { checkAccessible } from "./accessibility.mjs";
import { Browser, findChromium } from "./chromium.mjs";
import { fixture, program, repository, serveFolder } from "./servers.mjs";

const chromium = findChromium();
const npm = spawnSync("npm", ["--version"], { stdio: "ignore" }).status === 0;
const skip = !chromium
  ? "there is no Chromium: apt-get install chromium, or name one with CHROMIUM"
  : !npm && !process.env.DEMO && "there is no npm, which fetches what the demo is made of";
const model = process.env.MODEL ?? fixture("fill_mask");
const screenshots = process.env.SCREENSHOTS;
if (screenshots) mkdirSync(screenshots, { recursive: true });

/** Texts for every part of a tokenizer: case, accents, words that it lacks, other scripts, punctuation, several masks. */
const TEXTS = [
  "Anna lives in [MASK].",
  "[MASK] works.",
  "The [MASK] was [MASK], not bad.",
  "CAFÉ résumé naïve [MASK] wörds",
  "Who? 😀 It was 東京 -- not [MASK]'s",
  "   bob   \t [MASK]  anna ",
  "unbelievably[MASK]!!",
];

describe("the demo", { skip }, () => {
  let scratch;
  let browser;
  let server;
  let page;

  before(async () => {
    scratch = mkdtempSync(join(tmpdir(), "nystromformer-demo-"));
    const folder = process.env.DEMO ?? join(scratch, "demo");
    if (!process.env.DEMO) {
      const env = { ...process.env, NYSTROMFORMER: program() };
      execFileSync(join(repository, "demo/build.sh"), [model, folder], { env, stdio: ["ignore", "inherit", "inherit"] });
    }
    server = await serveFolder(folder);
    browser = await Browser.start(chromium);
    page = await browser.page();
    await page.open(server.url);
    await page.until("document.querySelector('#answer .card') !== null");
  });

  after(async () => {
    await browser?.close();
    await server?.stop();
    rmSync(scratch, { recursive: true, force: true });
  });

  test("begins with an example", async () => {
    assert.equal(await page.text("#answer h2"), "Filled");
    assert.deepEqual(page.problems, []);
  });

  test("fills masks as the program does", async () => {
    for (const text of TEXTS) {
      const [line] = execFileSync(program(), ["predict", "fill-mask", "--model", model, text], { encoding: "utf8" }).trim().split("\n");
      const answer = JSON.parse(line);
      const masks = Array.isArray(answer[0]) ? answer : [answer];
      await page.evaluate("document.getElementById('answer').replaceChildren()");
      await page.fill("#text", text);
      await page.click("form .main");
      await page.until("document.querySelector('#answer .card') !== null");
      for (const [place, candidates] of masks.entries()) {
        await page.click(`#answer .slot:nth-of-type(${place + 1})`);
        const labels = await page.evaluate("[...document.querySelectorAll('#answer .label')].map((one) => one.textContent)");
        assert.deepEqual(labels, candidates.map(({ token_str }) => token_str), text);
        const scores = await page.texts("#answer .score");
        scores.forEach((score, row) => {
          const value = score.startsWith("<") ? 0.05 : parseFloat(score);
          assert.ok(Math.abs(value - 100 * candidates[row].score) < 0.11, `${text}: ${score}, ${candidates[row].score}`);
        });
      }
    }
    if (screenshots) await page.screenshot(join(screenshots, "demo.png"));
  });

  test("says what is wrong with a text", async () => {
    const shown = async (text, title) => {
      await page.fill("#text", text);
      await page.click("form .main");
      await page.until(`document.querySelector('#answer .error p')?.textContent.includes(${JSON.stringify(title)})`);
    };
    await shown("no mask here", "has no `[MASK]`");
    await shown(`[MASK] ${"very ".repeat(400)}`, "tokens, and the model reads");
    if (screenshots) await page.screenshot(join(screenshots, "demo-error.png"));
  });

  test("asks nobody else", () => {
    const other = page.requests.filter((url) => !url.startsWith(server.url) && !url.startsWith("blob:") && url !== "about:blank");
    assert.deepEqual(other, []);
    assert.deepEqual(page.problems, []);
  });

  for (const [name, size] of Object.entries({ light: {}, dark: { dark: true }, phone: { width: 360, height: 740, mobile: true } })) {
    test(`can be read and is named: ${name}`, async () => {
      const other = await browser.page(size);
      await other.open(server.url);
      await other.until("document.querySelector('#answer .card') !== null");
      await checkAccessible(other, name);
      if (screenshots) await other.screenshot(join(screenshots, `demo-${name}.png`));
      await other.close();
    });
  }
});
