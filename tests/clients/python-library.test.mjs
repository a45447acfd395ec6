import assert from 'node:assert/strict';
import { after, afterEach, before, describe, it } from 'node:test';
import { AppEnd, masterKey } from './lib/app-end.mjs';
import { connect, disconnectAll, heard, join } from './lib/client.mjs';
import { Driver } from './lib/driver.mjs';
import { Server, app, onlyBowline } from './lib/server.mjs';
import { needs, python, tool } from './lib/tools.mjs';
import { next } from './lib/wait.mjs';

const skip = needs(tool.pythonLibrary());

describe('pusher for Python', skip, () => {
  let server, end, driver;

  before(async () => {
    end = await AppEnd.start();
    server = await Server.start({
      EVENT_MAX_SIZE_IN_KB: 10,
      DEFAULT_APP_USER_AUTHENTICATION: true,
      DEFAULT_APP_WEBHOOKS: JSON.stringify([{ url: `${end.url}/hooks`, event_types: ['channel_occupied'] }]),
    });
    driver = new Driver(python, [new URL('python_library.py', import.meta.url).pathname]);
  });
  afterEach(disconnectAll);
  after(async () => {
    driver?.stop();
    await server?.stop();
    await end?.stop();
  });

  function call(method, args, overrides = {}) {
    const { host, port } = server;
    const options = { app_id: app.id, key: app.key, secret: app.secret, host, port, ssl: false };
    return driver.call({ method, args, options: { ...options, encryption_master_key_base64: masterKey, ...overrides } });
  }

  async function ok(method, ...args) {
    const answer = await call(method, args);
    assert.ok('ok' in answer, JSON.stringify(answer));
    return answer.ok;
  }

  it('triggers on one channel and on many, and leaves out a socket', async () => {
    const client = await connect(server, end);
    const [one, two] = [await join(client, 'py-one'), await join(client, 'py-two')];
    const got = [next(one, 'both'), next(two, 'both')];
    await ok('trigger', ['py-one', 'py-two'], 'both', { text: 'grüß' });
    assert.deepEqual(await Promise.all(got), [{ text: 'grüß' }, { text: 'grüß' }]);
    const fence = next(one, 'second');
    await ok('trigger', 'py-one', 'first', {}, client.connection.socket_id);
    await ok('trigger', 'py-one', 'second', {});
    await fence;
    assert.deepEqual(heard(one).map(({ event }) => event), ['both', 'second']);
  });

  it('triggers a batch', async () => {
    const channel = await join(await connect(server, end), 'py-batch');
    const last = next(channel, 'two');
    await ok('trigger_batch', [
      { channel: 'py-batch', name: 'one', data: { n: 1 } },
      { channel: 'py-batch', name: 'two', data: { n: 2 } },
    ]);
    assert.deepEqual(await last, { n: 2 });
    assert.deepEqual(heard(channel).map(({ event }) => event), ['one', 'two']);
  });

  it('encrypts for an encrypted channel', async () => {
    const channel = await join(await connect(server, end), 'private-encrypted-py');
    const opened = next(channel, 'opened');
    await ok('trigger', 'private-encrypted-py', 'opened', { code: 42 });
    assert.deepEqual(await opened, { code: 42 });
  });

  it('reads channels, a channel and its users', async () => {
    await join(await connect(server, end, 'ann'), 'presence-py');
    await join(await connect(server, end, 'bob'), 'presence-py');
    const { channels } = await ok('channels_info', 'presence-', ['user_count']);
    assert.ok('presence-py' in channels);
    const channel = await ok('channel_info', 'presence-py', ['user_count', 'subscription_count']);
    assert.equal(channel.user_count, 2);
    assert.equal(channel.occupied, true);
    const { users } = await ok('users_info', 'presence-py');
    assert.deepEqual(users.map(({ id }) => id).sort(), ['ann', 'bob']);
  });

  it('is told user_count in the list of channels', onlyBowline('it ignores info'), async () => {
    await join(await connect(server, end, 'ann'), 'presence-py-list');
    const { channels } = await ok('channels_info', 'presence-py-list', ['user_count']);
    assert.equal(channels['presence-py-list'].user_count, 1);
  });

  it('signs private and presence channels', async () => {
    const customHandler = ({ socketId, channelName }, callback) => {
      const custom = channelName.startsWith('presence-') ? [{ user_id: 'py', user_info: { name: 'Py' } }] : [];
      ok('authenticate', channelName, socketId, ...custom).then((auth) => callback(null, auth), callback);
    };
    const client = await connect(server, end, 'py', { channelAuthorization: { customHandler } });
    await join(client, 'private-py-signed');
    const room = await join(client, 'presence-py-signed');
    assert.deepEqual(room.members.me, { id: 'py', info: { name: 'Py' } });
  });

  it('signs users in', async () => {
    const customHandler = ({ socketId }, callback) =>
      ok('authenticate_user', socketId, { id: 'py', name: 'Py' }).then((auth) => callback(null, auth), callback);
    const client = await connect(server, end, 'py', { userAuthentication: { customHandler } });
    const signed = next(client.connection, 'message');
    client.signin();
    assert.equal((await signed).event, 'pusher:signin_success');
  });

  it('accepts the signature of a webhook and no other', async () => {
    await join(await connect(server, end), 'py-hooked');
    const { rawBody, headers } = await end.hookWith({ name: 'channel_occupied', channel: 'py-hooked' });
    const [key, signature] = [headers['x-pusher-key'], headers['x-pusher-signature']];
    const webhook = await ok('validate_webhook', key, signature, rawBody);
    assert.equal(webhook.events[0].channel, 'py-hooked');
    assert.equal(await ok('validate_webhook', key, signature, `${rawBody} `), null);
  });

  it('raises PusherBadAuth for a wrong secret', onlyBowline('it sends API errors with status 200'), async () => {
    for (const [method, args] of [['trigger', ['news', 'e', {}]], ['channels_info', []]]) {
      const answer = await call(method, args, { secret: 'wrong' });
      assert.equal(answer.error, 'PusherBadAuth');
      assert.equal(JSON.parse(answer.message).code, 401);
    }
  });

  it('raises PusherBadStatus with 413 when the data is too large', onlyBowline('it sends API errors with status 200'), async () => {
    const answer = await call('trigger', ['news', 'e', 'x'.repeat(11 * 1024)]);
    assert.equal(answer.error, 'PusherBadStatus');
    assert.match(answer.message, /^413: /);
  });

  it('raises PusherBadRequest for the users of a channel without presence', onlyBowline('it sends API errors with status 200'), async () => {
    const answer = await call('users_info', ['news']);
    assert.equal(answer.error, 'PusherBadRequest');
  });

  // The library leaves the app out of this path, so no server of the protocol can know whom it means.
  it('is told 404 for its terminate call', async () => {
    const answer = await call('terminate_user_connections', ['ann']);
    assert.equal(answer.error, 'PusherBadStatus');
    assert.match(answer.message, /^404: /);
  });
});
