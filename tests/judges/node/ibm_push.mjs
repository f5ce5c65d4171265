// Calls methods of IBM's server SDK, one after another, in one process.
// In: {host, guid, secret, hasKey, calls}; a call is ["send", sketch], ["sendBulk", [sketches]] or
// ["getAuthToken"]; a sketch is {message, target, settings}, each the builders' methods with
// what they are given. Out: [{error}, {status, body} or {has, token}], one for each call.
import { createRequire } from 'node:module';
import { readFileSync } from 'node:fs';

const { PushNotifications, PushNotificationsWithApiKey, Notification, PushMessageBuilder } =
  createRequire(import.meta.url)('ibm-push-notifications');

const { host, guid, secret, hasKey, calls } = JSON.parse(readFileSync(0, 'utf8'));
PushNotifications.overrideServerHost = host;
const Client = hasKey ? PushNotificationsWithApiKey : PushNotifications;
const client = new Client(PushNotifications.Region.US_SOUTH, guid, secret);

const BLOCKS = {
  apns: 'APNs',
  fcm: 'FCM',
  chromeWeb: 'ChromeWeb',
  firefoxWeb: 'FirefoxWeb',
  safariWeb: 'SafariWeb',
  chromeAppExt: 'ChromeAppExt',
  lights: 'FCMLights',
  style: 'FCMStyle',
};

function built(name, given) {
  const builder = PushMessageBuilder[name];
  for (const [method, value] of Object.entries(given)) {
    const isBlock = method in BLOCKS;
    builder[method](isBlock ? built(BLOCKS[method], value) : value);
  }
  return builder.build();
}

function notification({ message, target, settings }) {
  Notification.message(built('Message', message));
  if (target) Notification.target(built('Target', target));
  if (settings) Notification.settings(built('Settings', settings));
  return Notification.build();
}

// Builders are one object for the whole process, so that two messages at once have to be copied.
const copied = (sketch) => ({ json: structuredClone(notification(sketch).json) });

const given = { send: notification, sendBulk: (sketches) => sketches.map(copied) };

function call(method, argument) {
  return new Promise((resolve) => {
    if (method === 'getAuthToken') {
      client.getAuthToken((has, token) => resolve({ has, token }));
      return;
    }
    client[method](given[method](argument), (error, response, body) =>
      resolve(error ? { error: error.message } : { status: response.statusCode, body: JSON.parse(body) }),
    );
  });
}

const answers = [];
for (const [method, argument] of calls) answers.push(await call(method, argument));
console.log(JSON.stringify(answers));
