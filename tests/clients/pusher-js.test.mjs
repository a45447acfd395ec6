import assert from 'node:assert/strict';
import { after, afterEach, before, describe, it } from 'node:test';
import Pusher from 'pusher-js';
import { AppEnd, library } from './lib/app-end.mjs';
import { codeOf, connect, disconnectAll, heard, join, options } from './lib/client.mjs';
import { Server, app, onlyBowline } from './lib/server.mjs';
import { next, nextWithMetadata, until } from './lib/wait.mjs';

/** What a reconnection may take: pusher-js waits 15 s once a connection was refused. */
const RECONNECT_MS = 40_000;

let server, end, api;

before(async () => {
  end = await AppEnd.start();
  server = await Server.start({
    DEFAULT_APP_ENABLE_CLIENT_MESSAGES: true,
    DEFAULT_APP_USER_AUTHENTICATION: true,
    DEFAULT_APP_ENABLE_SUBSCRIPTION_COUNT: true,
  });
  api = library(server);
});
afterEach(disconnectAll);
after(async () => {
  await server?.stop();
  await end?.stop();
});

describe('pusher-js: connecting', () => {
  it('connects and has a socket id', async () => {
    const client = await connect(server, end);
    assert.match(client.connection.socket_id, /^\d+\.\d+$/);
  });

  it('is refused for good with an unknown key', async () => {
    const client = new Pusher('no-such-key', options(server, end));
    const refused = next(client.connection, 'disconnected');
    assert.equal(codeOf(await next(client.connection, 'error')), 4001);
    await refused;
    assert.equal(client.connection.state, 'disconnected');
    client.disconnect();
  });
});

describe('pusher-js: paths', () => {
  it('reaches a server behind a path prefix', async () => {
    const prefixed = await Server.start({ PATH_PREFIX: '/push' });
    try {
      const client = await connect(prefixed, end, 'ann', { wsPath: '/push' });
      await join(client, 'private-orders');
    } finally {
      disconnectAll();
      await prefixed.stop();
    }
  });
});

describe('pusher-js: channels', () => {
  it('receives a published event on a public channel, as text and as an object', async () => {
    const channel = await join(await connect(server, end), 'news');
    const greeted = next(channel, 'greet');
    await api.trigger('news', 'greet', { text: 'hello', ünï: '✓' });
    assert.deepEqual(await greeted, { text: 'hello', ünï: '✓' });
    const said = next(channel, 'say');
    await api.trigger('news', 'say', 'plain words');
    assert.equal(await said, 'plain words');
  });

  it('keeps the order of events', async () => {
    const channel = await join(await connect(server, end), 'ordered');
    const last = next(channel, 'n-19');
    for (let n = 0; n < 20; n += 1) await api.trigger('ordered', `n-${n}`, { n });
    await last;
    assert.deepEqual(heard(channel).map(({ data }) => data.n), [...Array(20).keys()]);
  });

  it('hears nothing more after unsubscribing', async () => {
    const client = await connect(server, end);
    const [left, kept] = [await join(client, 'left'), await join(client, 'kept')];
    client.unsubscribe('left');
    await until(async () => (await channelInfo('left')).occupied === false, 'the channel to be vacated');
    const fence = next(kept, 'fence');
    await api.trigger(['left', 'kept'], 'fence', {});
    await fence;
    assert.deepEqual(heard(left), []);
  });

  it('joins a private channel that the application signs', async () => {
    const channel = await join(await connect(server, end), 'private-orders');
    const shipped = next(channel, 'shipped');
    await api.trigger('private-orders', 'shipped', { order: 7 });
    assert.deepEqual(await shipped, { order: 7 });
  });

  it('reports subscription_error for a wrong signature and stays connected', async () => {
    const client = await connect(server, end, 'ann', { query: '&secret=wrong' });
    const error = await next(client.subscribe('private-orders'), 'pusher:subscription_error');
    assert.equal(error.status, 401);
    assert.equal(error.type, 'AuthError');
    assert.equal(client.connection.state, 'connected');
    await join(client, 'news');
  });

  it('reports subscription_error when the application refuses', async () => {
    const client = await connect(server, end);
    const error = await next(client.subscribe('private-forbidden'), 'pusher:subscription_error');
    assert.equal(error.status, 403);
  });

  it('reports subscription_error for an illegal channel name', async () => {
    const client = await connect(server, end);
    const error = await next(client.subscribe('no spaces allowed'), 'pusher:subscription_error');
    assert.equal(error.status, 4009);
  });

  it('decrypts what the library encrypts on an encrypted channel', async () => {
    const channel = await join(await connect(server, end), 'private-encrypted-vault');
    const opened = next(channel, 'opened');
    await api.trigger('private-encrypted-vault', 'opened', { code: 'sésame' });
    assert.deepEqual(await opened, { code: 'sésame' });
  });

  it('replays the last event of a cache channel, or says that there is none', async () => {
    const client = await connect(server, end);
    await next(client.subscribe('cache-weather'), 'pusher:cache_miss');
    await api.trigger('cache-weather', 'rain', { mm: 1 });
    await api.trigger('cache-weather', 'rain', { mm: 2 });
    const late = await connect(server, end);
    const replayed = next(late.subscribe('cache-weather'), 'rain');
    assert.deepEqual(await replayed, { mm: 2 });
  });

  it('replays on private and encrypted cache channels', async () => {
    for (const name of ['private-cache-weather', 'private-encrypted-cache-weather']) {
      await api.trigger(name, 'snow', { cm: 3 });
      const client = await connect(server, end);
      assert.deepEqual(await next(client.subscribe(name), 'snow'), { cm: 3 }, name);
    }
  });

  it('replays on a presence cache channel after the members', async () => {
    await api.trigger('presence-cache-room', 'topic', { title: 'tea' });
    const client = await connect(server, end);
    const channel = await join(client, 'presence-cache-room');
    await until(() => heard(channel).length > 0, 'the cached event');
    const order = channel.heard.map(({ event }) => event);
    assert.deepEqual(order, ['pusher:subscription_succeeded', 'topic']);
    assert.equal(channel.members.count, 1);
  });

  it('counts subscriptions of a channel', onlyBowline('it has no subscription_count'), async () => {
    const first = (await connect(server, end)).subscribe('counted');
    const one = await next(first, 'pusher:subscription_count');
    assert.equal(one.subscription_count, 1);
    const two = next(first, 'pusher:subscription_count');
    const second = await connect(server, end);
    await join(second, 'counted');
    assert.equal((await two).subscription_count, 2);
    assert.equal(first.subscriptionCount, 2);
    const back = next(first, 'pusher:subscription_count');
    second.disconnect();
    assert.equal((await back).subscription_count, 1);
  });
});

describe('pusher-js: presence', () => {
  it('lists the members and announces who comes and goes', async () => {
    const ann = await join(await connect(server, end, 'ann'), 'presence-room');
    assert.equal(ann.members.count, 1);
    assert.deepEqual(ann.members.me, { id: 'ann', info: { name: 'ann' } });
    const added = next(ann, 'pusher:member_added');
    const bob = await connect(server, end, 'bob');
    const room = await join(bob, 'presence-room');
    assert.deepEqual(Object.keys(room.members.members).sort(), ['ann', 'bob']);
    assert.deepEqual(await added, { id: 'bob', info: { name: 'bob' } });
    const removed = next(ann, 'pusher:member_removed');
    bob.disconnect();
    assert.deepEqual(await removed, { id: 'bob', info: { name: 'bob' } });
    assert.equal(ann.members.count, 1);
  });

  it('counts a user once, however many connections it has', async () => {
    const ann = await join(await connect(server, end, 'ann'), 'presence-twice');
    const [one, two] = [await connect(server, end, 'bob'), await connect(server, end, 'bob')];
    await join(one, 'presence-twice');
    await join(two, 'presence-twice');
    one.disconnect();
    const removed = next(ann, 'pusher:member_removed');
    const fence = next(ann, 'fence');
    await api.trigger('presence-twice', 'fence', {});
    await fence;
    assert.equal(ann.members.count, 2);
    two.disconnect();
    await removed;
    const comings = ann.heard.filter(({ event }) => event.startsWith('pusher:member_')).map(({ event }) => event);
    assert.deepEqual(comings, ['pusher:member_added', 'pusher:member_removed']);
  });
});

describe('pusher-js: client events', () => {
  it('reach the others with the sender, and not the sender', async () => {
    const ann = await join(await connect(server, end, 'ann'), 'presence-chat');
    const bob = await join(await connect(server, end, 'bob'), 'presence-chat');
    const typed = nextWithMetadata(bob, 'client-typing');
    assert.equal(ann.trigger('client-typing', { keys: 3 }), true);
    const { data, metadata } = await typed;
    assert.deepEqual(data, { keys: 3 });
    assert.equal(metadata.user_id, 'ann');
    const fence = next(ann, 'fence');
    await api.trigger('presence-chat', 'fence', {});
    await fence;
    assert.deepEqual(heard(ann).map(({ event }) => event), ['fence']);
  });

  it('are refused with 4301 where the app does not allow them', async () => {
    const strict = await Server.start();
    try {
      const client = await connect(strict, end);
      const channel = await join(client, 'private-quiet');
      const refused = next(client.connection, 'error');
      channel.trigger('client-typing', {});
      assert.equal(codeOf(await refused), 4301);
      assert.equal(client.connection.state, 'connected');
    } finally {
      await strict.stop();
    }
  });
});

describe('pusher-js: users', () => {
  async function signedIn(who, special) {
    const client = await connect(server, end, who, special);
    const signed = new Promise((done) => client.connection.bind('message', ({ event }) => event === 'pusher:signin_success' && done()));
    const listening = new Promise((done) =>
      client.connection.bind('message', ({ event, channel }) => {
        if (event === 'pusher_internal:subscription_succeeded' && channel === `#server-to-user-${who}`) done();
      }),
    );
    client.signin();
    await signed;
    await listening;
    return client;
  }

  it('signs in and receives what is sent to the user on every connection', async () => {
    const clients = [await signedIn('carol'), await signedIn('carol'), await signedIn('dave')];
    const got = clients.slice(0, 2).map((client) => next(client.user, 'letter'));
    const other = [];
    clients[2].user.bind_global((event) => other.push(event));
    await api.sendToUser('carol', 'letter', { page: 1 });
    assert.deepEqual(await Promise.all(got), [{ page: 1 }, { page: 1 }]);
    const fence = next(clients[2].user, 'fence');
    await api.sendToUser('dave', 'fence', {});
    await fence;
    assert.deepEqual(other.filter((event) => !event.startsWith('pusher')), ['fence']);
  });

  it('is disconnected for good when the application terminates the user', async () => {
    const client = await signedIn('erin');
    const bystander = await signedIn('frank');
    const gone = next(client.connection, 'disconnected');
    const told = next(client.connection, 'error');
    await api.terminateUserConnections('erin');
    assert.equal(codeOf(await told), 4009);
    await gone;
    assert.equal(client.connection.state, 'disconnected');
    assert.equal(bystander.connection.state, 'connected');
    await join(bystander, 'news');
  });

  it('may have an e-mail address as its id', async () => {
    const client = await signedIn('ann@example.org');
    const letter = next(client.user, 'letter');
    await api.sendToUser('ann@example.org', 'letter', { page: 1 });
    assert.deepEqual(await letter, { page: 1 });
    const gone = next(client.connection, 'disconnected');
    await api.terminateUserConnections('ann@example.org');
    await gone;
  });

  it('is closed when the sign-in is wrongly signed', async () => {
    const client = await connect(server, end, 'mallory', { query: '&secret=wrong' });
    const refused = next(client.connection, 'disconnected');
    const told = next(client.connection, 'error');
    client.signin();
    assert.equal(codeOf(await told), 4009);
    await refused;
    assert.equal(client.connection.state, 'disconnected');
  });

  it('hears of its watchlist going online and offline', onlyBowline('it has no watchlists'), async () => {
    const gina = await signedIn('gina', { query: '&watch=hugo,iris' });
    const online = next(gina.user.watchlist, 'online');
    const hugo = await signedIn('hugo');
    assert.deepEqual((await online).user_ids, ['hugo']);
    const offline = next(gina.user.watchlist, 'offline');
    hugo.disconnect();
    assert.deepEqual((await offline).user_ids, ['hugo']);
  });

  it('hears at sign-in who of its watchlist is online', onlyBowline('it has no watchlists'), async () => {
    await signedIn('jane');
    const kim = await connect(server, end, 'kim', { query: '&watch=jane,leo' });
    const online = next(kim.user.watchlist, 'online');
    kim.signin();
    assert.deepEqual((await online).user_ids, ['jane']);
  });
});

describe('pusher-js: a restart of the server', () => {
  it('reconnects, joins its channels again and goes on receiving', async () => {
    const own = await Server.start();
    try {
      const client = await connect(own, end);
      const [news, room] = [await join(client, 'news'), await join(client, 'presence-room')];
      const before = client.connection.socket_id;
      const codes = [];
      client.connection.bind('error', (error) => codes.push(codeOf(error)));
      const again = [news, room].map((channel) => next(channel, 'pusher:subscription_succeeded', RECONNECT_MS));
      assert.equal(await own.restart(), 0);
      await Promise.all(again);
      assert.ok(codes.includes(4200), `told 4200, got ${codes}`);
      assert.notEqual(client.connection.socket_id, before);
      const greeted = next(news, 'greet');
      await library(own).trigger('news', 'greet', 'again');
      assert.equal(await greeted, 'again');
    } finally {
      disconnectAll();
      await own.stop();
    }
  });
});

async function channelInfo(name) {
  const response = await api.get({ path: `/channels/${name}` });
  assert.equal(response.status, 200);
  return response.json();
}
