// Unmodified pusher-js under Node, aimed at the server under test.
import Pusher from 'pusher-js';
import { app } from './server.mjs';
import { next } from './wait.mjs';

/**
 * The options that reach `server`; `who` is the user the application's end signs for, `query` asks it
 * for something special (app-end.mjs), and all else is pusher-js's own options.
 */
export function options(server, end, who = 'ann', { query = '', ...overrides } = {}) {
  return {
    cluster: '',
    wsHost: server.host,
    wsPort: server.port,
    forceTLS: false,
    enabledTransports: ['ws'],
    disableStats: true,
    channelAuthorization: { endpoint: `${end.url}/auth?user=${who}${query}`, transport: 'ajax' },
    userAuthentication: { endpoint: `${end.url}/user-auth?user=${who}${query}`, transport: 'ajax' },
    ...overrides,
  };
}

const open = new Set();

/** A connected client. `disconnectAll` closes it. */
export async function connect(server, end, who, special) {
  const client = new Pusher(app.key, options(server, end, who, special));
  open.add(client);
  if (client.connection.state !== 'connected') await next(client.connection, 'connected');
  return client;
}

export function disconnectAll() {
  open.forEach((client) => client.disconnect());
  open.clear();
}

/** Subscribes and waits for success; the channel keeps what came in `channel.heard`. */
export async function join(client, name) {
  const channel = client.subscribe(name);
  channel.heard = [];
  channel.bind_global((event, data) => channel.heard.push({ event, data }));
  await next(channel, 'pusher:subscription_succeeded');
  return channel;
}

/** What `channel` heard, without the protocol's own events. */
export const heard = (channel) => channel.heard.filter(({ event }) => !event.startsWith('pusher'));

/** The protocol's code in what a pusher-js connection emits as `error`. */
export const codeOf = (error) => error?.data?.code ?? error?.error?.data?.code;
