// The server under test: one process on loopback, told everything by SOKETI_* variables.
//
// BOWLINE_BIN   the program to start (default: target/debug/bowline)
// BOWLINE_PEER  `soketi` when BOWLINE_BIN starts Soketi: it has no port 0 and no "listening" line,
//               and the tests of what Bowline does differently on purpose are skipped.
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { createServer } from 'node:net';
import { dirname, join, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { deadline, pause } from './wait.mjs';

const repository = resolve(dirname(fileURLToPath(import.meta.url)), '../../..');
const program = process.env.BOWLINE_BIN
  ? resolve(process.env.BOWLINE_BIN)
  : join(process.env.CARGO_TARGET_DIR ?? join(repository, 'target'), 'debug/bowline');

/** `onlyBowline('reason')` as a test's options: skipped when the peer that is replaced is under test. */
export const onlyBowline = (reason) =>
  process.env.BOWLINE_PEER === 'soketi' ? { skip: `Soketi differs: ${reason}` } : {};

const peerHasNoPortZero = process.env.BOWLINE_PEER === 'soketi';

/** A numeric id, because the Python library accepts nothing else. */
export const app = { id: '4711', key: 'test-key', secret: 'test-secret' };

const START_MS = 15_000;
const STOP_MS = 15_000;
const LOG_LINES_KEPT = 60;

const running = new Set();
process.on('exit', () => running.forEach((child) => child.kill('SIGKILL')));

async function freePort() {
  const probe = createServer().listen(0, '127.0.0.1');
  await new Promise((done) => probe.once('listening', done));
  const { port } = probe.address();
  await new Promise((done) => probe.close(done));
  return port;
}

export class Server {
  host = '127.0.0.1';
  port = 0;
  log = [];
  #child;
  #exit;
  #variables;

  /** Starts a server with the test's app; `variables` come on top, without their `SOKETI_` prefix. */
  static async start(variables = {}) {
    const server = new Server();
    server.#variables = variables;
    await server.#spawn();
    return server;
  }

  /** SIGTERM, then the exit code (or the signal's name). */
  async stop() {
    this.#child.kill('SIGTERM');
    return deadline(this.#exit, STOP_MS, () => `the server to stop\n${this.log.join('\n')}`);
  }

  /** SIGTERM, then a new process on the same port. */
  async restart() {
    const code = await this.stop();
    await this.#spawn();
    return code;
  }

  async #spawn() {
    if (!existsSync(program)) throw new Error(`no server to test at ${program}: run "cargo build" or set BOWLINE_BIN`);
    const pick = peerHasNoPortZero ? freePort : () => 0;
    const port = this.port || (await pick());
    this.#child = spawn(program, ['start'], {
      env: { ...inherited(), ...prefixed(defaults(port, await pick())), ...prefixed(this.#variables) },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    running.add(this.#child);
    this.#exit = new Promise((done) => this.#child.once('exit', (code, signal) => done(code ?? signal)));
    this.#exit.then(() => running.delete(this.#child));
    const gone = this.#exit.then((code) => Promise.reject(new Error(`the server ended with ${code}`)));
    gone.catch(() => {});
    const ready = peerHasNoPortZero ? this.#answers(port) : this.#saysListening();
    this.port = await deadline(Promise.race([ready, gone]), START_MS, () => `the server to listen\n${this.log.join('\n')}`);
  }

  /** The port of the line `… listening address=127.0.0.1:PORT kind=main`. */
  #saysListening() {
    return new Promise((done) => {
      for (const stream of [this.#child.stdout, this.#child.stderr]) {
        createInterface({ input: stream }).on('line', (line) => {
          this.log.push(line);
          if (this.log.length > LOG_LINES_KEPT) this.log.shift();
          const plain = line.replace(/\u001b\[[0-9;]*m/g, '');
          const found = /listening.*\baddress=\S*:(\d+)/.exec(plain);
          if (found && /\bkind=main\b/.test(plain)) done(Number(found[1]));
        });
      }
    });
  }

  async #answers(port) {
    this.#child.stdout.resume();
    this.#child.stderr.resume();
    const scheme = 'SSL_CERT' in this.#variables ? 'https' : 'http';
    const prefix = this.#variables.PATH_PREFIX ?? '';
    const asked = async () => (await fetch(`${scheme}://127.0.0.1:${port}${prefix}/ready`)).ok;
    while (!(await asked().catch(() => false))) await pause(50);
    return port;
  }
}

/** The environment without what is the suite's own, and without settings of a server that are not the test's. */
function inherited() {
  const dropped = /^(SOKETI_.*|BOWLINE_(BIN|PEER|PYTHON))$/;
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => !dropped.test(name)));
}

function defaults(port, metricsPort) {
  return {
    HOST: '127.0.0.1',
    PORT: port,
    METRICS_HOST: '127.0.0.1',
    METRICS_SERVER_PORT: metricsPort,
    CLUSTER_HOST: '127.0.0.1',
    SHUTDOWN_GRACE_PERIOD: 1000,
    DEFAULT_APP_ID: app.id,
    DEFAULT_APP_KEY: app.key,
    DEFAULT_APP_SECRET: app.secret,
  };
}

function prefixed(variables) {
  return Object.fromEntries(Object.entries(variables).map(([name, value]) => [`SOKETI_${name}`, String(value)]));
}
