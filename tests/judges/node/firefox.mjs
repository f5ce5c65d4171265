// A headless Firefox of its own, driven by puppeteer-core over WebDriver BiDi. In: a line of
// {executable, profile, preferences}, then one of {do, ...} for each step; out: a line of {ready}
// once it runs, then one of {value} or {error} for each step. It ends with its input.
//
// BiDi knows pages only. A notification is a window of Firefox itself, which Marionette reaches:
// so Marionette opens the session, and puppeteer joins it.
import { spawn } from 'node:child_process';
import { mkdirSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import puppeteer from 'puppeteer-core';
import { Marionette } from './marionette.mjs';

const say = (value) => console.log(JSON.stringify(value));
const input = createInterface({ input: process.stdin });
const lines = input[Symbol.asyncIterator]();
const order = JSON.parse((await lines.next()).value);
const firefox = launched(order);
input.on('close', () => process.exit(0)); // whatever it is busy with
process.on('exit', () => firefox.kill('SIGKILL'));
const { marionette, browser } = await joined(order.profile);
const pages = new Map();

const steps = {
  /** Show a URL in the page of this name, which is a new one if there is none. */
  async open({ page, url }) {
    if (!pages.has(page)) pages.set(page, await browser.newPage());
    await pages.get(page).goto(url);
  },

  evaluate: ({ page, script }) => pages.get(page).evaluate(script),

  press: async ({ page, selector }) => (await found(page, selector)).click(),

  write: async ({ page, selector, text }) => (await found(page, selector)).fill(text),

  photograph: ({ page, path, clip }) =>
    pages
      .get(page)
      .screenshot({ path, clip })
      .then(() => null),

  urls: async () => (await browser.pages()).map((page) => page.url()),

  /** Press the notification with this title, as soon as Firefox shows it. */
  pressNotification: ({ title }) => withAlert(title, 'box.click()'),

  async photographNotification({ title, path }) {
    await withAlert(title, '');
    const handles = await marionette.ask('WebDriver:GetWindowHandles');
    await marionette.ask('WebDriver:SwitchToWindow', { handle: handles.at(-1) });
    const { value } = await marionette.ask('WebDriver:TakeScreenshot', { full: true });
    writeFileSync(path, Buffer.from(value, 'base64'));
  },
};

say({ ready: await browser.version() });
for await (const line of lines) {
  const step = JSON.parse(line);
  try {
    say({ value: (await steps[step.do](step)) ?? null });
  } catch (problem) {
    say({ error: problem.message });
  }
}

/** What a selector finds in a page, which comes to the front: Firefox seldom draws another. */
async function found(page, selector) {
  await pages.get(page).bringToFront();
  return pages.get(page).locator(selector);
}

function launched({ executable, profile, preferences }) {
  mkdirSync(profile, { recursive: true });
  const wishes = Object.entries({ ...preferences, 'marionette.port': 0 });
  const user = wishes.map((each) => `user_pref(${each.map((part) => JSON.stringify(part))});\n`);
  writeFileSync(join(profile, 'user.js'), user.join(''));
  const log = openSync(join(profile, 'firefox.log'), 'w');
  const how = ['--headless', '--no-remote', '--profile', profile];
  const size = ['--width', '1280', '--height', '960'];
  const driven = ['--marionette', '--remote-debugging-port', '0', '--remote-allow-system-access'];
  const options = { env: { HOME: profile }, stdio: ['ignore', log, log] };
  return spawn(executable, [...how, ...size, ...driven], options);
}

async function joined(profile) {
  const marionette = new Marionette(Number(await noteOf(join(profile, 'MarionetteActivePort'))));
  await noteOf(join(profile, 'WebDriverBiDiServer.json')); // only then a session has an address
  const session = await marionette.ask('WebDriver:NewSession', { webSocketUrl: true });
  await marionette.ask('Marionette:SetContext', { value: 'chrome' });
  const transport = await transportTo(session);
  const protocol = 'webDriverBiDi';
  const browser = await puppeteer.connect({ transport, protocol, defaultViewport: null });
  return { marionette, browser };
}

/** What Firefox writes into its profile when it listens. */
async function noteOf(path) {
  while (firefox.exitCode === null) {
    try {
      const text = readFileSync(path, 'utf8');
      if (text) return text;
    } catch (problem) {
      if (problem.code !== 'ENOENT') throw problem;
    }
    await sleep(20);
  }
  const log = readFileSync(join(order.profile, 'firefox.log'), 'utf8');
  throw new Error(`Firefox ended with status ${firefox.exitCode}: ${log}`);
}

/** A way to a session that there is already; puppeteer asks for a new one, and gets this. */
async function transportTo(session) {
  const socket = new WebSocket(session.capabilities.webSocketUrl);
  await new Promise((resolve, reject) => {
    socket.onopen = resolve;
    socket.onerror = () => reject(new Error('Firefox does not answer'));
  });
  const transport = {
    send(text) {
      const { id, method } = JSON.parse(text);
      const known = JSON.stringify({ type: 'success', id, result: session });
      if (method === 'session.new') queueMicrotask(() => transport.onmessage(known));
      else socket.send(text);
    },
    close: () => socket.close(),
  };
  socket.onmessage = ({ data }) => transport.onmessage?.(data);
  socket.onclose = () => transport.onclose?.();
  return transport;
}

/** Do something to the alert with this title in the browser's own realm, once it can be used. */
async function withAlert(title, action) {
  const script = `
    const [title, done] = arguments;
    const named = (alert) => alert.document.getElementById('alertTitleLabel')?.getAttribute('value');
    const look = () => {
      const alerts = [...Services.wm.getEnumerator('alert:alert')];
      const alert = alerts.find((each) => each.gIsActive && named(each) === title);
      if (!alert) return void setTimeout(look, 20);
      const box = alert.document.getElementById('alertTextLabel');
      ${action};
      done(true);
    };
    look();`;
  await marionette.ask('WebDriver:ExecuteAsyncScript', { script, args: [title] });
}
