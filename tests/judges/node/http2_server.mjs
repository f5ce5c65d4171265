// An HTTP/2 server on Node's own `http2`, for senders of APNs requests.
//
// Its first line of input is JSON: {key, cert, settings, script}. `script` says, by device token, what
// becomes of one request after the other (a name from `fates`, with `:argument`); when it is used
// up, and for tokens without one, requests are answered with 200. The first line of output is
// {port}. When the input ends, it prints what arrived, and exits.
import http2 from 'node:http2';
import { createInterface } from 'node:readline';

const { NGHTTP2_NO_ERROR } = http2.constants;
const arrived = [];
let pongs = 0;

const accepted = { ':status': 200 };
const json = { 'content-type': 'application/json' };
const error = (stream, status, body) => {
  stream.respond({ ':status': status, ...json });
  stream.end(body);
};
const take = (stream, arrival, headers = accepted) => {
  arrival.taken = true;
  stream.respond({ ...headers, 'apns-id': arrival.headers['apns-id'] }, { endStream: true });
};

// What may become of a request whose body has been read. Each gets the stream, what is noted of the
// arrival, its argument and the session.
const fates = {
  ok: take,
  // connections that go
  goaway(stream, arrival, reason, session) {
    if (session.highest > stream.id) stream.close(http2.constants.NGHTTP2_REFUSED_STREAM);
    session.lastStream = Math.max(session.highest, stream.id - 2); // as GOAWAY must not go back
    session.goaway(NGHTTP2_NO_ERROR, session.lastStream, Buffer.from(JSON.stringify({ reason })));
  },
  farewell(stream, arrival, _, session) {
    take(stream, arrival);
    session.close();
  },
  destroy(stream, arrival, _, session) {
    session.destroy();
  },
  take_and_destroy(stream, arrival, _, session) {
    arrival.taken = true;
    session.destroy();
  },
  // streams that fail
  reset(stream, arrival, code) {
    stream.close(Number(code));
  },
  take_and_reset(stream, arrival, code) {
    arrival.taken = true;
    stream.close(Number(code));
  },
  half_an_answer(stream, arrival) {
    stream.respond({ ':status': 400, ...json });
    stream.write('{"reason":"Bad', () => stream.destroy(new Error('it breaks off')));
  },
  truncated(stream) {
    error(stream, 503, '{"reason":"Serv');
  },
  no_answer() {},
  // settings that change under way
  settings(stream, arrival, changes, session) {
    const [name, value] = changes.split('=');
    session.settings({ [name]: Number(value) }, () => take(stream, arrival));
  },
  // replies of odd forms
  informational(stream, arrival) {
    stream.additionalHeaders({ ':status': 103, link: '</style.css>; rel=preload' });
    stream.additionalHeaders({ ':status': 102 });
    take(stream, arrival);
  },
  trailers(stream, arrival) {
    arrival.taken = true;
    stream.respond(accepted, { waitForTrailers: true });
    stream.on('wantTrailers', () => stream.sendTrailers({ 'x-checksum': '0' }));
    stream.end('');
  },
  pieces(stream) {
    stream.respond({ ':status': 400, ...json });
    for (const character of '{"reason":"BadDeviceToken"}') stream.write(character);
    stream.end();
  },
  long_headers(stream, arrival) {
    take(stream, arrival, { ':status': 200, ...Object.fromEntries(
      Array.from({ length: 20 }, (_, number) => [`x-filler-${number}`, 'x'.repeat(1000)])) });
  },
  html(stream) {
    stream.respond({ ':status': 502, 'content-type': 'text/html' });
    stream.end('<html><h1>502 Bad Gateway</h1></html>');
  },
  empty(stream, arrival, status) {
    stream.respond({ ':status': Number(status) }, { endStream: true });
  },
  reason(stream, arrival, argument) {
    const [status, reason] = argument.split('=');
    error(stream, Number(status), JSON.stringify({ reason, timestamp: 1 }));
  },
  // frames that a sender did not ask for
  ping(stream, arrival, _, session) {
    session.ping(failure => {
      pongs += failure ? 0 : 1;
      take(stream, arrival);
    });
  },
  unknown_frames(stream, arrival, _, session) {
    session.altsvc('h2=":8000"', stream.id);
    session.origin('https://elsewhere.example.com');
    take(stream, arrival);
  },
};

// Fates that are met before the body is read.
const early = {
  early_error(stream) {
    error(stream, 413, '{"reason":"PayloadTooLarge"}');
  },
  early_refusal(stream) {
    stream.close(http2.constants.NGHTTP2_REFUSED_STREAM);
  },
};

function receive(stream, headers, script) {
  const { session } = stream;
  stream.on('error', () => {}); // the sender's resets, and our own
  if (!session || stream.id > session.lastStream) return; // it is gone, or will not be processed
  const token = headers[':path'].split('/').pop();
  const [fate, argument] = (script[token]?.shift() ?? 'ok').split(/:(.*)/s);
  const arrival = { token, headers, fate, body: '', taken: false, pushable: stream.pushAllowed };
  arrived.push(arrival);
  if (fate in early) {
    early[fate](stream);
    session.highest = Math.max(session.highest, stream.id);
    return;
  }
  const pieces = [];
  const read = () => {
    if (stream.destroyed || stream.id > session.lastStream) return;
    const fated = fate === 'slow_read' ? 'ok' : fate;
    arrival.body = Buffer.concat(pieces).toString();
    fates[fated](stream, arrival, argument, session);
    if (fated !== 'goaway') session.highest = Math.max(session.highest, stream.id);
  };
  stream.on('data', piece => {
    pieces.push(piece);
    if (fate === 'slow_read') {
      stream.pause();
      setTimeout(() => stream.resume(), 1);
    }
  });
  stream.on('end', read);
}

const input = createInterface({ input: process.stdin });
input.once('line', line => {
  const { key, cert, settings, script } = JSON.parse(line);
  const server = http2.createSecureServer({ key, cert, settings, maxSendHeaderBlockLength: 65536 });
  server.on('session', session => {
    session.lastStream = Infinity; // the last that is processed
    session.highest = 0; // of those that were processed
    session.on('error', () => {});
  });
  server.on('stream', (stream, headers) => receive(stream, headers, script));
  server.on('sessionError', failure => console.error(failure.message));
  server.listen(0, '127.0.0.1', () => console.log(JSON.stringify({ port: server.address().port })));
  input.once('close', () => {
    process.stdout.write(`${JSON.stringify({ arrived, pongs })}\n`, () => process.exit(0));
  });
});
