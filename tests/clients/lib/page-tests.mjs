// A page with unmodified pusher-js in a real browser.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { after, afterEach, before, describe, it } from 'node:test';
import { promisify } from 'node:util';
import { AppEnd, library } from './app-end.mjs';
import * as browsers from './browsers.mjs';
import { connect, disconnectAll, join as subscribe } from './client.mjs';
import { Server, app, onlyBowline } from './server.mjs';
import { needs, tool } from './tools.mjs';
import { next, until } from './wait.mjs';

/** pusher-js waits 15 s once a connection was refused. */
const RECONNECT_MS = 40_000;

const run = promisify(execFile);
const { resolve } = createRequire(import.meta.url);

/** What the pages load, as the packages carry it. */
const pages = {
  '/page': ['text/html', new URL('page.html', import.meta.url)],
  '/echo': ['text/html', new URL('echo.html', import.meta.url)],
  '/pusher.js': ['text/javascript', resolve('pusher-js/dist/web/pusher-with-encryption.js')],
  '/echo.js': ['text/javascript', join(dirname(resolve('laravel-echo')), 'echo.iife.js')],
};

/** The same tests in the browser `name`: a file of their own each, so that their waits overlap. */
export const pageTests = (name) => describe(`pusher-js in ${name}`, needs(tool[name]()), () => inBrowser(name));

function inBrowser(name) {
  let server, end, api, browser;
  const secret = `private-encrypted-${name}`;
  const room = `presence-${name}`;

  before(async () => {
    end = await AppEnd.start();
    for (const [path, [type, file]] of Object.entries(pages)) end.page(path, type, await readFile(file));
    server = await Server.start({ DEFAULT_APP_ENABLE_CLIENT_MESSAGES: true });
    api = library(server);
    browser = await browsers[name]();
  });
  afterEach(disconnectAll);
  after(async () => {
    await browser?.close();
    await server?.stop();
    await end?.stop();
  });

  async function visit(path, at, channels = []) {
    const query = new URLSearchParams({ host: at.host, port: at.port, key: app.key, user: 'ann', channels });
    return shown(await browser.open(`${end.url}${path}?${query}`));
  }

  /** `page` with a wait for what it shows. */
  function shown(page) {
    const text = (id) => page.evaluate(`document.getElementById('${id}').textContent`);
    page.shows = (id, wanted, ms) => until(async () => (await text(id)).includes(wanted), `#${id} to show ${wanted}`, ms);
    return page;
  }

  async function open(...channels) {
    const page = await visit('/page', server, channels);
    await page.shows('joined', [...channels].sort().join(','));
    return page;
  }

  it('shows what is published on public, private and encrypted channels', async () => {
    const page = await open('news', 'private-news', secret);
    for (const channel of ['news', 'private-news', secret]) {
      await api.trigger(channel, 'greet', { text: `hello ${channel} ✓` });
      await page.shows('events', `${channel} greet {"text":"hello ${channel} ✓"}`);
    }
  });

  it('joins a presence channel, sees who comes and goes and whispers', async () => {
    const page = await open(room);
    await page.shows('members', 'ann');
    const bob = await connect(server, end, 'bob');
    const channel = await subscribe(bob, room);
    assert.deepEqual(Object.keys(channel.members.members).sort(), ['ann', 'bob']);
    await page.shows('members', 'ann,bob');
    const heard = next(channel, 'client-whisper');
    await page.evaluate(`document.getElementById('whisper').click()`);
    assert.deepEqual(await heard, { from: 'ann' });
    channel.trigger('client-answer', { from: 'bob' });
    await page.shows('events', `${room} client-answer {"from":"bob"}`);
    bob.disconnect();
    await until(async () => (await page.evaluate(`document.getElementById('members').textContent`)) === 'ann', 'bob to go');
  });

  it('listens and joins with laravel-echo as a Laravel page does', async () => {
    const page = await visit('/echo', server);
    await page.shows('events', 'subscribed');
    await page.shows('here', 'ann');
    await api.trigger('private-orders', 'shipped', { order: 7 });
    await page.shows('events', 'private {"order":7}');
    const bob = await connect(server, end, 'bob');
    await subscribe(bob, 'presence-lobby');
    await page.shows('events', 'joining bob');
    bob.disconnect();
    await page.shows('events', 'leaving bob');
  });

  it('shows the demo page, whose button and whose commands publish', onlyBowline('it has no demo page'), async () => {
    const demo = await Server.start({ DEFAULT_APP_ID: 'app-id', DEFAULT_APP_KEY: 'app-key', DEFAULT_APP_SECRET: 'app-secret' });
    try {
      const page = shown(await browser.open(`http://${demo.host}:${demo.port}/demo`));
      await page.shows('state', 'Connected');
      await page.evaluate(`document.getElementById('send').click()`);
      await page.shows('arrived', 'Hello from the server');
      const commands = JSON.parse(await page.evaluate(`JSON.stringify([...document.querySelectorAll('pre')].map((pre) => pre.textContent))`));
      for (const command of commands.filter((text) => text.includes('curl'))) await run('bash', ['-euc', command]);
      await page.shows('arrived', 'Hello from curl');
      await page.shows('arrived', 'Hello from the API');
    } finally {
      await demo.stop();
    }
  });

  it('is let in or refused by its origin', onlyBowline('it does not look at origins'), async () => {
    const strict = await Server.start({ DEFAULT_APP_ALLOWED_ORIGINS: '["example.org"]' });
    const lenient = await Server.start({ DEFAULT_APP_ALLOWED_ORIGINS: '["example.org","127.0.0.1"]' });
    try {
      const refused = await visit('/page', strict, ['news']);
      await refused.shows('error', '"code":4009');
      await refused.shows('state', 'disconnected');
      await (await visit('/page', lenient, ['news'])).shows('joined', 'news');
    } finally {
      await Promise.all([strict.stop(), lenient.stop()]);
    }
  });

  it('comes back after a restart of the server and goes on receiving', async () => {
    // Names of its own: pages of other tests come back too.
    const [own, ownRoom] = [`private-again-${name}`, `presence-again-${name}`];
    const page = await open(own, ownRoom);
    assert.equal(await server.restart(), 0);
    await page.shows('connections', '2', RECONNECT_MS);
    await until(async () => {
      const { channels } = await (await api.get({ path: '/channels' })).json();
      return own in channels && ownRoom in channels;
    }, 'the page to join its channels again');
    await api.trigger(own, 'greet', { text: 'again' });
    await page.shows('events', `${own} greet {"text":"again"}`);
  });
}
