// A headless Chromium, spoken to by the DevTools protocol over a pipe: no package is needed.

import { spawn, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const NAMES = ["chromium", "chromium-browser", "google-chrome", "chrome"];
const DEADLINE_MS = 30_000;

/** The browser of this machine: `$CHROMIUM`, or the first of the usual names; `undefined` if there is none. */
export function findChromium() {
  const names = process.env.CHROMIUM ? [process.env.CHROMIUM] : NAMES;
  return names.find((name) => spawnSync(name, ["--version"], { stdio: "ignore" }).status === 0);
}

export class Browser {
  static async start(program) {
    const profile = mkdtempSync(join(tmpdir(), "nystromformer-browser-"));
    const switches = [
      "--headless=new",
      "--remote-debugging-pipe",
      `--user-data-dir=${profile}`,
      "--no-first-run",
      "--no-default-browser-check",
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-extensions",
      "--disable-sync",
      "--disable-gpu",
      "--hide-scrollbars",
      // Nothing but this machine may be asked.
      "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost",
    ];
    // Chromium's sandbox refuses to run as root, as in most containers.
    if (process.getuid?.() === 0) switches.push("--no-sandbox");
    const child = spawn(program, [...switches, "about:blank"], { stdio: ["ignore", "ignore", "pipe", "pipe", "pipe"] });
    return new Browser(child, profile);
  }

  constructor(child, profile) {
    this.child = child;
    this.profile = profile;
    this.waiting = new Map();
    this.listeners = new Map();
    this.lastId = 0;
    this.said = "";
    child.stderr.on("data", (part) => {
      this.said = (this.said + part).slice(-4000);
    });
    let rest = "";
    child.stdio[4].setEncoding("utf8");
    child.stdio[4].on("data", (part) => {
      const messages = (rest + part).split("\0");
      rest = messages.pop();
      for (const message of messages) this.receive(JSON.parse(message));
    });
    this.ended = new Promise((resolve) => child.once("exit", resolve));
    this.ended.then(() => {
      for (const { reject } of this.waiting.values()) reject(new Error(`the browser ended: ${this.said}`));
    });
  }

  receive({ id, sessionId, method, params, result, error }) {
    if (id === undefined) {
      this.listeners.get(sessionId)?.(method, params);
      return;
    }
    const { resolve, reject, asked } = this.waiting.get(id);
    this.waiting.delete(id);
    if (error) reject(new Error(`${asked}: ${error.message}`));
    else resolve(result);
  }

  send(method, params = {}, sessionId) {
    this.lastId += 1;
    const id = this.lastId;
    return new Promise((resolve, reject) => {
      this.waiting.set(id, { resolve, reject, asked: method });
      this.child.stdio[3].write(`${JSON.stringify({ id, method, params, sessionId })}\0`);
    });
  }

  /** A new page of its own context: no cookies, no cache of others. */
  async page(size = {}) {
    const { browserContextId } = await this.send("Target.createBrowserContext");
    const { targetId } = await this.send("Target.createTarget", { url: "about:blank", browserContextId });
    const { sessionId } = await this.send("Target.attachToTarget", { targetId, flatten: true });
    const page = new Page(this, sessionId, targetId);
    await page.prepare(size);
    return page;
  }

  async close() {
    this.send("Browser.close").catch(() => {});
    const timer = setTimeout(() => this.child.kill("SIGKILL"), 5000);
    await this.ended;
    clearTimeout(timer);
    rmSync(this.profile, { recursive: true, force: true, maxRetries: 5 });
  }
}

export class Page {
  constructor(browser, sessionId, targetId) {
    this.browser = browser;
    this.sessionId = sessionId;
    this.targetId = targetId;
    /** What went wrong in the page: exceptions, refusals by its Content-Security-Policy, errors in its console. */
    this.problems = [];
    /** The addresses that it asked for. */
    this.requests = [];
    browser.listeners.set(sessionId, (method, params) => this.hear(method, params));
  }

  hear(method, params) {
    if (method === "Runtime.exceptionThrown") {
      const { exceptionDetails } = params;
      this.problems.push(exceptionDetails.exception?.description ?? exceptionDetails.text);
    } else if (method === "Log.entryAdded" && params.entry.level === "error") {
      this.problems.push(`${params.entry.text} ${params.entry.url ?? ""}`);
    } else if (method === "Runtime.consoleAPICalled" && params.type === "error") {
      this.problems.push(params.args.map((argument) => argument.value ?? argument.description).join(" "));
    } else if (method === "Network.requestWillBeSent") {
      this.requests.push(params.request.url);
    }
  }

  send(method, params) {
    return this.browser.send(method, params, this.sessionId);
  }

  async prepare({ width = 900, height = 900, dark = false, reducedMotion = true, mobile = false }) {
    for (const domain of ["Page", "Runtime", "Log", "Network"]) await this.send(`${domain}.enable`);
    await this.send("Emulation.setDeviceMetricsOverride", { width, height, deviceScaleFactor: 1, mobile });
    const features = [
      { name: "prefers-color-scheme", value: dark ? "dark" : "light" },
      { name: "prefers-reduced-motion", value: reducedMotion ? "reduce" : "no-preference" },
    ];
    await this.send("Emulation.setEmulatedMedia", { features });
  }

  /** Opens an address; an answer that is no success is one too. */
  async open(url) {
    const { errorText } = await this.send("Page.navigate", { url });
    if (errorText) throw new Error(`cannot open \`${url}\`: ${errorText}`);
    await this.until(`document.readyState === "complete"`);
  }

  /** The value of an expression in the page; promises are waited for. */
  async evaluate(expression) {
    const { result, exceptionDetails } = await this.send("Runtime.evaluate", {
      expression,
      awaitPromise: true,
      returnByValue: true,
    });
    if (exceptionDetails) throw new Error(`${expression}: ${exceptionDetails.exception?.description ?? exceptionDetails.text}`);
    return result.value;
  }

  /** Waits until an expression in the page is true, and gives its value. */
  async until(expression) {
    const end = Date.now() + DEADLINE_MS;
    while (Date.now() < end) {
      const value = await this.evaluate(expression).catch((error) => {
        // A page that is being left has nothing to ask.
        if (/context|navigat/i.test(error.message)) return false;
        throw error;
      });
      if (value) return value;
      await new Promise((resolve) => setTimeout(resolve, 30));
    }
    const shown = await this.evaluate("document.body.innerText");
    throw new Error(`not within ${DEADLINE_MS / 1000} s: ${expression}\nproblems: ${this.problems}\nthe page: ${shown}`);
  }

  /** The text of the first element that a selector finds. */
  text(selector) {
    return this.evaluate(`document.querySelector(${JSON.stringify(selector)})?.innerText`);
  }

  /** The texts of all elements that a selector finds. */
  texts(selector) {
    return this.evaluate(`[...document.querySelectorAll(${JSON.stringify(selector)})].map((one) => one.innerText)`);
  }

  /** Clicks in the middle of an element, as a mouse does. */
  async click(selector) {
    const place = await this.until(`(() => {
      const one = document.querySelector(${JSON.stringify(selector)});
      if (!one) return null;
      one.scrollIntoView({ block: "center" });
      const { x, y, width, height } = one.getBoundingClientRect();
      return width > 0 ? { x: x + width / 2, y: y + height / 2 } : null;
    })()`);
    for (const type of ["mousePressed", "mouseReleased"]) {
      await this.send("Input.dispatchMouseEvent", { type, ...place, button: "left", clickCount: 1 });
    }
  }

  /** Puts a text in the place of what a field holds, as if it was pasted. */
  async fill(selector, text) {
    await this.evaluate(`(() => {
      const field = document.querySelector(${JSON.stringify(selector)});
      field.focus();
      field.select();
    })()`);
    if (text === "") await this.press("Delete");
    else await this.send("Input.insertText", { text });
  }

  /** Presses a key, for example `Tab`, `Enter` or ` `. */
  async press(key, modifiers = 0) {
    const texts = { Enter: "\r", " ": " " };
    const codes = { Enter: 13, Tab: 9, " ": 32, Delete: 46, ArrowRight: 39, ArrowDown: 40 };
    const common = { key, code: key === " " ? "Space" : key, windowsVirtualKeyCode: codes[key], modifiers };
    await this.send("Input.dispatchKeyEvent", { type: texts[key] ? "keyDown" : "rawKeyDown", text: texts[key], ...common });
    await this.send("Input.dispatchKeyEvent", { type: "keyUp", ...common });
  }

  /** Writes a picture of the whole page. */
  async screenshot(file) {
    const { cssContentSize } = await this.send("Page.getLayoutMetrics");
    const clip = { x: 0, y: 0, width: cssContentSize.width, height: cssContentSize.height, scale: 1 };
    const { data } = await this.send("Page.captureScreenshot", { format: "png", clip, captureBeyondViewport: true });
    writeFileSync(file, Buffer.from(data, "base64"));
  }

  async close() {
    await this.browser.send("Target.closeTarget", { targetId: this.targetId });
    this.browser.listeners.delete(this.sessionId);
  }
}
