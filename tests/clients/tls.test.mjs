import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { Agent } from 'node:https';
import { tmpdir } from 'node:os';
import { join as path } from 'node:path';
import { after, afterEach, before, describe, it } from 'node:test';
import { AppEnd, library } from './lib/app-end.mjs';
import { connect, disconnectAll, join } from './lib/client.mjs';
import { Server } from './lib/server.mjs';
import { needs, tool } from './lib/tools.mjs';
import { next } from './lib/wait.mjs';

describe('over TLS', needs(tool.openssl()), () => {
  let folder, server, end, ca;

  before(async () => {
    folder = await mkdtemp(path(tmpdir(), 'bowline-tls-'));
    const [key, certificate] = [path(folder, 'key.pem'), path(folder, 'cert.pem')];
    const subject = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost,IP:127.0.0.1', '-days', '2'];
    const curve = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
    execFileSync('openssl', ['req', '-x509', ...curve, ...subject, '-keyout', key, '-out', certificate], { stdio: 'ignore' });
    ca = await readFile(certificate);
    // pusher-js under Node has no option for a certificate of one's own.
    process.env.NODE_TLS_REJECT_UNAUTHORIZED = '0';
    end = await AppEnd.start();
    server = await Server.start({ SSL_CERT: certificate, SSL_KEY: key });
  });
  afterEach(disconnectAll);
  after(async () => {
    await server?.stop();
    await end?.stop();
    await rm(folder, { recursive: true, force: true });
  });

  it('pusher-js receives over wss what the library publishes over https', async () => {
    const client = await connect(server, end, 'ann', { forceTLS: true, wssPort: server.port });
    const channel = await join(client, 'private-orders');
    const shipped = next(channel, 'shipped');
    const api = library(server, { useTLS: true, agent: new Agent({ ca }) });
    await api.trigger('private-orders', 'shipped', { order: 7 });
    assert.deepEqual(await shipped, { order: 7 });
  });
});
