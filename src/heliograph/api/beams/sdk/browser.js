/** The browser's side: the site's service worker, and the subscription to its push service. */

const WORKER_URL = '/service-worker.js';

/**
 * The service worker that shows what is pushed: the caller's own, or the site's usual one.
 * @param {ServiceWorkerRegistration} [given]
 * @returns {Promise<ServiceWorkerRegistration>} Once a worker is active.
 */
export async function registeredWorker(given) {
  if (!given) await navigator.serviceWorker.register(WORKER_URL, { updateViaCache: 'none' });
  const ready = await navigator.serviceWorker.ready;
  return given ?? ready;
}

/** The subscription as the server is told it; null if there is none. */
export async function currentToken(registration) {
  const subscription = await registration.pushManager.getSubscription();
  return subscription && tokenOf(subscription);
}

/**
 * A subscription that the holder of this key may push to, new unless there is one already.
 * @param {ServiceWorkerRegistration} registration
 * @param {string} publicKey base64url of a point of P-256 (RFC 8292 §3.2).
 * @returns {Promise<string>}
 */
export async function subscribed(registration, publicKey) {
  const applicationServerKey = bytesOf(publicKey);
  const existing = await registration.pushManager.getSubscription();
  if (existing && isFor(existing, applicationServerKey)) return tokenOf(existing);
  await existing?.unsubscribe(); // a browser refuses a second key beside the first
  const options = { userVisibleOnly: true, applicationServerKey };
  return tokenOf(await registration.pushManager.subscribe(options));
}

/** End the subscription if there is one; the server has forgotten it in any case. */
export async function unsubscribe(registration) {
  const subscription = await registration.pushManager.getSubscription();
  await subscription?.unsubscribe().catch(() => {});
}

const tokenOf = (subscription) => btoa(JSON.stringify(subscription));

function isFor(subscription, key) {
  const other = new Uint8Array(subscription.options?.applicationServerKey ?? []);
  return other.length === key.length && other.every((byte, index) => byte === key[index]);
}

function bytesOf(base64url) {
  const text = atob(base64url.replaceAll('-', '+').replaceAll('_', '/'));
  return Uint8Array.from(text, (character) => character.charCodeAt(0));
}
