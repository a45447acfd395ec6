import assert from 'node:assert/strict';
import { Agent } from 'node:http';
import { after, afterEach, before, describe, it } from 'node:test';
import Pusher from 'pusher';
import { AppEnd, library } from './lib/app-end.mjs';
import { connect, disconnectAll, heard, join } from './lib/client.mjs';
import { Server, app, onlyBowline } from './lib/server.mjs';
import { next } from './lib/wait.mjs';

const HOOKS = ['channel_occupied', 'channel_vacated', 'member_added', 'member_removed', 'client_event', 'cache_miss'];

let server, end, api;

before(async () => {
  end = await AppEnd.start();
  server = await Server.start({
    DEFAULT_APP_ENABLE_CLIENT_MESSAGES: true,
    DEFAULT_APP_USER_AUTHENTICATION: true,
    DEFAULT_APP_WEBHOOKS: JSON.stringify([{ url: `${end.url}/hooks`, event_types: HOOKS }]),
  });
  api = library(server);
});
afterEach(disconnectAll);
after(async () => {
  await server?.stop();
  await end?.stop();
});

const read = async (path, params) => (await api.get({ path, params })).json();

describe('pusher for Node: publishing', () => {
  it('triggers on many channels at once', async () => {
    const client = await connect(server, end);
    const channels = [await join(client, 'one'), await join(client, 'two'), await join(client, 'private-three')];
    const got = channels.map((channel) => next(channel, 'all'));
    const response = await api.trigger(['one', 'two', 'private-three'], 'all', { n: 1 });
    assert.equal(response.status, 200);
    assert.deepEqual(await Promise.all(got), [{ n: 1 }, { n: 1 }, { n: 1 }]);
  });

  it('triggers a batch, in order', async () => {
    const channel = await join(await connect(server, end), 'batched');
    const last = next(channel, 'b-2');
    await api.triggerBatch([0, 1, 2].map((n) => ({ channel: 'batched', name: `b-${n}`, data: { n } })));
    await last;
    assert.deepEqual(heard(channel).map(({ event }) => event), ['b-0', 'b-1', 'b-2']);
  });

  it('leaves out the socket it names', async () => {
    const [sender, other] = [await connect(server, end), await connect(server, end)];
    const [mine, theirs] = [await join(sender, 'others'), await join(other, 'others')];
    const got = next(theirs, 'first');
    const fence = next(mine, 'second');
    await api.trigger('others', 'first', {}, { socket_id: sender.connection.socket_id });
    await got;
    await api.trigger('others', 'second', {});
    await fence;
    assert.deepEqual(heard(mine).map(({ event }) => event), ['second']);
  });

  it('keeps one connection for many calls', onlyBowline('it closes after every answer'), async () => {
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    let connections = 0;
    const { createConnection } = agent;
    agent.createConnection = (...args) => {
      connections += 1;
      return createConnection.apply(agent, args);
    };
    const kept = library(server, { agent });
    for (let n = 0; n < 5; n += 1) await (await kept.trigger('kept', `k-${n}`, { n })).text();
    agent.destroy();
    assert.equal(connections, 1);
  });

  it('is told the counts that info asks for', onlyBowline('it ignores info'), async () => {
    await join(await connect(server, end, 'ann'), 'presence-info');
    await join(await connect(server, end, 'ann'), 'presence-info');
    await join(await connect(server, end), 'plain-info');
    const response = await api.trigger(['presence-info', 'plain-info'], 'e', {}, { info: 'user_count,subscription_count' });
    const { channels } = await response.json();
    assert.deepEqual(channels, {
      'presence-info': { user_count: 1, subscription_count: 2 },
      'plain-info': { subscription_count: 1 },
    });
  });

  it('is told the counts of each event of a batch', onlyBowline('it ignores info'), async () => {
    await join(await connect(server, end), 'batch-info');
    const response = await api.triggerBatch([
      { channel: 'batch-info', name: 'e', data: {}, info: 'subscription_count' },
      { channel: 'batch-info', name: 'e', data: {} },
    ]);
    const { batch } = await response.json();
    assert.deepEqual(batch, [{ subscription_count: 1 }, {}]);
  });
});

describe('pusher for Node: reading', () => {
  it('lists channels, one channel and its users', async () => {
    await join(await connect(server, end, 'ann'), 'presence-read');
    await join(await connect(server, end, 'bob'), 'presence-read');
    await join(await connect(server, end), 'read');
    const { channels } = await read('/channels');
    assert.ok('presence-read' in channels && 'read' in channels);
    assert.equal(channels['presence-read'].subscription_count, 2);
    const filtered = await read('/channels', { filter_by_prefix: 'presence-' });
    assert.ok(!('read' in filtered.channels));
    assert.deepEqual(await read('/channels/presence-read'), { subscription_count: 2, occupied: true, user_count: 2 });
    assert.deepEqual(await read('/channels/never-seen'), { subscription_count: 0, occupied: false });
    const { users } = await read('/channels/presence-read/users');
    assert.deepEqual(users.map(({ id }) => id).sort(), ['ann', 'bob']);
  });

  it('adds user_count to the list when info asks', onlyBowline('it ignores info'), async () => {
    await join(await connect(server, end, 'ann'), 'presence-list');
    const { channels } = await read('/channels', { filter_by_prefix: 'presence-list', info: 'user_count' });
    assert.equal(channels['presence-list'].user_count, 1);
  });
});

describe('pusher for Node: errors', () => {
  const refusedWith = (status) => (error) => {
    assert.ok(error instanceof Pusher.RequestError);
    assert.equal(error.status, status);
    assert.equal(JSON.parse(error.body).code, status);
    return true;
  };
  const realStatuses = onlyBowline('it sends API errors with status 200');

  it('rejects with 401 for a wrong secret', realStatuses, async () => {
    const wrong = library(server, { secret: 'wrong' });
    await assert.rejects(wrong.trigger('news', 'greet', {}), refusedWith(401));
    await assert.rejects(wrong.get({ path: '/channels' }), refusedWith(401));
  });

  it('rejects with 404 for an unknown app', realStatuses, async () => {
    await assert.rejects(library(server, { appId: '4712' }).trigger('news', 'greet', {}), refusedWith(404));
  });

  it('rejects with 413 when the data is too large', realStatuses, async () => {
    await assert.rejects(api.trigger('news', 'greet', 'x'.repeat(101 * 1024)), refusedWith(413));
  });

  it('rejects with 400 for a batch that is too long', realStatuses, async () => {
    const batch = Array.from({ length: 11 }, (_, n) => ({ channel: 'news', name: `e-${n}`, data: {} }));
    await assert.rejects(api.triggerBatch(batch), refusedWith(400));
  });

  it('rejects with 400 for the users of a channel without presence', realStatuses, async () => {
    await assert.rejects(api.get({ path: '/channels/news/users' }), refusedWith(400));
  });

  it('gets the old 200 where the compatibility switch is on', onlyBowline('it has no switch'), async () => {
    const old = await Server.start({ HTTP_STATUS_ALWAYS_200: true });
    try {
      const response = await library(old, { secret: 'wrong' }).trigger('news', 'greet', {});
      assert.equal(response.status, 200);
      assert.equal((await response.json()).code, 401);
    } finally {
      await old.stop();
    }
  });
});

describe('pusher for Node: users and webhooks', () => {
  it('terminates the connections of a user', async () => {
    const client = await connect(server, end, 'erin');
    const signed = new Promise((done) => client.connection.bind('message', ({ event }) => event === 'pusher:signin_success' && done()));
    client.signin();
    await signed;
    const gone = next(client.connection, 'disconnected');
    const response = await api.terminateUserConnections('erin');
    assert.equal(response.status, 200);
    await gone;
  });

  it('accepts the signature of every kind of webhook', async () => {
    const ann = await join(await connect(server, end, 'ann'), 'presence-hooked');
    const bob = await connect(server, end, 'bob');
    const room = await join(bob, 'presence-hooked');
    const got = next(ann, 'client-hello');
    room.trigger('client-hello', { text: 'hi' });
    await got;
    bob.subscribe('cache-hooked');
    const wanted = [
      { name: 'channel_occupied', channel: 'presence-hooked' },
      { name: 'member_added', channel: 'presence-hooked', user_id: 'bob' },
      { name: 'client_event', channel: 'presence-hooked', event: 'client-hello', user_id: 'bob' },
      { name: 'cache_miss', channel: 'cache-hooked' },
    ];
    for (const event of wanted) await validates(event);
    disconnectAll();
    await validates({ name: 'member_removed', channel: 'presence-hooked', user_id: 'bob' });
    await validates({ name: 'channel_vacated', channel: 'presence-hooked' });
  });

  async function validates(wanted) {
    const hook = await end.hookWith(wanted);
    const webhook = api.webhook({ rawBody: hook.rawBody, headers: hook.headers });
    assert.equal(webhook.isValid(), true, wanted.name);
    assert.equal(webhook.isContentTypeValid(), true);
    assert.ok(webhook.getTime() instanceof Date);
    const forged = { rawBody: `${hook.rawBody} `, headers: hook.headers };
    assert.equal(api.webhook(forged).isValid(), false);
    const stranger = library(server, { secret: 'wrong' });
    assert.equal(stranger.webhook({ rawBody: hook.rawBody, headers: hook.headers }).isValid(), false);
    assert.equal(hook.headers['x-pusher-key'], app.key);
  }
});
