// Unmodified laravel-echo over unmodified pusher-js.
import Echo from 'laravel-echo';
import Pusher from 'pusher-js';
import { options } from './client.mjs';
import { app } from './server.mjs';
import { deadline } from './wait.mjs';

const CALL_MS = 10_000;

/** An Echo aimed at `server`, with `special` as in client.mjs. */
export const echo = (server, end, who, special) =>
  new Echo({ broadcaster: 'pusher', Pusher, key: app.key, namespace: false, ...options(server, end, who, special) });

/** The argument of the next call that `register` hands its function to: `called((f) => room.here(f), 'here')`. */
export const called = (register, what) => deadline(new Promise(register), CALL_MS, what);
