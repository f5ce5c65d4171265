// As much of a browser as the SDK's files touch, with everything in memory.

/** IndexedDB: databases of tables of records, by name. */
export class IndexedDb {
  /** @type {Map<string, Map<string, Map<string, object>>>} */
  databases = new Map();

  open(name) {
    const request = {};
    setImmediate(() => this.#answer(request, name));
    return request;
  }

  /** The one record of an instance; undefined if there is none. */
  record(instance) {
    return this.databases.get(`beams-${instance}`)?.get('beams')?.get(instance);
  }

  /** Have a record, as if it had been written earlier. */
  remember(record) {
    const table = new Map([[record.instance_id, record]]);
    this.databases.set(`beams-${record.instance_id}`, new Map([['beams', table]]));
  }

  #answer(request, name) {
    const isNew = !this.databases.has(name);
    const tables = this.databases.get(name) ?? new Map();
    request.result = databaseOf(tables);
    let isAborted = false;
    request.transaction = { abort: () => (isAborted = true) };
    if (isNew) request.onupgradeneeded?.({ target: request });
    if (isAborted) {
      request.error = new Error('AbortError');
      request.onerror?.({ target: request });
      return;
    }
    this.databases.set(name, tables);
    request.onsuccess?.({ target: request });
  }
}

function databaseOf(tables) {
  return {
    close() {},
    createObjectStore: (name) => tables.set(name, new Map()),
    transaction: () => ({
      objectStore(name) {
        if (!tables.has(name)) throw new Error('NotFoundError');
        const records = tables.get(name);
        return {
          get: (key) => done(structuredClone(records.get(key))),
          put: (record) => done(records.set(record.instance_id, structuredClone(record))),
        };
      },
    }),
  };
}

function done(result) {
  const request = { result };
  setImmediate(() => request.onsuccess({ target: request }));
  return request;
}

/** A push manager with at most one subscription; each new one has another endpoint. */
export class PushManager {
  current = null;
  #made = 0;

  async getSubscription() {
    return this.current;
  }

  async subscribe({ applicationServerKey }) {
    const endpoint = `https://push.example/${(this.#made += 1)}`;
    this.current = {
      options: { applicationServerKey: applicationServerKey.buffer },
      toJSON: () => ({ endpoint, expirationTime: null, keys: { p256dh: 'p', auth: 'a' } }),
      unsubscribe: async () => (this.current = null),
    };
    return this.current;
  }
}

/** The device API of one instance, and whatever else a page fetches; it knows who called what. */
export class Server {
  devices = new Map();
  calls = [];
  vapidPublicKey = 'BAAA';
  #broken = null;
  #made = 0;

  /** Answer this call 503, until it is null. */
  breakOn(call) {
    this.#broken = call;
  }

  fetch = async (url, { method = 'GET', body, headers } = {}) => {
    const path = url.replace(/^https:\/\/server\.example\/device_api\/v1\/instances\/[^/]+/, '');
    this.calls.push(`${method} ${path}`);
    if (`${method} ${path.replace(/web-\d+/, 'D')}` === this.#broken) {
      return Response.json({ error: 'Not ready', description: 'Wait' }, { status: 503 });
    }
    return this.#answer(method, path, body && JSON.parse(body), headers);
  };

  #answer(method, path, body, headers) {
    if (path === '/web-vapid-public-key')
      return Response.json({ vapidPublicKey: this.vapidPublicKey });
    if (path === '/devices/web') return Response.json(this.#register(body.token));
    const [, , , id, what, interest] = path.split(/[/?]/);
    const device = this.devices.get(id);
    if (method === 'DELETE' && what === undefined) {
      this.devices.delete(id);
      return new Response(null, { status: 200 });
    }
    if (!device) {
      const problem = { error: 'Not found', description: 'Device not found' };
      return Response.json(problem, { status: 404 });
    }
    if (what === 'user') device.user = headers.Authorization;
    else if (method === 'PUT') device.interests = body.interests;
    else if (method === 'POST') device.interests.push(decodeURIComponent(interest));
    else if (method === 'DELETE')
      device.interests = device.interests.filter((each) => each !== interest);
    else return Response.json(pageOf(device.interests, new URLSearchParams(path.split('?')[1])));
    return new Response(null, { status: 200 });
  }

  #register(token) {
    for (const [id, device] of this.devices) {
      if (device.token === token) return { id, initialInterestSet: device.interests };
    }
    const id = `web-${(this.#made += 1)}`;
    this.devices.set(id, { token, interests: [], user: null });
    return { id, initialInterestSet: [] };
  }
}

function pageOf(interests, query) {
  const [from, limit] = [Number(query.get('cursor') ?? 0), Number(query.get('limit'))];
  const isLast = from + limit >= interests.length;
  const responseMetadata = isLast ? {} : { nextCursor: String(from + limit) };
  return { interests: interests.slice(from, from + limit), responseMetadata };
}

/** Make this process look like a page at https://site.example. */
export function openPage() {
  const [indexedDB, pushManager, server] = [new IndexedDb(), new PushManager(), new Server()];
  const registration = { scope: 'https://site.example/', pushManager };
  const registered = [];
  const serviceWorker = {
    register: async (...worker) => registered.push(worker),
    ready: Promise.resolve(registration),
  };
  const browser = { serviceWorker, userAgent: 'Browser/1.0' };
  const page = {
    indexedDB,
    isSecureContext: true,
    location: { href: 'https://site.example/chat' },
    Notification: { permission: 'granted', asked: 0 },
    PushManager: class {},
  };
  page.Notification.requestPermission = async () => {
    page.Notification.asked += 1;
    page.Notification.permission = 'granted';
  };
  const globals = { ...page, window: page, fetch: server.fetch, navigator: browser };
  for (const [name, value] of Object.entries(globals)) {
    Object.defineProperty(globalThis, name, { value, configurable: true, writable: true });
  }
  return { page, indexedDB, pushManager, server, registration, registered };
}
