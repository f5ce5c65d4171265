// Calls methods of Pusher's server SDK, one after another, in one process.
// In: {options, calls: [[method, ...arguments]]}; out: [{value}, {error} or {token}], one for each call.
import { readFileSync } from 'node:fs';
import PushNotifications from '@pusher/push-notifications-server';

const { options, calls } = JSON.parse(readFileSync(0, 'utf8'));
const client = new PushNotifications(options);
const answers = [];
for (const [method, ...given] of calls) {
  try {
    answers.push({ value: (await client[method](...given)) ?? null });
  } catch (problem) {
    answers.push({ error: problem.message });
  }
}
console.log(JSON.stringify(answers));
