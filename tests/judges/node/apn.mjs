// Sends one notification with node-apn. In: {provider, notification, devices}; out: {sent, failed}.
import { readFileSync } from 'node:fs';
import apn from '@parse/node-apn';

const given = JSON.parse(readFileSync(0, 'utf8'));
const provider = new apn.Provider(given.provider);
const notification = Object.assign(new apn.Notification(), given.notification);
const { sent, failed } = await provider.send(notification, given.devices);
provider.shutdown();
console.log(
  JSON.stringify({ sent, failed: failed.map(each => ({ ...each, error: each.error?.message })) }),
);
