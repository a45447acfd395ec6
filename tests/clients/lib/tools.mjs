// What the suite needs beside Node, and where it is.
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

const repository = fileURLToPath(new URL('../../..', import.meta.url));
const works = (program, args) => spawnSync(program, args, { stdio: 'ignore' }).status === 0;

/** A Python that has the library of requirements.txt: BOWLINE_PYTHON, or the one `make setup` made. */
export const python = process.env.BOWLINE_PYTHON ?? resolve(repository, '.cache/venv/bin/python');

/** Test options: `needs(['chromium', found])` skips and says so where the tool is missing. */
export function needs([name, found]) {
  if (found) return {};
  console.log(`skipped: no ${name}`);
  return { skip: `no ${name}` };
}

export const tool = {
  pythonLibrary: () => ['Python library pusher', works(python, ['-c', 'import pusher'])],
  chromium: () => ['chromium', chromiumPath !== undefined],
  firefox: () => ['firefox-esr', works('firefox-esr', ['--version'])],
  openssl: () => ['openssl', works('openssl', ['version'])],
  laravel: () => ['php-laravel-framework', works('php', ['-r', `exit(is_file('${laravelAutoload}') ? 0 : 1);`])],
};

const laravelAutoload = '/usr/share/php/Illuminate/autoload.php';
export const chromiumPath = ['/usr/bin/chromium', '/usr/bin/chromium-browser'].find((path) => existsSync(path));
