/**
 * What a site's pages and its service worker remember of this browser, in IndexedDB.
 *
 * It is where and as npm's SDK keeps it, so that a site can change from one SDK to the other:
 * database `beams-{instanceId}`, table `beams`, one record with the key `instance_id`.
 */

/**
 * @typedef {object} DeviceRecord
 * @property {string} instance_id
 * @property {string | null} device_id What the server calls this browser; null before `start`.
 * @property {string | null} token The push subscription for which that holds.
 * @property {string | null} user_id Who is logged in.
 * @property {string} [last_seen_sdk_version]
 * @property {string} [last_seen_user_agent]
 * @property {string[]} [interests] Ours: what the server last said; absent if it was never asked.
 * @property {number} [looked_at] Ours: when it was, in milliseconds since 1970.
 */

const TABLE = 'beams';

/** The record of one instance; each call looks, because other tabs change it too. */
export class DeviceRecordStore {
  #instanceId;
  #database = null;

  /** @param {string} instanceId */
  constructor(instanceId) {
    this.#instanceId = instanceId;
  }

  /** @returns {Promise<DeviceRecord>} */
  async read() {
    const table = await this.#table('readonly');
    return (await settled(table.get(this.#instanceId))) ?? this.#empty();
  }

  /**
   * Change some fields, in one transaction with reading the others.
   * @param {Partial<DeviceRecord>} fields
   * @returns {Promise<DeviceRecord>} The record as it is now.
   */
  async change(fields) {
    const table = await this.#table('readwrite');
    const record = (await settled(table.get(this.#instanceId))) ?? this.#empty();
    const changed = { ...record, ...fields };
    await settled(table.put(changed));
    return changed;
  }

  /**
   * Forget everything.
   * @returns {Promise<DeviceRecord>} The empty record.
   */
  async clear() {
    const table = await this.#table('readwrite');
    await settled(table.put(this.#empty()));
    return this.#empty();
  }

  #empty() {
    return { instance_id: this.#instanceId, device_id: null, token: null, user_id: null };
  }

  async #table(mode) {
    this.#database ??= open(`beams-${this.#instanceId}`);
    return (await this.#database).transaction(TABLE, mode).objectStore(TABLE);
  }
}

function open(name) {
  const opening = indexedDB.open(name);
  opening.onupgradeneeded = () =>
    opening.result.createObjectStore(TABLE, { keyPath: 'instance_id' });
  return settled(opening);
}

const settled = (request) =>
  new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
