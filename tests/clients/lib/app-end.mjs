// The application's end: authorises channels and users with the official library and takes webhooks.
import { createServer } from 'node:http';
import Pusher from 'pusher';
import { app } from './server.mjs';
import { until } from './wait.mjs';

/** Base64 of 32 bytes: the master key from which the shared secrets of encrypted channels are made. */
export const masterKey = Buffer.alloc(32, 'm').toString('base64');

/** The official Node library, aimed at `server`. */
export const library = (server, options = {}) =>
  new Pusher({
    appId: app.id,
    key: app.key,
    secret: app.secret,
    host: server.host,
    port: String(server.port),
    useTLS: false,
    encryptionMasterKeyBase64: masterKey,
    ...options,
  });

export class AppEnd {
  /** Every webhook received: `{ rawBody, headers, events }`. */
  hooks = [];
  #http;
  #pages = new Map();

  static async start() {
    const end = new AppEnd();
    end.#http = createServer((request, response) => end.#serve(request, response));
    await new Promise((done) => end.#http.listen(0, '127.0.0.1', done));
    return end;
  }

  get url() {
    return `http://127.0.0.1:${this.#http.address().port}`;
  }

  stop() {
    this.#http.closeAllConnections();
    return new Promise((done) => this.#http.close(done));
  }

  /** Serves `body` at `path`. */
  page(path, type, body) {
    this.#pages.set(path, { type, body });
  }

  /** The first webhook that carries an event like `wanted`. */
  hookWith(wanted) {
    const matches = (event) => Object.entries(wanted).every(([name, value]) => event[name] === value);
    const find = () => this.hooks.find((hook) => hook.events.some(matches));
    return until(find, `a webhook with ${JSON.stringify(wanted)}`);
  }

  async #serve(request, response) {
    const chunks = [];
    for await (const chunk of request) chunks.push(chunk);
    const rawBody = Buffer.concat(chunks).toString();
    const url = new URL(request.url, this.url);
    const page = this.#pages.get(url.pathname);
    if (page) return reply(response, 200, page.type, page.body);
    if (url.pathname === '/hooks') {
      this.hooks.push({ rawBody, headers: request.headers, events: JSON.parse(rawBody).events });
      return reply(response, 200, 'text/plain', 'ok');
    }
    const answer = authorise(url, new URLSearchParams(rawBody));
    return answer ? reply(response, 200, 'application/json', JSON.stringify(answer)) : reply(response, 403, 'text/plain', 'no');
  }
}

/** `?user=` names who asks; `?secret=` signs with another secret than the app's. */
function authorise(url, form) {
  const id = url.searchParams.get('user') ?? 'nobody';
  const signer = library({ host: 'unused', port: 1 }, { secret: url.searchParams.get('secret') ?? app.secret });
  const socketId = form.get('socket_id');
  if (url.pathname === '/user-auth') {
    const watchlist = url.searchParams.get('watch')?.split(',');
    return signer.authenticateUser(socketId, { id, name: id, ...(watchlist && { watchlist }) });
  }
  const channel = form.get('channel_name');
  if (url.pathname !== '/auth' || channel.endsWith('forbidden')) return undefined;
  return channel.startsWith('presence-')
    ? signer.authorizeChannel(socketId, channel, { user_id: id, user_info: { name: id } })
    : signer.authorizeChannel(socketId, channel);
}

function reply(response, status, type, body) {
  response.writeHead(status, { 'Content-Type': type, 'Access-Control-Allow-Origin': '*' });
  response.end(body);
}
