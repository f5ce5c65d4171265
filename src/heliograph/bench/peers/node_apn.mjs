// @parse/node-apn, as its page has it: one notification, sent to a list of devices, 500 at a time
// (Node's HTTP/2 refuses thousands of streams at once).
// Packages are found by NODE_PATH, which only CommonJS's require knows.
import { createRequire } from 'node:module';
import { measure, task, tokens } from './meter.mjs';

const apn = createRequire(import.meta.url)('@parse/node-apn');

const { hostname, port } = new URL(task.origin);
const provider = new apn.Provider({
  token: { key: task.key_pem, keyId: 'ABCDE12345', teamId: 'FGHIJ67890' },
  address: hostname,
  port: Number(port),
});
const notification = new apn.Notification({ rawPayload: JSON.parse(task.body) });
Object.assign(notification, { topic: task.topic, pushType: 'alert', priority: 10, expiry: 0 });

async function send(devices) {
  const { sent, failed } = await provider.send(notification, devices);
  if (sent.length !== devices.length) throw new Error(JSON.stringify(failed[0]));
}

await send(tokens.slice(0, 1));
await measure(async () => {
  for (let at = 1; at < tokens.length; at += task.streams) {
    await send(tokens.slice(at, at + task.streams));
  }
});
process.exit();
