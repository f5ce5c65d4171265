// Firefox's own protocol for tests. In: [0, number, command, parameters]; out: [1, number, error,
// result]; each as JSON after its length in bytes and a colon.
import { connect } from 'node:net';

export class Marionette {
  #socket;
  #received = Buffer.alloc(0);
  #asked = 0;
  #waiting = new Map();

  constructor(port) {
    this.#socket = connect(port, '127.0.0.1');
    this.#socket.on('data', (bytes) => this.#receive(bytes));
    this.#socket.on('close', () => {
      for (const { reject } of this.#waiting.values()) reject(new Error('Firefox hung up'));
    });
  }

  /** What a command answers. */
  ask(command, parameters = {}) {
    this.#asked += 1;
    const message = Buffer.from(JSON.stringify([0, this.#asked, command, parameters]));
    this.#socket.write(Buffer.concat([Buffer.from(`${message.length}:`), message]));
    return new Promise((resolve, reject) => this.#waiting.set(this.#asked, { resolve, reject }));
  }

  #receive(bytes) {
    this.#received = Buffer.concat([this.#received, bytes]);
    for (;;) {
      const colon = this.#received.indexOf(':');
      const end = colon + 1 + Number(this.#received.subarray(0, Math.max(colon, 0)));
      if (colon < 0 || this.#received.length < end) return;
      const message = JSON.parse(this.#received.subarray(colon + 1, end));
      this.#received = this.#received.subarray(end);
      if (Array.isArray(message)) this.#settle(message); // what is none is the greeting
    }
  }

  #settle([, number, error, result]) {
    const { resolve, reject } = this.#waiting.get(number);
    this.#waiting.delete(number);
    if (error) reject(new Error(`${error.error}: ${error.message}`));
    else resolve(result);
  }
}
