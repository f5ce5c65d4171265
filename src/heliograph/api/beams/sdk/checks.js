/** What an SDK's caller may say; each check throws an `Error` that says what is wrong. */

const MAX_INTERESTS = 5000;
const MAX_INTEREST_LENGTH = 164;
const INTEREST = /^[A-Za-z0-9_\-=@,.;]*$/;

/** The options of a client, and whether this browser and page can do web push at all. */
export function checkConfig(config) {
  const { instanceId, serviceWorkerRegistration } = config ?? {};
  if (typeof instanceId !== 'string' || instanceId === '') {
    throw new Error('A client needs an instanceId, a string that is not empty');
  }
  if (!window.isSecureContext) {
    throw new Error('Web push needs a page from https, or from localhost');
  }
  const missing = [
    ['IndexedDB', 'indexedDB' in window],
    ['service workers', 'serviceWorker' in navigator],
    ['notifications', 'Notification' in window],
    ['web push', 'PushManager' in window],
  ].filter(([, isThere]) => !isThere);
  if (missing.length > 0) throw new Error(`This browser has no ${missing[0][0]} here`);
  const { scope } = serviceWorkerRegistration ?? {};
  if (scope !== undefined && !window.location.href.startsWith(scope)) {
    throw new Error(`This page is not in the scope of the service worker, ${scope}`);
  }
}

/** One interest: 1 to 164 of the characters that the server takes. */
export function checkInterest(interest) {
  if (typeof interest !== 'string' || interest === '') {
    throw new Error('An interest is a string that is not empty');
  }
  if (!INTEREST.test(interest)) {
    throw new Error(`An interest has letters, digits and _-=@,.; only: "${interest}" has others`);
  }
  if (interest.length > MAX_INTEREST_LENGTH) {
    throw new Error(`An interest has at most ${MAX_INTEREST_LENGTH} characters`);
  }
}

/** A list of interests. */
export function checkInterests(interests) {
  if (!Array.isArray(interests)) throw new Error('Interests are an array');
  if (interests.length > MAX_INTERESTS) {
    throw new Error(`A device has at most ${MAX_INTERESTS} interests`);
  }
  interests.forEach(checkInterest);
}

/** Somebody's name. */
export function checkUserId(userId) {
  if (typeof userId !== 'string' || userId === '') {
    throw new Error('A user id is a string that is not empty');
  }
}
