// Drives the server's page in a real browser: node --test tools/browser/*.test.mjs
// SCREENSHOTS=FOLDER also writes a picture of each state, to be looked at.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";

import { checkAccessible } from "./accessibility.mjs";
import { Browser, findChromium } from "./chromium.mjs";
import { fixture, serve } from "./servers.mjs";

const chromium = findChromium();
const skip = chromium ? false : "there is no Chromium: apt-get install chromium, or name one with CHROMIUM";
const screenshots = process.env.SCREENSHOTS;
if (screenshots) mkdirSync(screenshots, { recursive: true });

const MODELS = ["fill_mask", "single_label", "multi_label", "regression", "tokens", "qa", "choice", "features"];

/** What transformers answers to the fixture's requests under these options: `[request, answer]` for each. */
function answersOf(model, options) {
  const all = JSON.parse(readFileSync(join(fixture(model), "answers.json"), "utf8"));
  const group = all.find((group) => JSON.stringify(group.options) === JSON.stringify(options));
  assert.ok(group, `${model} has answers under ${JSON.stringify(options)}`);
  return group.requests.map((request, place) => [request, group.answers[place]]);
}

/** Whether bars of the page say these labels and scores, but for the last shown digit. */
function assertBars(shown, expected) {
  assert.deepEqual(shown.map(({ label }) => label), expected.map(({ label }) => label));
  shown.forEach(({ score }, place) => {
    const wanted = 100 * expected[place].score;
    const value = score.startsWith("<") ? 0.05 : parseFloat(score);
    assert.ok(Math.abs(value - wanted) < 0.11, `${score} is ${wanted} %`);
  });
}

describe("the page of the server", { skip }, () => {
  let browser;
  let server;
  let page;

  before(async () => {
    browser = await Browser.start(chromium);
    server = await serve(Object.fromEntries(MODELS.map((name) => [name, fixture(name)])));
    page = await browser.page();
  });

  after(async () => {
    await browser?.close();
    await server?.stop();
  });

  const open = async (model, task) => {
    // A hash alone is no other page.
    await page.open("about:blank");
    page.problems.length = 0;
    await page.open(`${server.url}/#${new URLSearchParams({ model, task })}`);
    await page.until("!document.getElementById('form').hidden");
  };
  const ask = async (fields) => {
    for (const [name, value] of Object.entries(fields)) await page.fill(`#field-${name}`, value);
    await page.click("form .main");
    return answered();
  };
  const answered = () => page.until("document.querySelector('#answer[aria-busy=false] .card') !== null");
  const shownBars = () => page.evaluate(`[...document.querySelectorAll("#answer .bars li")].map((row) => ({
    label: row.querySelector(".label").textContent,
    score: row.querySelector(".score").textContent,
  }))`);
  const picture = async (name) => {
    if (screenshots) await page.screenshot(join(screenshots, `${name}.png`));
  };

  test("fills a mask as transformers does, and by click", async () => {
    await open("fill_mask", "/fill-mask");
    for (const [{ text }, candidates] of answersOf("fill_mask", { top_k: 5 }).slice(0, 2)) {
      await ask({ text });
      assertBars(await shownBars(), candidates.map(({ token_str, score }) => ({ label: token_str, score })));
      assert.equal(await page.text("#answer .slot"), candidates[0].token_str.trim());
      await page.click("#answer .bars li:nth-child(3) button");
      await page.until(`document.querySelector("#answer .slot").textContent === ${JSON.stringify(candidates[2].token_str.trim())}`);
    }
    await picture("fill-mask");
  });

  test("fills several masks one after the other", async () => {
    const [text, masks] = answersOf("fill_mask", { top_k: 5 })
      .map(([request, answer]) => [request.text, answer])
      .find(([, answer]) => Array.isArray(answer[0]));
    await open("fill_mask", "/fill-mask");
    await ask({ text });
    assert.deepEqual(await page.texts("#answer .slot"), masks.map(([likeliest]) => likeliest.token_str.trim()));
    await page.click("#answer .slot:nth-of-type(2)");
    const candidates = masks[1].map(({ token_str, score }) => ({ label: token_str, score }));
    assertBars(await shownBars(), candidates);
    await page.click("#answer .bars li:nth-child(2) button");
    await picture("fill-mask-several");
    await page.click("#answer .again");
    await page.until(`document.querySelectorAll("#answer .slot").length === 1 && document.getElementById("answer").ariaBusy === "false"`);
    const partly = await page.evaluate(`document.getElementById("field-text").value`);
    assert.ok(partly.includes(candidates[1].label.replace("##", "")) && partly.split("[MASK]").length === 2, partly);
  });

  test("shows classes as bars, and numbers as numbers", async () => {
    for (const model of ["single_label", "multi_label"]) {
      await open(model, "/predict");
      for (const [{ text, text_pair }, answer] of answersOf(model, { top_k: 3 })) {
        // Longer than the model reads: that is another test.
        if (text === "" || text.length > 80 || (text_pair ?? "").length > 80) continue;
        await ask({ text, pair: text_pair ?? "" });
        assertBars((await shownBars()).slice(0, 3), answer);
      }
      await picture(model);
    }
    await open("regression", "/predict");
    await ask({ text: "The film was good." });
    const rows = await page.texts("#answer tbody tr");
    assert.deepEqual(rows.map((row) => row.split("\t")[0]).sort(), ["length", "stars"]);
    await picture("regression");
  });

  test("marks entities in the text, by its characters", async () => {
    await open("tokens", "/tokens");
    for (const [{ text }, entities] of answersOf("tokens", { aggregation: "simple" })) {
      if (text.trim() === "" || text.length > 80) continue;
      await ask({ text });
      const marks = await page.evaluate(`[...document.querySelectorAll("#answer mark")].map((mark) => mark.firstChild.textContent)`);
      const characters = Array.from(text);
      assert.deepEqual(marks, entities.map(({ start, end }) => characters.slice(start, end).join("")));
      assert.equal((await page.texts("#answer tbody tr")).length, entities.length);
    }
    await picture("tokens");
  });

  test("marks the answer in its text", async () => {
    await open("qa", "/qa");
    for (const [{ question, context }, answer] of answersOf("qa", { top_k: 4 })) {
      await ask({ question, context });
      const ranked = [answer].flat();
      assertBars(await shownBars(), ranked.map((one) => ({ label: one.answer, score: one.score })));
      assert.equal(await page.text("#answer mark"), ranked[0].answer);
    }
    const [{ question, context }, ranked] = answersOf("qa", { top_k: 4 })[0];
    await ask({ question, context });
    await picture("qa");
    await page.click("#answer .bars li:nth-child(2) button");
    await page.until(`document.querySelector("#answer mark").textContent === ${JSON.stringify(ranked[1].answer)}`);
  });

  test("ranks choices", async () => {
    await open("choice", "/choice");
    // Without the choice that is empty: the page has a choice in each line. Scores of the others keep their proportions.
    const [{ prompt, choices }, { scores }] = answersOf("choice", {})[0];
    const rows = choices.map((label, place) => ({ label, score: scores[place] })).filter(({ label }) => label !== "");
    const sum = rows.reduce((sum, { score }) => sum + score, 0);
    const expected = rows.map(({ label, score }) => ({ label, score: score / sum })).sort((a, b) => b.score - a.score);
    await ask({ prompt, choices: rows.map(({ label }) => label).join("\n") });
    assertBars(await shownBars(), expected);
    await picture("choice");
  });

  test("compares texts", async () => {
    await open("features", "/embed");
    const texts = ["The film was good.", "Anna lives in Paris, and Bob works near the river bank!", "CAFÉ résumé naïve"];
    await ask({ texts: texts.join("\n") });
    const pooled = answersOf("features", { pooling: "mean" });
    const means = texts.map((text) => pooled.find(([request]) => request.text === text)[1]);
    const dot = (one, other) => one.reduce((sum, value, place) => sum + value * other[place], 0);
    const cosine = (one, other) => dot(one, other) / Math.sqrt(dot(one, one) * dot(other, other));
    const expected = means.map((one) => means.map((other) => cosine(one, other)));
    const rows = await page.evaluate(`[...document.querySelectorAll("#answer tbody tr")].map((row) => [...row.querySelectorAll("td")].map((cell) => Number(cell.textContent)))`);
    rows.flat().forEach((value, place) => assert.ok(Math.abs(value - expected.flat()[place]) < 6e-4, `${value} ${place}`));
    await picture("embed");
  });

  test("shows attention by layer and head", async () => {
    await open("fill_mask", "/attention");
    await ask({ text: "Anna lives in Paris." });
    const tokens = await page.texts("#answer .token");
    assert.equal(tokens[0], "[CLS]");
    assert.equal(tokens.at(-1), "[SEP]");
    const weights = () => page.evaluate(`[...document.querySelectorAll("#answer .token")].map((one) => Number(one.title.split(": ").at(-1)))`);
    const first = await weights();
    assert.ok(Math.abs(first.reduce((sum, weight) => sum + weight, 0) - 1) < 0.05, String(first));
    const body = { inputs: "Anna lives in Paris.", model: "fill_mask" };
    const answer = await fetch(`${server.url}/attention`, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify(body),
    });
    const { attention } = await answer.json();
    await page.evaluate(`(() => {
      const [layer, head] = document.querySelectorAll("#answer select");
      layer.selectedIndex = 0;
      layer.onchange();
      head.selectedIndex = 2;
      head.onchange();
    })()`);
    const shown = await weights();
    attention[0].heads[1].forEach((weight, place) => assert.ok(Math.abs(weight - shown[place]) < 1e-3 * Math.abs(weight) + 1e-9));
    await picture("attention");
  });

  test("keeps what was typed when the task changes, and forgets the answer", async () => {
    await open("fill_mask", "/fill-mask");
    await ask({ text: "The [MASK] was good." });
    await page.click("#tasks label:nth-child(2)");
    await page.until(`document.querySelector("#answer .card") === null`);
    assert.ok(await page.evaluate("location.hash.includes('task=')"));
    await page.click("#tasks label:nth-child(1)");
    assert.equal(await page.evaluate("document.getElementById('field-text').value"), "The [MASK] was good.");
  });

  test("is used by keyboard alone", async () => {
    await open("fill_mask", "/fill-mask");
    const focused = () => page.evaluate("document.activeElement.id || document.activeElement.name || document.activeElement.className");
    await page.evaluate("document.getElementById('model').focus()");
    await page.press("Tab");
    assert.equal(await focused(), "task");
    await page.press("Tab");
    assert.equal(await focused(), "field-text");
    await page.send("Input.insertText", { text: "Anna [MASK] in Paris." });
    await page.press("Enter", 2);
    await answered();
    await page.evaluate("document.querySelector('#answer .bars button').focus()");
    await page.press("Tab");
    await page.press(" ");
    await page.until(`document.querySelector("#answer .bars li:nth-child(2) button").ariaPressed === "true"`);
    assert.ok(await page.evaluate(`document.activeElement.ariaPressed === "true"`), "the focus stays where it was");
  });

  test("shows text as text", async () => {
    const hostile = `<img src=x onerror="document.title='taken'"> [MASK] </textarea><script>document.title='taken'</script> & "'`;
    await open("fill_mask", "/fill-mask");
    await ask({ text: hostile });
    await open("tokens", "/tokens");
    await ask({ text: "<b onclick=x>Anna</b> &amp;" });
    assert.equal(await page.evaluate("document.querySelectorAll('#answer img, #answer script, #answer b').length"), 0);
    assert.equal(await page.evaluate("document.title"), "Nyströmformer");
    assert.deepEqual(page.problems, []);
  });

  test("the curl command asks the same", async (context) => {
    await open("single_label", "/predict");
    await ask({ text: "It's Bob's “film”: $HOME `ls` \\ \"good\"!" });
    const command = await page.evaluate("document.getElementById('curl').textContent");
    let given;
    try {
      given = execFileSync("bash", ["-c", command], { stdio: ["ignore", "pipe", "ignore"] });
    } catch (error) {
      if (error.status !== 127) throw error;
      context.skip("curl is missing");
      return;
    }
    const answer = JSON.parse(given).map(({ label, score }) => ({ label, score }));
    assertBars(await shownBars(), answer);
  });

  test("says what is too long, and cuts it when told to", async () => {
    await open("single_label", "/predict");
    await ask({ text: "the long train runs near the city every day ".repeat(20) });
    assert.equal(await page.text("#answer h2"), "Too long");
    assert.match(await page.text("#answer p"), /\b48\b/);
    await picture("too-long");
    await page.click("#answer button");
    await page.until("document.querySelector('#answer .bars') !== null");
    // A refusal is no fault of the page; the browser logs its status by itself.
    assert.ok(page.problems.every((problem) => problem.includes("413")), String(page.problems));
  });

  test("says what a text lacks", async () => {
    await open("fill_mask", "/fill-mask");
    await ask({ text: "Anna lives in Paris." });
    assert.equal(await page.text("#answer h2"), "This cannot be asked");
    assert.match(await page.text("#answer p"), /\[MASK\]/);
  });

  test("says that the server is busy, or gone, and goes on", async () => {
    // One row may wait, and many clients want to.
    const small = await serve({ features: fixture("features") }, "--max-queue", "1", "--max-client-batch-size", "1");
    const other = await browser.page();
    await other.open(`${small.url}/#${new URLSearchParams({ task: "/embed" })}`);
    await other.until("!document.getElementById('form').hidden");
    const options = { method: "POST", headers: { "Content-Type": "application/json" }, body: '{"inputs": "Anna"}' };
    let isCrowded = true;
    const client = async () => {
      while (isCrowded) await (await fetch(`${small.url}/embed`, options)).text();
    };
    const crowd = Array.from({ length: 32 }, client);
    await other.fill("#field-texts", "one");
    await other.until(`(() => {
      if (document.getElementById("answer").ariaBusy === "true") return false;
      if (document.querySelector("#answer h2")?.textContent === "The server is busy") return true;
      document.querySelector("form .main").click();
    })()`);
    isCrowded = false;
    await Promise.all(crowd);
    if (screenshots) await other.screenshot(join(screenshots, "busy.png"));
    assert.equal(await small.stop(), 0);
    await other.click("#answer button");
    await other.until("document.querySelector('#answer h2')?.textContent === 'The server does not answer'");
    if (screenshots) await other.screenshot(join(screenshots, "gone.png"));
    await other.close();
  });

  for (const [name, size] of Object.entries({
    light: { width: 900 },
    dark: { width: 900, dark: true },
    phone: { width: 360, height: 740, mobile: true },
    "dark-phone": { width: 360, height: 740, mobile: true, dark: true },
  })) {
    test(`can be read and is named: ${name}`, async () => {
      const shown = page;
      page = await browser.page(size);
      try {
        for (const [model, task] of [
          ["fill_mask", "/fill-mask"],
          ["single_label", "/predict"],
          ["tokens", "/tokens"],
          ["qa", "/qa"],
          ["choice", "/choice"],
          ["features", "/embed"],
          ["fill_mask", "/attention"],
        ]) {
          await open(model, task);
          // The first example: its button fills the fields and asks.
          await page.click("#examples button");
          await answered();
          await page.evaluate("document.getElementById('request').open = true");
          await checkAccessible(page, `${name} ${task}`);
          await picture(`${name}${task.replace("/", "-")}`);
        }
        assert.deepEqual(page.problems, []);
        assert.deepEqual(page.requests.filter((url) => !url.startsWith(server.url) && url !== "about:blank"), []);
      } finally {
        await page.close();
        page = shown;
      }
    });
  }
});
