// The service worker's part (contract §1.2, §3.3, §7), in a scope that holds as much of a browser as
// it touches.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import vm from 'node:vm';
import { IndexedDb } from './browser.mjs';

const SOURCE = readFileSync(process.env.SDK + '/service-worker.js', 'utf8');
const LOADED_FROM = 'https://push.example/prefix/sdk/service-worker.js';
const INSTANCE = '1b880590-6301-4bb5-b34f-45db1c5f5644';
const PUSHER = {
  instanceId: INSTANCE,
  publishId: 'pubid-1',
  hasDisplayableContent: true,
  hasData: false,
};
const NOTIFICATION = { title: 'Hi', body: 'There', icon: '/icon.png' };
const HELD = { instance_id: INSTANCE, device_id: 'web-1', token: 't', user_id: 'alice' };

/** A service worker that has taken ours in. */
class Worker {
  shown = [];
  reports = [];
  windows = [];
  opened = [];
  indexedDB = new IndexedDb();
  answer = async () => new Response(null);
  #listeners = new Map();

  constructor({ settings, loadedFrom = LOADED_FROM } = {}) {
    const clock = class extends Date {
      static now = () => 1_700_000_000_999;
    };
    this.self = {
      PusherPushNotifications: settings,
      location: new URL('https://site.example/service-worker.js'),
      registration: { showNotification: async (...notification) => this.shown.push(notification) },
      clients: {
        matchAll: async () => this.windows,
        openWindow: async (url) => this.opened.push(url),
      },
      addEventListener: (kind, listener) => this.#listeners.set(kind, listener),
    };
    const fetch = async (url, options) => {
      this.reports.push({ url, ...options, body: JSON.parse(options.body) });
      return this.answer();
    };
    const { self, indexedDB } = this;
    this.scope = vm.createContext({ self, indexedDB, fetch, URL, Date: clock });
    vm.runInContext(SOURCE, this.scope, { filename: loadedFrom });
  }

  /** Let an event happen, until nothing is left to wait for. */
  async dispatch(kind, event) {
    const lasting = [];
    event.waitUntil = (promise) => lasting.push(promise);
    this.#listeners.get(kind)(event);
    await Promise.all(lasting);
    return plain({ shown: this.shown, bodies: this.reports.map((each) => each.body) });
  }

  push(payload) {
    return this.dispatch('push', { data: { json: () => structuredClone(payload) } });
  }

  click(data) {
    const notification = { data, closed: 0, close: () => (notification.closed += 1) };
    return this.dispatch('notificationclick', { notification }).then((seen) => ({
      ...seen,
      closed: notification.closed,
    }));
  }
}

/** The same without the prototypes of the worker's own realm. */
const plain = (value) => JSON.parse(JSON.stringify(value));

const windowAt = (url, state = {}) => {
  const open = { url, focused: false, visibilityState: 'hidden', focusedBy: 0, ...state };
  open.focus = async () => (open.focusedBy += 1);
  return open;
};

const opened = (notification) => ({
  pusher: { customerPayload: { notification, data: {} }, pusherMetadata: PUSHER },
});

test('a push is shown with its title, body and icon, and with what a click needs', async () => {
  const { shown } = await new Worker().push({
    notification: NOTIFICATION,
    data: { order: 7, pusher: PUSHER },
  });

  const customerPayload = { notification: NOTIFICATION, data: { order: 7 } };
  assert.deepEqual(shown, [
    [
      'Hi',
      {
        body: 'There',
        icon: '/icon.png',
        data: { pusher: { customerPayload, pusherMetadata: PUSHER } },
      },
    ],
  ]);
});

for (const [name, payload] of Object.entries({
  'is null': null,
  'is text': 'hello',
  'has no data': { notification: NOTIFICATION },
  'has no data.pusher': { notification: NOTIFICATION, data: {} },
  'has text for data.pusher': { notification: NOTIFICATION, data: { pusher: 'x' } },
})) {
  test(`a push that ${name} is left to other handlers`, async () => {
    let called = false;
    const worker = new Worker({ settings: { onNotificationReceived: () => (called = true) } });

    assert.deepEqual(await worker.push(payload), { shown: [], bodies: [] });
    assert.equal(called, false);
  });
}

for (const [name, data] of Object.entries({
  'no body': null,
  'a body that is no JSON': { json: () => JSON.parse('{') },
})) {
  test(`a push with ${name} is left to other handlers`, async () => {
    assert.deepEqual(await new Worker().dispatch('push', { data }), { shown: [], bodies: [] });
  });
}

for (const notification of [undefined, null, {}, { title: null, body: null }]) {
  test(`a push of data only is shown empty: ${JSON.stringify(notification)}`, async () => {
    const { shown } = await new Worker().push({ notification, data: { pusher: PUSHER } });

    assert.deepEqual([shown[0][0], shown[0][1].body], ['', '']);
  });
}

for (const [wish, focused, isShown] of [
  [true, true, false],
  [true, false, true],
  [false, true, true],
  ['true', true, true],
]) {
  test(`hiding ${JSON.stringify(wish)}, the site has focus ${focused}: shown ${isShown}`, async () => {
    const worker = new Worker();
    worker.windows = [windowAt('https://site.example/', { focused })];
    const notification = { ...NOTIFICATION, hide_notification_if_site_has_focus: wish };

    const { shown, bodies } = await worker.push({ notification, data: { pusher: PUSHER } });

    assert.deepEqual([shown.length === 1, bodies.length], [isShown, 1]);
  });
}

test('a delivery is reported with what the SDK keeps of device and user', async () => {
  const worker = new Worker();
  worker.indexedDB.remember(HELD);

  const { bodies } = await worker.push({ notification: NOTIFICATION, data: { pusher: PUSHER } });

  assert.deepEqual(bodies, [
    {
      publishId: 'pubid-1',
      event: 'delivery',
      deviceId: 'web-1',
      userId: 'alice',
      timestampSecs: 1_700_000_000,
      appInBackground: true,
      hasDisplayableContent: true,
      hasData: false,
    },
  ]);
  const [{ url, method, headers }] = worker.reports;
  assert.deepEqual(
    [url, method, plain(headers)],
    [
      `https://push.example/prefix/reporting_api/v2/instances/${INSTANCE}/events`,
      'POST',
      { 'Content-Type': 'application/json' },
    ],
  );
});

test('a browser that was never started reports null, and gets no database', async () => {
  const worker = new Worker();

  const { bodies } = await worker.push({ notification: NOTIFICATION, data: { pusher: PUSHER } });

  assert.deepEqual([bodies[0].deviceId, bodies[0].userId], [null, null]);
  assert.equal(worker.indexedDB.databases.size, 0);
});

test('a database without the table reports null', async () => {
  const worker = new Worker();
  worker.indexedDB.databases.set(`beams-${INSTANCE}`, new Map());

  const { bodies } = await worker.push({ notification: NOTIFICATION, data: { pusher: PUSHER } });

  assert.deepEqual([bodies[0].deviceId, bodies[0].userId], [null, null]);
});

test('the app is in the foreground if a window of the site is visible', async () => {
  const worker = new Worker();
  worker.windows = [windowAt('https://site.example/', { visibilityState: 'visible' })];

  const { bodies } = await worker.push({ notification: NOTIFICATION, data: { pusher: PUSHER } });

  assert.equal(bodies[0].appInBackground, false);
});

for (const missing of ['instanceId', 'publishId']) {
  test(`a push without ${missing} is shown and not reported`, async () => {
    const pusher = { ...PUSHER, [missing]: undefined };

    const { shown, bodies } = await new Worker().push({
      notification: NOTIFICATION,
      data: { pusher },
    });

    assert.deepEqual([shown.length, bodies.length], [1, 0]);
  });
}

for (const [name, answer] of Object.entries({
  'an error': async () => new Response('{}', { status: 500 }),
  'no answer': async () => Promise.reject(new TypeError('no network')),
})) {
  test(`a report that gets ${name} harms nothing`, async () => {
    const worker = new Worker();
    worker.answer = answer;

    const { shown } = await worker.push({ notification: NOTIFICATION, data: { pusher: PUSHER } });

    assert.equal(shown.length, 1);
  });
}

test('a handler of the site gets the push instead, and it is reported all the same', async () => {
  const worker = new Worker();
  worker.indexedDB.remember(HELD);
  let given;
  worker.self.PusherPushNotifications.onNotificationReceived = (argument) => {
    given = argument;
  };

  const { shown, bodies } = await worker.push({
    notification: NOTIFICATION,
    data: { order: 7, pusher: PUSHER },
  });

  assert.deepEqual([shown.length, bodies.length], [0, 1]);
  assert.deepEqual(plain(given.payload), { notification: NOTIFICATION, data: { order: 7 } });
  assert.equal(typeof given.pushEvent.waitUntil, 'function');
  const { deviceId, userId, publishId } = await given.statePromise;
  assert.deepEqual([deviceId, userId, publishId], ['web-1', 'alice', 'pubid-1']);
});

test('a handler that throws loses no report', async () => {
  const onNotificationReceived = () => {
    throw new Error('a fault of the site');
  };
  const worker = new Worker({ settings: { onNotificationReceived } });

  await assert.rejects(
    worker.push({ notification: NOTIFICATION, data: { pusher: PUSHER } }),
    /fault/,
  );
  while (worker.reports.length === 0) await new Promise(setImmediate);

  assert.equal(worker.reports[0].body.event, 'delivery');
});

test("a site's handler shows what it makes of the push, and is waited for", async () => {
  const onNotificationReceived = async ({ payload, handleNotification }) => {
    await new Promise(setImmediate);
    payload.notification.title = 'Changed';
    await handleNotification(payload);
  };

  const { shown } = await new Worker({ settings: { onNotificationReceived } }).push({
    notification: NOTIFICATION,
    data: { pusher: PUSHER },
  });

  assert.equal(shown[0][0], 'Changed');
  assert.equal(shown[0][1].data.pusher.customerPayload.notification.title, 'Changed');
});

for (const [name, worker, expected] of [
  ['where the file came from', () => new Worker(), 'https://push.example/prefix'],
  [
    "the site's own origin, for a copy with another name",
    () => new Worker({ loadedFrom: 'https://site.example/copy.js' }),
    'https://site.example',
  ],
  [
    'an override from before the import',
    () => new Worker({ settings: { endpointOverride: 'https://other.example/' } }),
    'https://other.example',
  ],
  [
    'an override from after the import',
    () => {
      const made = new Worker();
      made.self.PusherPushNotifications.endpointOverride = 'https://other.example/x';
      return made;
    },
    'https://other.example/x',
  ],
  [
    'where the file came from, though the settings were replaced',
    () => {
      const made = new Worker();
      made.self.PusherPushNotifications = { onNotificationReceived: null };
      return made;
    },
    'https://push.example/prefix',
  ],
]) {
  test(`reports go to ${name}`, async () => {
    const made = worker();

    await made.push({ notification: NOTIFICATION, data: { pusher: PUSHER } });

    const [{ url }] = made.reports;
    assert.equal(url, `${expected}/reporting_api/v2/instances/${INSTANCE}/events`);
  });
}

test('a site may report in its own way', async () => {
  const told = [];
  const reportEvent = ({ eventType, state }) => told.push([eventType, state.publishId]);

  await new Worker({ settings: { reportEvent } }).push({ data: { pusher: PUSHER } });

  assert.deepEqual(told, [['delivery', 'pubid-1']]);
});

test('a click closes the notification and is reported', async () => {
  const worker = new Worker();
  worker.indexedDB.remember(HELD);

  const { bodies, closed } = await worker.click(opened(NOTIFICATION));

  assert.deepEqual([bodies[0].event, bodies[0].deviceId, closed], ['open', 'web-1', 1]);
  assert.deepEqual(worker.opened, []);
});

for (const link of ['https://site.example/orders/7', '/orders/7']) {
  test(`a click opens the deep link ${link} in a new window`, async () => {
    const worker = new Worker();
    const other = windowAt('https://site.example/orders/77');
    worker.windows = [other];

    await worker.click(opened({ ...NOTIFICATION, deep_link: link }));

    assert.deepEqual([worker.opened, other.focusedBy], [['https://site.example/orders/7'], 0]);
  });

  test(`a click focuses the window that shows the deep link ${link}`, async () => {
    const worker = new Worker();
    const there = windowAt('https://site.example/orders/7');
    worker.windows = [windowAt('https://site.example/'), there];

    await worker.click(opened({ ...NOTIFICATION, deep_link: link }));

    assert.deepEqual([worker.opened, there.focusedBy], [[], 1]);
  });
}

test('a deep link that is none is handed to the browser', async () => {
  const worker = new Worker();

  await worker.click(opened({ ...NOTIFICATION, deep_link: 'https://[' }));

  assert.deepEqual(worker.opened, ['https://[']);
});

test('a click on what was pushed as data only is reported', async () => {
  const { bodies, closed } = await new Worker().click(opened(undefined));

  assert.deepEqual([bodies.length, closed], [1, 1]);
});

for (const data of [null, undefined, 'x', {}, { pusher: {} }, { pusher: { pusherMetadata: 1 } }]) {
  test(`a click on another's notification is left alone: ${JSON.stringify(data)}`, async () => {
    assert.deepEqual(await new Worker().click(data), { shown: [], bodies: [], closed: 0 });
  });
}
