// What Beams' own service worker, from the source in its package, and ours do of the same events. In:
// {ours: path, cases: [{kind, payload | data, windows, record, handler}]}; out: for each
// {theirs, ours}, each {shown, reports, opened, focused, closed, handled}.
import { readFileSync } from 'node:fs';
import { registerHooks } from 'node:module';
import vm from 'node:vm';
import { IndexedDb } from '../../api/beams/sdk/browser.mjs';

// Their source is for a bundler, which finds ./do-request without its ending.
registerHooks({
  resolve(name, context, next) {
    const isTheirs = context.parentURL?.includes('/push-notifications-web/src/');
    return next(isTheirs && name.startsWith('./') ? `${name}.js` : name, context);
  },
});

const { ours, cases } = JSON.parse(readFileSync(0, 'utf8'));
const source = readFileSync(ours, 'utf8');
Date.now = () => 1_700_000_000_999;
globalThis.self = globalThis;

const theirs = import.meta.resolve('@pusher/push-notifications-web/src/service-worker.js');
let loaded = 0;
const load = {
  theirs: () => import(`${theirs}?${(loaded += 1)}`),
  ours: () =>
    vm.runInThisContext(source, { filename: 'https://server.example/sdk/service-worker.js' }),
};

const handlers = {
  ignore: (seen) => (given) => void seen.handled.push(given.payload),
  change:
    (seen) =>
    ({ payload, pushEvent, handleNotification }) => {
      seen.handled.push(structuredClone(payload));
      payload.notification = { ...payload.notification, title: 'Changed' };
      pushEvent.waitUntil(handleNotification(payload));
    },
};

const answers = [];
for (const each of cases) {
  answers.push({ theirs: await what(load.theirs, each), ours: await what(load.ours, each) });
}
console.log(JSON.stringify(answers));

/** What a worker that is loaded anew does of one event. */
async function what(loadWorker, { kind, payload, data, windows = [], record, handler }) {
  const seen = { shown: [], reports: [], opened: [], focused: [], closed: 0, handled: [] };
  const listeners = new Map();
  delete globalThis.PusherPushNotifications;
  Object.assign(globalThis, {
    indexedDB: new IndexedDb(),
    location: new URL('https://site.example/service-worker.js'),
    registration: { showNotification: async (...notification) => seen.shown.push(notification) },
    clients: {
      matchAll: async () =>
        windows.map((open) => ({ ...open, focus: async () => seen.focused.push(open.url) })),
      openWindow: async (url) => seen.opened.push(url),
    },
    addEventListener: (name, listener) => listeners.set(name, listener),
    fetch: async (url, { method, headers, body }) => {
      seen.reports.push({ url, method, headers, body: JSON.parse(body) });
      return Response.json({});
    },
  });
  if (record) globalThis.indexedDB.remember(record);
  await loadWorker();
  globalThis.PusherPushNotifications.endpointOverride = 'https://server.example';
  if (handler) globalThis.PusherPushNotifications.onNotificationReceived = handlers[handler](seen);
  const lasting = [];
  listeners.get(kind)({
    waitUntil: (promise) => lasting.push(promise),
    data: payload === undefined ? null : { json: () => JSON.parse(payload) },
    notification: { data, close: () => (seen.closed += 1) },
  });
  await Promise.all(lasting);
  // Theirs reports without keeping the event open: let all that is in memory come to rest.
  for (let turn = 0; turn < 50; turn += 1) await new Promise(setImmediate);
  return seen;
}
