// Encrypts and decrypts with http_ece. In: a list of {operation, body, browser, sender, auth, rs},
// bytes as base64url and keys as scalars; out: the list of results, as base64url.
import { createECDH } from 'node:crypto';
import { readFileSync } from 'node:fs';
import ece from 'http_ece';

function keyPair(scalar) {
  const pair = createECDH('prime256v1');
  pair.setPrivateKey(scalar, 'base64url');
  return pair;
}

function result({ operation, body, browser, sender, auth, rs }) {
  const content = Buffer.from(body, 'base64url');
  const common = { version: 'aes128gcm', authSecret: auth };
  if (operation === 'decrypt') {
    return ece.decrypt(content, { ...common, privateKey: keyPair(browser) });
  }
  const dh = keyPair(browser).getPublicKey('base64url');
  return ece.encrypt(content, { ...common, privateKey: keyPair(sender), dh, rs });
}

const tasks = JSON.parse(readFileSync(0, 'utf8'));
console.log(JSON.stringify(tasks.map(task => result(task).toString('base64url'))));
