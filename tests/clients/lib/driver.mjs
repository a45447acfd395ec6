// A library of another language in a process of its own: JSON lines in, JSON lines out, in order.
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { deadline } from './wait.mjs';

const CALL_MS = 20_000;

export class Driver {
  #child;
  #waiting = [];
  #said = [];

  constructor(program, args) {
    this.#child = spawn(program, args, { stdio: ['pipe', 'pipe', 'pipe'] });
    this.#child.stdin.on('error', () => {});
    this.#child.on('error', (error) => this.#end(error.message));
    this.#child.on('exit', (code) => this.#end(`it ended with ${code}`));
    this.#child.stderr.on('data', (text) => this.#said.push(text));
    createInterface({ input: this.#child.stdout }).on('line', (line) => this.#waiting.shift()?.done(JSON.parse(line)));
    process.on('exit', () => this.#child.kill('SIGKILL'));
  }

  call(request) {
    const answer = new Promise((done, fail) => this.#waiting.push({ done, fail }));
    this.#child.stdin.write(`${JSON.stringify(request)}\n`);
    return deadline(answer, CALL_MS, () => `an answer to ${JSON.stringify(request)}\n${this.#said.join('')}`);
  }

  stop() {
    this.#child.kill();
  }

  #end(reason) {
    this.#waiting.splice(0).forEach(({ fail }) => fail(new Error(`${reason}\n${this.#said.join('')}`)));
  }
}
