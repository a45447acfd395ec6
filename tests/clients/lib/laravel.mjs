// A Laravel application under PHP's own web server, told where to broadcast by its configuration.
import { spawn } from 'node:child_process';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { app } from './server.mjs';
import { deadline } from './wait.mjs';

const START_MS = 20_000;
const index = fileURLToPath(new URL('../laravel/index.php', import.meta.url));

export class Laravel {
  #base;
  #child;

  /** `connection` replaces parts of config/broadcasting.php, for example the secret. */
  static async start(server, connection = {}) {
    const laravel = new Laravel();
    laravel.#base = await mkdtemp(join(tmpdir(), 'bowline-laravel-'));
    await laravel.#layOut(server, connection);
    laravel.#child = spawn('php', ['-d', 'display_errors=stderr', '-S', '127.0.0.1:0', index], {
      env: { ...process.env, LARAVEL_BASE: laravel.#base },
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    process.on('exit', () => laravel.#child.kill('SIGKILL'));
    laravel.url = await deadline(laravel.#listening(), START_MS, "PHP's web server to listen");
    return laravel;
  }

  /** Posts `body` as the user `id`; Laravel takes the sender to exclude from X-Socket-ID, as Echo sends it. */
  post(path, body, { id, socketId } = {}) {
    return fetch(`${this.url}${path}`, {
      method: 'POST',
      headers: {
        Accept: 'application/json',
        'Content-Type': 'application/json',
        ...(id && { Authorization: `Bearer ${id}` }),
        ...(socketId && { 'X-Socket-ID': socketId }),
      },
      body: JSON.stringify(body),
    });
  }

  async stop() {
    this.#child.kill('SIGKILL');
    await rm(this.#base, { recursive: true, force: true });
  }

  #listening() {
    return new Promise((done, fail) => {
      const said = [];
      this.#child.once('error', fail);
      this.#child.once('exit', (code) => fail(new Error(`php ended with ${code}\n${said.join('\n')}`)));
      createInterface({ input: this.#child.stderr }).on('line', (line) => {
        said.push(line);
        const found = /\((http:\/\/127\.0\.0\.1:\d+)\) started/.exec(line);
        if (found) done(found[1]);
      });
    });
  }

  async #layOut(server, connection) {
    for (const folder of ['config', 'bootstrap/cache', 'storage/framework/views', 'storage/logs', 'app']) {
      await mkdir(join(this.#base, folder), { recursive: true });
    }
    const options = { host: server.host, port: server.port, scheme: 'http' };
    const pusher = { driver: 'pusher', key: app.key, secret: app.secret, app_id: app.id, options, ...connection };
    const config = {
      app: {
        name: 'clients', env: 'testing', debug: true, url: 'http://127.0.0.1', timezone: 'UTC', locale: 'en',
        fallback_locale: 'en', key: `base64:${Buffer.alloc(32, 'k').toString('base64')}`, cipher: 'AES-256-CBC',
        providers: [
          'Auth\\AuthServiceProvider', 'Broadcasting\\BroadcastServiceProvider', 'Bus\\BusServiceProvider',
          'Cache\\CacheServiceProvider', 'Filesystem\\FilesystemServiceProvider', 'Queue\\QueueServiceProvider',
          'View\\ViewServiceProvider', 'Foundation\\Providers\\FoundationServiceProvider',
        ].map((name) => `Illuminate\\${name}`),
        aliases: {},
      },
      auth: { defaults: { guard: 'token' }, guards: { token: { driver: 'token' } }, providers: {} },
      broadcasting: { default: 'pusher', connections: { pusher } },
      cache: { default: 'array', stores: { array: { driver: 'array' } }, prefix: '' },
      logging: { default: 'single', channels: { single: { driver: 'errorlog' } } },
      queue: { default: 'sync', connections: { sync: { driver: 'sync' } } },
      view: { paths: [], compiled: join(this.#base, 'storage/framework/views') },
    };
    for (const [name, values] of Object.entries(config)) {
      const php = `<?php return json_decode(<<<'JSON'\n${JSON.stringify(values)}\nJSON, true);\n`;
      await writeFile(join(this.#base, 'config', `${name}.php`), php);
    }
    await writeFile(join(this.#base, 'composer.json'), '{"autoload":{"psr-4":{"App\\\\":"app/"}}}');
  }
}
