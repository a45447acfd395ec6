// Every wait of the suite has a bound and says what it waited for.
const EVENT_MS = 10_000;

export const pause = (ms) => new Promise((done) => setTimeout(done, ms));

/** `promise`, or an error that names `what` (a text, or a function that makes one) after `ms`. */
export function deadline(promise, ms, what) {
  let timer;
  const late = new Promise((_, fail) => {
    timer = setTimeout(() => {
      const name = typeof what === 'function' ? what() : what;
      fail(new Error(`waited ${ms} ms for ${name}`));
    }, ms);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

/** The data of the next `event` of a pusher-js channel, connection or user. Ask before you trigger. */
export const next = async (target, event, ms = EVENT_MS) => (await nextWithMetadata(target, event, ms)).data;

/** The same with pusher-js's metadata, which names the sender of a client event. */
export function nextWithMetadata(target, event, ms = EVENT_MS) {
  const seen = new Promise((done) => {
    const once = (data, metadata) => {
      target.unbind(event, once);
      done({ data, metadata });
    };
    target.bind(event, once);
  });
  return deadline(seen, ms, `${event} on ${target.name ?? 'the connection'}`);
}

/** Waits until `probe()` gives something truthy, and returns it. */
export async function until(probe, what, ms = EVENT_MS) {
  const end = Date.now() + ms;
  for (;;) {
    const found = await probe();
    if (found) return found;
    if (Date.now() > end) throw new Error(`waited ${ms} ms for ${what}`);
    await pause(20);
  }
}
