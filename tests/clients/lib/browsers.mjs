// Real browsers, headless, each behind the same three words: open a page, evaluate in it, close.
import { spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { chromiumPath } from './tools.mjs';
import { deadline } from './wait.mjs';

const START_MS = 60_000;
const COMMAND_MS = 30_000;

export async function chromium() {
  const { chromium: launcher } = await import('playwright-core');
  const browser = await launcher.launch({ executablePath: chromiumPath, args: ['--no-sandbox'], timeout: START_MS });
  return {
    async open(url) {
      const page = await browser.newPage();
      await page.goto(url);
      return { evaluate: (expression) => page.evaluate(expression) };
    },
    close: () => browser.close(),
  };
}

/** Firefox, told what to do over WebDriver BiDi, which Debian's build speaks without geckodriver. */
export async function firefox() {
  const profile = await mkdtemp(join(tmpdir(), 'bowline-firefox-'));
  const child = spawn('firefox-esr', ['--headless', '--no-remote', '--remote-debugging-port', '0', '--profile', profile], {
    stdio: ['ignore', 'ignore', 'pipe'],
    env: { ...process.env, HOME: profile, MOZ_CRASHREPORTER_DISABLE: '1' },
  });
  const kill = () => child.kill('SIGKILL');
  process.on('exit', kill);
  const exit = new Promise((done) => child.once('exit', done));
  const bidi = await Bidi.connect(await deadline(bidiAddress(child), START_MS, 'Firefox to listen'));
  await bidi.call('session.new', { capabilities: {} });
  return {
    async open(url) {
      const { context } = await bidi.call('browsingContext.create', { type: 'tab' });
      await bidi.call('browsingContext.navigate', { context, url, wait: 'complete' });
      return { evaluate: (expression) => bidi.evaluate(context, expression) };
    },
    async close() {
      bidi.close();
      kill();
      await exit;
      process.off('exit', kill);
      await rm(profile, { recursive: true, force: true, maxRetries: 5 });
    },
  };
}

function bidiAddress(child) {
  return new Promise((done, fail) => {
    child.once('exit', (code) => fail(new Error(`Firefox ended with ${code}`)));
    createInterface({ input: child.stderr }).on('line', (line) => {
      const found = /WebDriver BiDi listening on (ws:\S+)/.exec(line);
      if (found) done(found[1]);
    });
  });
}

class Bidi {
  #socket;
  #last = 0;
  #waiting = new Map();

  static async connect(address) {
    const { WebSocket } = await import('ws');
    const bidi = new Bidi();
    bidi.#socket = new WebSocket(`${address}/session`);
    bidi.#socket.on('message', (text) => bidi.#answer(JSON.parse(text)));
    await deadline(
      new Promise((done, fail) => bidi.#socket.once('open', done).once('error', fail)),
      START_MS,
      'the BiDi session',
    );
    return bidi;
  }

  call(method, params) {
    const id = (this.#last += 1);
    const answer = new Promise((done, fail) => this.#waiting.set(id, { done, fail }));
    this.#socket.send(JSON.stringify({ id, method, params }));
    return deadline(answer, COMMAND_MS, method);
  }

  async evaluate(context, expression) {
    const params = { expression, target: { context }, awaitPromise: true };
    const { type, result, exceptionDetails } = await this.call('script.evaluate', params);
    if (type !== 'success') throw new Error(exceptionDetails.text);
    return result.value;
  }

  close() {
    this.#socket.close();
  }

  #answer({ id, type, result, error, message }) {
    const waiting = this.#waiting.get(id);
    this.#waiting.delete(id);
    if (type === 'success') waiting?.done(result);
    else waiting?.fail(new Error(`${error}: ${message}`));
  }
}
