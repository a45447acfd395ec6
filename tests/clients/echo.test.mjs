import assert from 'node:assert/strict';
import { after, afterEach, before, describe, it } from 'node:test';
import { AppEnd, library } from './lib/app-end.mjs';
import { called, echo } from './lib/echo.mjs';
import { Server } from './lib/server.mjs';
import { next } from './lib/wait.mjs';

let server, end, api;
const open = [];

before(async () => {
  end = await AppEnd.start();
  server = await Server.start({ DEFAULT_APP_ENABLE_CLIENT_MESSAGES: true, DEFAULT_APP_USER_AUTHENTICATION: true });
  api = library(server);
});
afterEach(() => open.splice(0).forEach((client) => client.disconnect()));
after(async () => {
  await server?.stop();
  await end?.stop();
});

function user(who) {
  open.push(echo(server, end, who));
  return open.at(-1);
}

const subscribed = (channel) => called((f) => channel.subscribed(f), `subscribed to ${channel.name}`);

describe('laravel-echo', () => {
  it('knows its socket id and says that it is connected', async () => {
    const client = user('ann');
    await subscribed(client.channel('news'));
    assert.match(client.socketId(), /^\d+\.\d+$/);
    assert.equal(client.connectionStatus(), 'connected');
  });

  it('listens on public and private channels', async () => {
    const client = user('ann');
    for (const [join, name] of [['channel', 'orders'], ['private', 'private-orders']]) {
      const channel = client[join]('orders');
      await subscribed(channel);
      const shipped = called((f) => channel.listen('.order.shipped', f), `order.shipped on ${name}`);
      await api.trigger(name, 'order.shipped', { id: 7 });
      assert.deepEqual(await shipped, { id: 7 });
    }
  });

  it('listens for events under their class names, and to all', async () => {
    const channel = user('ann').channel('classes');
    await subscribed(channel);
    const created = called((f) => channel.listen('App.Events.Created', f), 'the class name');
    const all = called((f) => channel.listenToAll((...call) => f(call)), 'any event');
    await api.trigger('classes', 'App\\Events\\Created', { id: 1 });
    assert.deepEqual(await created, { id: 1 });
    assert.deepEqual((await all)[1], { id: 1 });
  });

  it('reports an error with its status', async () => {
    const wrong = echo(server, end, 'ann', { query: '&secret=wrong' });
    open.push(wrong);
    const error = await called((f) => wrong.private('orders').error(f), 'the error');
    assert.equal(error.status, 401);
  });

  it('tells who is here, who joins and who leaves', async () => {
    const [ann, bob] = [user('ann'), user('bob')];
    const room = ann.join('room');
    assert.deepEqual(await called((f) => room.here(f), 'here'), [{ name: 'ann' }]);
    const joining = called((f) => room.joining(f), 'joining');
    const here = await called((f) => bob.join('room').here(f), 'here');
    assert.deepEqual(here.map(({ name }) => name).sort(), ['ann', 'bob']);
    assert.deepEqual(await joining, { name: 'bob' });
    const leaving = called((f) => room.leaving(f), 'leaving');
    bob.leave('room');
    assert.deepEqual(await leaving, { name: 'bob' });
  });

  it('whispers to the others of a presence and of a private channel', async () => {
    const [ann, bob] = [user('ann'), user('bob')];
    for (const join of [(client) => client.join('whispers'), (client) => client.private('whispers')]) {
      const [from, to] = [join(ann), join(bob)];
      await Promise.all([subscribed(from), subscribed(to)]);
      const typing = called((f) => to.listenForWhisper('typing', f), 'the whisper');
      from.whisper('typing', { keys: 3 });
      assert.deepEqual(await typing, { keys: 3 });
    }
  });

  it('decrypts on an encrypted private channel', async () => {
    const channel = user('ann').encryptedPrivate('vault');
    await subscribed(channel);
    const opened = called((f) => channel.listen('.opened', f), 'opened');
    await api.trigger('private-encrypted-vault', 'opened', { code: 42 });
    assert.deepEqual(await opened, { code: 42 });
  });

  it('receives notifications', async () => {
    const channel = user('ann').private('App.Models.User.1');
    await subscribed(channel);
    const notified = called((f) => channel.notification(f), 'the notification');
    await api.trigger('private-App.Models.User.1', 'Illuminate\\Notifications\\Events\\BroadcastNotificationCreated', { id: 'n1', type: 'Paid' });
    assert.equal((await notified).id, 'n1');
  });

  it('leaves out the socket that toOthers names', async () => {
    const [ann, bob] = [user('ann'), user('bob')];
    const [mine, theirs] = [ann.channel('others'), bob.channel('others')];
    await Promise.all([subscribed(mine), subscribed(theirs)]);
    const heard = [];
    mine.listenToAll((event) => heard.push(event));
    const got = called((f) => theirs.listen('.first', f), 'first');
    const fence = called((f) => mine.listen('.second', f), 'second');
    await api.trigger('others', 'first', {}, { socket_id: ann.socketId() });
    await got;
    await api.trigger('others', 'second', {});
    await fence;
    assert.deepEqual(heard, ['.second']);
  });

  it('signs in and hears what is sent to the user', async () => {
    const client = user('carol');
    const { connection } = client.connector.pusher;
    const listening = new Promise((done) =>
      connection.bind('message', ({ event, channel }) => {
        if (event === 'pusher_internal:subscription_succeeded' && channel === '#server-to-user-carol') done();
      }),
    );
    client.connector.signin();
    await listening;
    const letter = next(client.connector.pusher.user, 'letter');
    await api.sendToUser('carol', 'letter', { page: 1 });
    assert.deepEqual(await letter, { page: 1 });
  });
});
