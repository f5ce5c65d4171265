// Pushes with web-push. In: a list of {subscription, payload, options};
// out: for each {statusCode, body, headers}, or {error} if nothing was sent.
import { readFileSync } from 'node:fs';
import webPush from 'web-push';

const answers = [];
for (const { subscription, payload, options } of JSON.parse(readFileSync(0, 'utf8'))) {
  try {
    answers.push(await webPush.sendNotification(subscription, payload, options));
  } catch (error) {
    const { statusCode, body, headers, message } = error;
    answers.push(statusCode ? { statusCode, body, headers } : { error: message });
  }
}
console.log(JSON.stringify(answers));
