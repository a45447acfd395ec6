import assert from 'node:assert/strict';
import { after, afterEach, before, describe, it } from 'node:test';
import { AppEnd } from './lib/app-end.mjs';
import { called, echo } from './lib/echo.mjs';
import { Laravel } from './lib/laravel.mjs';
import { Server, onlyBowline } from './lib/server.mjs';
import { needs, tool } from './lib/tools.mjs';

describe("Laravel's broadcaster", needs(tool.laravel()), () => {
  let server, end, laravel;
  const open = [];

  before(async () => {
    end = await AppEnd.start();
    server = await Server.start();
    laravel = await Laravel.start(server);
  });
  afterEach(() => open.splice(0).forEach((client) => client.disconnect()));
  after(async () => {
    await laravel?.stop();
    await server?.stop();
    await end?.stop();
  });

  /** An Echo that asks Laravel's own /broadcasting/auth with the user's bearer token. */
  function user(id) {
    const headers = { 'X-Requested-With': 'XMLHttpRequest', Authorization: `Bearer ${id}` };
    const channelAuthorization = { endpoint: `${laravel.url}/broadcasting/auth`, transport: 'ajax', headers };
    open.push(echo(server, end, 'unused', { channelAuthorization }));
    return open.at(-1);
  }

  const subscribed = (channel) => called((f) => channel.subscribed(f), `subscribed to ${channel.name}`);

  async function ship(body, who) {
    const response = await laravel.post('/ship', body, who);
    assert.equal(response.status, 200, await response.text());
  }

  it('reaches public, private and presence channels, which it authorised, with one broadcast', async () => {
    const client = user(7);
    const channels = [client.channel('orders'), client.private('orders.7'), client.join('room')];
    await Promise.all(channels.map(subscribed));
    const shipped = channels.map((channel) => called((f) => channel.listen('.OrderShipped', f), `OrderShipped on ${channel.name}`));
    await ship({ order: 41, channels: ['orders', 'private-orders.7', 'presence-room'] });
    for (const data of await Promise.all(shipped)) assert.equal(data.order, 41);
  });

  it('names the members of a presence channel, with numbers as ids', async () => {
    const room = user(7).join('room');
    assert.deepEqual(await called((f) => room.here(f), 'here'), [{ name: 'user 7' }]);
    const joining = called((f) => room.joining(f), 'joining');
    await subscribed(user(8).join('room'));
    assert.deepEqual(await joining, { name: 'user 8' });
    assert.equal(room.subscription.members.me.id, 7);
  });

  it('refuses whom the application does not let in', async () => {
    const error = await called((f) => user(8).private('orders.7').error(f), 'the error');
    assert.equal(error.status, 403);
  });

  it('leaves out the sender with toOthers', async () => {
    const [sender, other] = [user(7), user(8)];
    const [mine, theirs] = [sender.channel('orders'), other.channel('orders')];
    await Promise.all([subscribed(mine), subscribed(theirs)]);
    const heard = [];
    mine.listen('.OrderShipped', ({ order }) => heard.push(order));
    const both = new Promise((done) => theirs.listen('.OrderShipped', ({ order }) => order === 2 && done()));
    const fence = new Promise((done) => mine.listen('.OrderShipped', ({ order }) => order === 2 && done()));
    await ship({ order: 1, channels: ['orders'], to_others: true }, { id: 7, socketId: sender.socketId() });
    await ship({ order: 2, channels: ['orders'] });
    await called((f) => Promise.all([both, fence]).then(f), 'the second order');
    assert.deepEqual(heard, [2]);
  });

  it('throws a BroadcastException when the API refuses', onlyBowline('it sends API errors with status 200'), async () => {
    const wrong = await Laravel.start(server, { secret: 'wrong' });
    try {
      const response = await wrong.post('/ship', { order: 1, channels: ['orders'] });
      assert.equal(response.status, 500);
      const { exception, message } = await response.json();
      assert.equal(exception, 'Illuminate\\Broadcasting\\BroadcastException');
      assert.match(message, /The secret authentication failed/);
    } finally {
      await wrong.stop();
    }
  });
});
