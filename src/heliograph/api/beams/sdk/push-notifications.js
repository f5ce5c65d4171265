/**
 * Heliograph's SDK for web pages: it registers a browser, its interests, and who is logged in.
 *
 * It has the methods and options of npm's `@pusher/push-notifications-web` 2.1 and keeps the same
 * state, so a site can change from one to the other. What it does besides:
 *
 * - Its server is the one that this file was loaded from, unless `endpointOverride` says else.
 * - A browser that the server has lost is registered again, with its interests, and with its user
 *   if a token provider is known. It is found at any call, and `start` looks once a day.
 * - `start` asks for permission before anything else, while the click that led to it still counts.
 * - Calls are made one after another, in the order in which they were asked for.
 *
 *     import { Client, TokenProvider } from 'https://push.example.com/sdk/push-notifications.js';
 *     const client = new Client({ instanceId: '…' });
 *     await client.start();
 *     await client.setUserId('user-001', new TokenProvider({ url: '/pusher/beams-auth' }));
 */
import { checkConfig, checkInterest, checkInterests, checkUserId } from './checks.js';
import { Device } from './device.js';
import { RequestError, TokenProvider } from './requests.js';

export { RequestError, TokenProvider };

export const RegistrationState = Object.freeze({
  PERMISSION_PROMPT_REQUIRED: 'PERMISSION_PROMPT_REQUIRED',
  PERMISSION_GRANTED_NOT_REGISTERED_WITH_BEAMS: 'PERMISSION_GRANTED_NOT_REGISTERED_WITH_BEAMS',
  PERMISSION_GRANTED_REGISTERED_WITH_BEAMS: 'PERMISSION_GRANTED_REGISTERED_WITH_BEAMS',
  PERMISSION_DENIED: 'PERMISSION_DENIED',
});

const HOME = new URL('..', import.meta.url).href;

/** A browser, as one instance knows it. */
export class Client {
  #device;
  #turn = Promise.resolve();

  /**
   * @param {{
   *   instanceId: string,
   *   endpointOverride?: string,
   *   serviceWorkerRegistration?: ServiceWorkerRegistration,
   *   tokenProvider?: { fetchToken(userId: string): Promise<{ token: string }> },
   * }} config `tokenProvider`, which npm's SDK does not have, lets `start` log a user in again.
   * @throws {Error} The config is wrong, or the browser has no web push.
   */
  constructor(config) {
    checkConfig(config);
    const { instanceId, endpointOverride, serviceWorkerRegistration, tokenProvider } = config;
    this.instanceId = instanceId;
    this.#device = new Device(instanceId, endpointOverride ?? HOME, serviceWorkerRegistration);
    this.#device.tokenProvider = tokenProvider ?? null;
  }

  /** Register this browser, asking the person for permission if need be. */
  async start() {
    if (Notification.permission === 'default') await Notification.requestPermission();
    return this.#inTurn(async (record) => {
      if (record.device_id === null) await this.#device.register();
      else await this.#device.look();
      return this;
    });
  }

  /** @returns {Promise<string | null>} */
  async getDeviceId() {
    return this.#inTurn((record) => record.device_id);
  }

  /** @returns {Promise<string | null>} The push subscription, as the server is told it. */
  async getToken() {
    return this.#inTurn((record) => record.token);
  }

  /** @returns {Promise<string | null>} */
  async getUserId() {
    return this.#inTurn((record) => record.user_id);
  }

  /** @returns {Promise<string>} One of `RegistrationState`. */
  async getRegistrationState() {
    return this.#inTurn(({ device_id: device }) => {
      if (Notification.permission === 'denied') return RegistrationState.PERMISSION_DENIED;
      if (Notification.permission !== 'granted') {
        return RegistrationState.PERMISSION_PROMPT_REQUIRED;
      }
      return device === null
        ? RegistrationState.PERMISSION_GRANTED_NOT_REGISTERED_WITH_BEAMS
        : RegistrationState.PERMISSION_GRANTED_REGISTERED_WITH_BEAMS;
    });
  }

  /** @param {string} interest */
  async addDeviceInterest(interest) {
    checkInterest(interest);
    await this.#inTurn(async () => {
      await this.#device.ask('POST', `/interests/${encodeURIComponent(interest)}`);
      await this.#device.noteInterests((known) => [...new Set([...known, interest])]);
    });
  }

  /** @param {string} interest */
  async removeDeviceInterest(interest) {
    checkInterest(interest);
    await this.#inTurn(async () => {
      await this.#device.ask('DELETE', `/interests/${encodeURIComponent(interest)}`);
      await this.#device.noteInterests((known) => known.filter((each) => each !== interest));
    });
  }

  /**
   * A page of the interests, in ascending order.
   * @returns {Promise<{ interests: string[], nextCursor?: string }>}
   */
  async getDeviceInterests(limit = 100, cursor = null) {
    return this.#inTurn(() => this.#device.interests(limit, cursor));
  }

  /** @param {string[]} interests They replace all others. */
  async setDeviceInterests(interests) {
    checkInterests(interests);
    const unique = [...new Set(interests)];
    await this.#inTurn(async () => {
      await this.#device.ask('PUT', '/interests', { body: { interests: unique } });
      await this.#device.record.change({ interests: unique });
    });
  }

  async clearDeviceInterests() {
    await this.setDeviceInterests([]);
  }

  /**
   * Log somebody in on this browser; saying it at every visit does no harm.
   * @param {string} userId
   * @param {{ fetchToken(userId: string): Promise<{ token: string }> }} tokenProvider It must not
   *   call this client, whose turn it is part of.
   * @throws {Error} Somebody else is logged in: `clearAllState` first.
   */
  async setUserId(userId, tokenProvider) {
    checkUserId(userId);
    await this.#inTurn(async (record) => {
      if (record.device_id === null) throw new Error('Call start before setUserId');
      if (record.user_id !== null && record.user_id !== userId) {
        throw new Error('Another user is logged in on this browser: call clearAllState first');
      }
      this.#device.tokenProvider = tokenProvider;
      await this.#device.logIn(userId);
    });
  }

  /** Leave: nothing is pushed to this browser any more. */
  async stop() {
    await this.#inTurn(() => this.#device.unregister());
  }

  /** Log out: a new registration, without user and interests. */
  async clearAllState() {
    await this.#inTurn(async () => {
      await this.#device.unregister();
      await this.#device.register();
    });
  }

  /** What an action returns, once those before it are over; it is given the record. */
  #inTurn(action) {
    const turn = this.#turn.then(async () => action(await this.#device.current()));
    this.#turn = turn.catch(() => {});
    return turn;
  }
}
