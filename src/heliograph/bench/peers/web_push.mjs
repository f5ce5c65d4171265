// npm's web-push, as its page has it: sendNotification for each, a hundred under way at once.
// Packages are found by NODE_PATH, which only CommonJS's require knows.
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { measure, task, tokens } from './meter.mjs';

const webPush = createRequire(import.meta.url)('web-push');

webPush.setVapidDetails(task.subject, task.vapid_public, task.vapid_private);
const keys = JSON.parse(readFileSync(task.browsers_file, 'utf8'));
const subscriptions = tokens.map((token, number) => ({
  endpoint: task.origin + task.path.replace('%TOKEN%', token),
  keys: keys[number],
}));

async function sendAll(waiting) {
  const rest = waiting.values();
  const workers = Array.from({ length: 100 }, async () => {
    for (const subscription of rest) await webPush.sendNotification(subscription, task.body);
  });
  await Promise.all(workers);
}

await sendAll(subscriptions.slice(0, 1));
await measure(() => sendAll(subscriptions.slice(1)));
process.exit();
