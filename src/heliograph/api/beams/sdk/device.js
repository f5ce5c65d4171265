/** This browser's registration: what the server is told of it, and what is remembered of that. */
import { currentToken, registeredWorker, subscribed, unsubscribe } from './browser.js';
import { DeviceRecordStore } from './device-record.js';
import { RequestError, request } from './requests.js';

const SDK_VERSION = 'heliograph-1';
const LOOK_EVERY_MS = 24 * 60 * 60 * 1000;
const PAGE_OF_INTERESTS = 100;

export class Device {
  /** Where tokens for the user come from; null as long as nobody said. */
  tokenProvider = null;
  #base;
  #worker;

  /**
   * @param {string} instanceId
   * @param {string} endpoint The server's base URL.
   * @param {ServiceWorkerRegistration} [worker] The site's usual one unless given.
   */
  constructor(instanceId, endpoint, worker) {
    const instance = encodeURIComponent(instanceId);
    this.#base = `${endpoint.replace(/\/+$/, '')}/device_api/v1/instances/${instance}`;
    this.record = new DeviceRecordStore(instanceId);
    this.#worker = registeredWorker(worker);
    this.#worker.catch(() => {}); // whoever needs it first throws it
  }

  /** The record, emptied first if the browser's subscription is not the one it speaks of. */
  async current() {
    const token = await currentToken(await this.#worker);
    const record = await this.record.read();
    return record.token === token ? record : this.record.clear();
  }

  /** Become a new device. An old subscription would be an old device, with the user of then. */
  async register() {
    await unsubscribe(await this.#worker);
    await this.record.change(await this.#registered());
  }

  /** Be a device no more: server, record and subscription forget it. */
  async unregister() {
    const { device_id: id } = await this.record.read();
    if (id === null) return;
    await request('DELETE', this.#url(id, ''));
    await this.record.clear();
    await unsubscribe(await this.#worker);
  }

  /** Ask something of the server; if it has lost this device, register it again and repeat. */
  async ask(method, path, options) {
    const record = await this.record.read();
    if (record.device_id === null) throw new Error('Not registered: call start first');
    try {
      return await request(method, this.#url(record.device_id, path), options);
    } catch (problem) {
      if (!(problem instanceof RequestError && problem.saysDeviceIsLost)) throw problem;
      const { device_id: id } = await this.#recover(record);
      return request(method, this.#url(id, path), options);
    }
  }

  /** Log in the user for whom the token provider vouches. */
  async logIn(userId) {
    await this.ask('PUT', '/user', { headers: await this.#authorization(userId) });
    await this.record.change({ user_id: userId });
  }

  /** A page of interests, and where the next begins if there is one. */
  async interests(limit, cursor) {
    const query = new URLSearchParams({ limit, ...(cursor === null ? {} : { cursor }) });
    const answer = await this.ask('GET', `/interests?${query}`);
    return { interests: answer?.interests ?? [], ...answer?.responseMetadata };
  }

  /** Keep in step with the server what it would be told again. */
  async noteInterests(change) {
    const { interests } = await this.record.read();
    if (interests !== undefined) await this.record.change({ interests: change(interests) });
  }

  /** See once a day whether the server still knows this device, and what its interests are. */
  async look() {
    const { looked_at: lookedAt = 0 } = await this.record.read();
    if (Date.now() - lookedAt < LOOK_EVERY_MS) return;
    try {
      const interests = [];
      let cursor = null;
      do {
        const page = await this.interests(PAGE_OF_INTERESTS, cursor);
        interests.push(...page.interests);
        cursor = page.nextCursor ?? null;
      } while (cursor !== null);
      await this.record.change({ interests, looked_at: Date.now() });
    } catch {
      // It is registered as far as anybody knows; the next start looks again.
    }
  }

  /** What a record says of a browser that has just been registered. */
  async #registered() {
    const { vapidPublicKey } = await request('GET', `${this.#base}/web-vapid-public-key`);
    const token = await subscribed(await this.#worker, vapidPublicKey);
    await this.record.change({ token }); // a subscription that it does not speak of empties it
    const { id, initialInterestSet } = await request('POST', `${this.#base}/devices/web`, {
      body: { token, metadata: { sdkVersion: SDK_VERSION } },
    });
    return {
      device_id: id,
      interests: initialInterestSet ?? [],
      looked_at: Date.now(),
      last_seen_sdk_version: SDK_VERSION,
      last_seen_user_agent: navigator.userAgent,
    };
  }

  /**
   * Register a lost device again. The record is changed only when it is whole: until then it
   * counts as lost, and the next call tries again. A user for whom there is no token is logged out.
   */
  async #recover({ interests, user_id: user }) {
    const record = await this.#registered();
    if (interests?.length) {
      const body = { interests };
      await request('PUT', this.#url(record.device_id, '/interests'), { body });
      record.interests = interests;
    }
    const isLoggedIn = user !== null && (await this.#logInAgain(record.device_id, user));
    return this.record.change({ ...record, user_id: isLoggedIn ? user : null });
  }

  async #logInAgain(id, user) {
    if (this.tokenProvider === null) return false;
    try {
      const headers = await this.#authorization(user);
      await request('PUT', this.#url(id, '/user'), { headers });
      return true;
    } catch {
      return false; // the site logs them in at its next visit
    }
  }

  async #authorization(userId) {
    const { token } = await this.tokenProvider.fetchToken(userId);
    return { Authorization: `Bearer ${token}` };
  }

  #url(id, path) {
    return `${this.#base}/devices/web/${encodeURIComponent(id)}${path}`;
  }
}
