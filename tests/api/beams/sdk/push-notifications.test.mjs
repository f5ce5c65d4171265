// The SDK of pages (contract §1.2, §4.12), against a server and a browser in memory.
import assert from 'node:assert/strict';
import { beforeEach, test } from 'node:test';
import { openPage } from './browser.mjs';

const { Client, RegistrationState, RequestError, TokenProvider } = await import(
  `file://${process.env.SDK}/push-notifications.js`
);

const INSTANCE = '1b880590-6301-4bb5-b34f-45db1c5f5644';
const CONFIG = { instanceId: INSTANCE, endpointOverride: 'https://server.example/' };
const YESTERDAY = Date.now() - 25 * 60 * 60 * 1000;

let page, indexedDB, pushManager, server, registration, registered;
beforeEach(() => {
  ({ page, indexedDB, pushManager, server, registration, registered } = openPage());
});

const provider = { fetchToken: async (user) => ({ token: `token-of-${user}` }) };

/** A client that is registered, as alice's if she is to be logged in. */
async function startedClient({ user, interests = [], ...config } = {}) {
  const client = await new Client({ ...CONFIG, ...config }).start();
  if (interests.length) await client.setDeviceInterests(interests);
  if (user) await client.setUserId(user, provider);
  server.calls.length = 0;
  return client;
}

const record = () => indexedDB.record(INSTANCE);
const rewrite = (fields) => indexedDB.remember({ ...record(), ...fields });
const onlyDevice = () => [...server.devices.values()][0];

// --- registering -----------------------------------------------------------------------

test("start registers the browser, and keeps it as npm's SDK does", async () => {
  const client = await new Client(CONFIG).start();

  assert.deepEqual(server.calls, ['GET /web-vapid-public-key', 'POST /devices/web']);
  assert.deepEqual(registered, [['/service-worker.js', { updateViaCache: 'none' }]]);
  const id = await client.getDeviceId();
  const { looked_at: lookedAt, ...kept } = record();
  assert.deepEqual(kept, {
    instance_id: INSTANCE,
    device_id: id,
    token: btoa(JSON.stringify(pushManager.current)),
    user_id: null,
    interests: [],
    last_seen_sdk_version: 'heliograph-1',
    last_seen_user_agent: 'Browser/1.0',
  });
  assert.equal(typeof lookedAt, 'number');
  assert.equal(onlyDevice().token, await client.getToken());
});

test('start asks for permission where nobody has, and nowhere else', async () => {
  page.Notification.permission = 'default';

  await (await new Client(CONFIG).start()).start();

  assert.equal(page.Notification.asked, 1);
});

test("a given service worker is used, and the site's usual one is not asked for", async () => {
  await new Client({ ...CONFIG, serviceWorkerRegistration: registration }).start();

  assert.deepEqual([registered.length, server.devices.size], [0, 1]);
});

test('a second start asks nothing', async () => {
  await startedClient();

  await (await new Client(CONFIG).start()).start();

  assert.deepEqual(server.calls, []);
});

test("what npm's SDK has kept is taken over, and completed by the first start", async () => {
  await startedClient({ user: 'alice', interests: ['a'] });
  const { instance_id, device_id, token, user_id } = record();
  indexedDB.remember({ instance_id, device_id, token, user_id, last_seen_sdk_version: '2.1.0' });

  const client = await new Client(CONFIG).start();

  assert.deepEqual([await client.getDeviceId(), await client.getUserId()], [device_id, 'alice']);
  assert.deepEqual(record().interests, ['a']);
});

test('without an answer the record stays as it was, and start fails', async () => {
  server.breakOn('POST /devices/web');

  const problem = await new Client(CONFIG).start().catch((error) => error);

  assert.ok(problem instanceof RequestError);
  assert.equal(problem.message, 'Unexpected status code 503: Not ready, Wait');
  assert.equal(record().device_id, null);
});

test('an old subscription is not used for a new device', async () => {
  await startedClient({ user: 'alice' });
  indexedDB.databases.clear();

  await new Client(CONFIG).start();

  assert.deepEqual(
    [...server.devices.values()].map((each) => each.user),
    ['Bearer token-of-alice', null],
  );
});

test('a subscription that has changed makes the browser a stranger', async () => {
  const client = await startedClient({ user: 'alice' });
  pushManager.current = null;

  const known = [await client.getDeviceId(), await client.getUserId(), await client.getToken()];

  assert.deepEqual(known, [null, null, null]);
});

for (const [permission, isStarted, state] of [
  ['denied', true, 'PERMISSION_DENIED'],
  ['default', false, 'PERMISSION_PROMPT_REQUIRED'],
  ['granted', false, 'PERMISSION_GRANTED_NOT_REGISTERED_WITH_BEAMS'],
  ['granted', true, 'PERMISSION_GRANTED_REGISTERED_WITH_BEAMS'],
]) {
  test(`permission ${permission}, started ${isStarted}: ${state}`, async () => {
    const client = new Client(CONFIG);
    if (isStarted) await client.start();
    page.Notification.permission = permission;

    assert.equal(await client.getRegistrationState(), RegistrationState[state]);
  });
}

// --- interests ---------------------------------------------------------------------------

test('interests are added, removed, replaced and cleared', async () => {
  const client = await startedClient();

  await client.addDeviceInterest('a;b');
  await client.setDeviceInterests(['x', 'y', 'x']);
  await client.removeDeviceInterest('x');
  const kept = record().interests;
  await client.clearDeviceInterests();

  const device = await client.getDeviceId();
  assert.deepEqual(server.calls, [
    `POST /devices/web/${device}/interests/a%3Bb`,
    `PUT /devices/web/${device}/interests`,
    `DELETE /devices/web/${device}/interests/x`,
    `PUT /devices/web/${device}/interests`,
  ]);
  assert.deepEqual([kept, record().interests, onlyDevice().interests], [['y'], [], []]);
});

test('interests are read page by page', async () => {
  const client = await startedClient({ interests: ['a', 'b', 'c'] });

  const first = await client.getDeviceInterests(2);
  const last = await client.getDeviceInterests(2, first.nextCursor);

  assert.deepEqual(first, { interests: ['a', 'b'], nextCursor: '2' });
  assert.deepEqual(last, { interests: ['c'] });
});

test('calls are made in the order in which they were asked for', async () => {
  const client = await startedClient();

  await Promise.all(['a', 'b', 'c'].map((each) => client.addDeviceInterest(each)));

  assert.deepEqual(
    [onlyDevice().interests, record().interests],
    [
      ['a', 'b', 'c'],
      ['a', 'b', 'c'],
    ],
  );
});

for (const [name, call] of Object.entries({
  addDeviceInterest: (client) => client.addDeviceInterest('a'),
  removeDeviceInterest: (client) => client.removeDeviceInterest('a'),
  getDeviceInterests: (client) => client.getDeviceInterests(),
  setDeviceInterests: (client) => client.setDeviceInterests(['a']),
  clearDeviceInterests: (client) => client.clearDeviceInterests(),
  setUserId: (client) => client.setUserId('alice', provider),
})) {
  test(`${name} needs a start first`, async () => {
    await assert.rejects(call(new Client(CONFIG)), /start/);
    assert.deepEqual(server.calls, []);
  });
}

for (const [name, call, complaint] of [
  ['no interest', (client) => client.addDeviceInterest(), /An interest is a string/],
  ['an empty interest', (client) => client.addDeviceInterest(''), /not empty/],
  ['a forbidden character', (client) => client.removeDeviceInterest('a b'), /"a b" has others/],
  ['165 characters', (client) => client.addDeviceInterest('a'.repeat(165)), /at most 164/],
  ['no array', (client) => client.setDeviceInterests('a'), /an array/],
  ['5001 interests', (client) => client.setDeviceInterests(Array(5001).fill('a')), /at most 5000/],
  ['a user who is no string', (client) => client.setUserId(7, provider), /A user id is a string/],
  ['a user without a name', (client) => client.setUserId('', provider), /not empty/],
]) {
  test(`${name} is refused before anything is asked`, async () => {
    const client = await startedClient();

    await assert.rejects(call(client), complaint);
    assert.deepEqual(server.calls, []);
  });
}

// --- users -------------------------------------------------------------------------------

test('a user is logged in with the token that the provider fetches', async () => {
  const client = await startedClient();

  await client.setUserId('alice', provider);
  await client.setUserId('alice', provider);

  assert.equal(onlyDevice().user, 'Bearer token-of-alice');
  assert.equal(await client.getUserId(), 'alice');
  assert.equal(server.calls.length, 2);
});

test('another user is refused until the browser is cleared', async () => {
  const client = await startedClient({ user: 'alice', interests: ['a'] });
  const first = await client.getDeviceId();

  await assert.rejects(client.setUserId('bob', provider), /Another user is logged in/);
  await client.clearAllState();
  await client.setUserId('bob', provider);

  assert.notEqual(await client.getDeviceId(), first);
  assert.deepEqual([...server.devices.keys()], [await client.getDeviceId()]);
  assert.deepEqual([onlyDevice().user, onlyDevice().interests], ['Bearer token-of-bob', []]);
});

test('a token that cannot be had logs nobody in', async () => {
  const client = await startedClient();
  const broken = { fetchToken: async () => Promise.reject(new Error('who are you?')) };

  await assert.rejects(client.setUserId('alice', broken), /who are you/);

  assert.equal(await client.getUserId(), null);
});

test('stop leaves nothing on the server, in the browser or in the record', async () => {
  const client = await startedClient({ user: 'alice' });

  await client.stop();
  await client.stop();

  assert.deepEqual([server.devices.size, pushManager.current, server.calls.length], [0, null, 1]);
  assert.deepEqual(record(), {
    instance_id: INSTANCE,
    device_id: null,
    token: null,
    user_id: null,
  });
});

for (const [url, expected] of [
  ['/auth', '/auth?user_id=a+b&extra=1'],
  ['/auth?site=2', '/auth?site=2&user_id=a+b&extra=1'],
]) {
  test(`a token provider asks ${url} with the user and its own parameters`, async () => {
    const asked = [];
    globalThis.fetch = async (...request) => {
      asked.push(request);
      return Response.json({ token: 't' });
    };
    const options = {
      url,
      queryParams: { extra: 1 },
      headers: { 'X-Session': 's' },
      credentials: 'include',
    };

    assert.deepEqual(await new TokenProvider(options).fetchToken('a b'), { token: 't' });
    const [[address, { method, headers, credentials }]] = asked;
    assert.deepEqual(
      [address, method, headers, credentials],
      [expected, 'GET', { 'X-Session': 's' }, 'include'],
    );
  });
}

// --- a device that the server has lost -----------------------------------------------------

test('a lost device is registered again with interests and user, and the call repeated', async () => {
  const client = await startedClient({ user: 'alice', interests: ['a', 'b'] });
  const [lost, token] = [await client.getDeviceId(), await client.getToken()];
  server.devices.clear();

  await client.addDeviceInterest('c');

  assert.notEqual(await client.getDeviceId(), lost);
  assert.deepEqual(onlyDevice(), {
    token,
    interests: ['a', 'b', 'c'],
    user: 'Bearer token-of-alice',
  });
  assert.deepEqual([record().interests, record().user_id], [['a', 'b', 'c'], 'alice']);
});

test('start finds a lost device, a day after it last looked', async () => {
  await startedClient({ user: 'alice', interests: ['a'] });
  server.devices.clear();
  rewrite({ looked_at: YESTERDAY });

  const client = await new Client({ ...CONFIG, tokenProvider: provider }).start();

  assert.deepEqual([onlyDevice().interests, onlyDevice().user], [['a'], 'Bearer token-of-alice']);
  assert.equal(await client.getUserId(), 'alice');
  server.calls.length = 0;
  await client.start();
  assert.deepEqual(server.calls, []);
});

test('start learns all interests when it looks', async () => {
  await startedClient();
  onlyDevice().interests = Array.from({ length: 250 }, (_, number) => `i${number}`);
  rewrite({ looked_at: YESTERDAY });

  await new Client(CONFIG).start();

  assert.deepEqual([server.calls.length, record().interests], [3, onlyDevice().interests]);
});

test('start does not mind a server that does not answer its look', async () => {
  await startedClient({ user: 'alice' });
  server.breakOn('GET /devices/web/D/interests?limit=100');
  rewrite({ looked_at: YESTERDAY });

  const client = await new Client(CONFIG).start();

  assert.deepEqual([await client.getUserId(), record().looked_at], ['alice', YESTERDAY]);
});

test('a user for whom there is no token is logged out of a lost device', async () => {
  await startedClient({ user: 'alice', interests: ['a'] });
  server.devices.clear();
  const client = new Client(CONFIG);

  await client.addDeviceInterest('b');

  assert.deepEqual([await client.getUserId(), onlyDevice().user], [null, null]);
  assert.deepEqual(onlyDevice().interests, ['a', 'b']);
});

test('a lost device whose user logs in again is registered on the way', async () => {
  await startedClient({ user: 'alice', interests: ['a'] });
  server.devices.clear();
  const client = new Client(CONFIG);

  await client.setUserId('alice', provider);

  assert.deepEqual(
    [await client.getUserId(), onlyDevice().user],
    ['alice', 'Bearer token-of-alice'],
  );
  assert.deepEqual(onlyDevice().interests, ['a']);
});

test('a registration that was interrupted is finished by the next call', async () => {
  const client = await startedClient({ user: 'alice', interests: ['a'] });
  server.devices.clear();
  server.breakOn('PUT /devices/web/D/interests');
  await assert.rejects(client.addDeviceInterest('b'), /503/);
  server.breakOn(null);

  await client.addDeviceInterest('b');

  assert.deepEqual(
    [onlyDevice().interests, onlyDevice().user],
    [['a', 'b'], 'Bearer token-of-alice'],
  );
  assert.equal(server.devices.size, 1);
});

test('a server with another key gets a subscription of its own, with the interests', async () => {
  const client = await startedClient({ interests: ['a'] });
  const before = await client.getToken();
  server.devices.clear();
  server.vapidPublicKey = 'BBBB';

  await client.addDeviceInterest('b');

  assert.notEqual(await client.getToken(), before);
  assert.deepEqual(
    [onlyDevice().token, onlyDevice().interests],
    [await client.getToken(), ['a', 'b']],
  );
});

test('what is not there for another reason is told as it is', async () => {
  const client = await startedClient({ interests: ['a'] });
  globalThis.fetch = async () => new Response('<h1>Not found</h1>', { status: 404 });

  await assert.rejects(client.addDeviceInterest('b'), {
    message: 'Unexpected status code 404: Unknown error, No description',
    status: 404,
  });
  assert.deepEqual(record().interests, ['a']);
});

// --- where it cannot work ------------------------------------------------------------------

for (const [name, config, change, complaint] of [
  ['no config', undefined, () => {}, /instanceId/],
  ['an instance id that is no string', { instanceId: 7 }, () => {}, /instanceId/],
  ['an empty instance id', { instanceId: '' }, () => {}, /instanceId/],
  [
    'an insecure page',
    CONFIG,
    () => (page.window.isSecureContext = false),
    /https, or from localhost/,
  ],
  ['no IndexedDB', CONFIG, () => delete page.window.indexedDB, /no IndexedDB/],
  ['no notifications', CONFIG, () => delete page.window.Notification, /no notifications/],
  ['no web push', CONFIG, () => delete page.window.PushManager, /no web push/],
  ['no service workers', CONFIG, () => delete navigator.serviceWorker, /no service workers/],
  [
    "another page's service worker",
    { ...CONFIG, serviceWorkerRegistration: { scope: 'https://site.example/else/' } },
    () => {},
    /not in the scope/,
  ],
]) {
  test(`${name}: the client is not made, and says why`, () => {
    page.window = globalThis.window;
    change();

    assert.throws(() => new Client(config), complaint);
  });
}

test('a service worker that is missing is told by the first call', async () => {
  navigator.serviceWorker.register = async () => Promise.reject(new TypeError('no such script'));

  await assert.rejects(new Client(CONFIG).start(), /no such script/);
});
