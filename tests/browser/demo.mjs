// Starts `noticegate demo` as a person would and reads from its tour where everything is.

import { spawn, execFile } from 'node:child_process';
import { randomUUID, sign } from 'node:crypto';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

export const root = fileURLToPath(new URL('../..', import.meta.url));
export const program = join(process.env.CARGO_TARGET_DIR ?? join(root, 'target'), 'debug/noticegate');
const run = promisify(execFile);

export class Demo {
  static async start() {
    const home = await mkdtemp(join(tmpdir(), 'noticegate-browser-'));
    const folder = join(home, 'demo');
    const child = spawn(program, ['demo', '--port', '0', '--directory', folder], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const ended = new Promise((resolve, reject) => {
      child.once('error', reject);
      child.once('close', (code, signal) => resolve({ code, signal }));
    });
    // A test runner that fails half-way must not leave a gate behind.
    const kill = () => child.kill('SIGKILL');
    process.once('exit', kill);
    try {
      const tour = await readTour(child, ended);
      const token = (await readFile(join(folder, 'tokens/ana.jwt'), 'utf8')).trim();
      return Object.assign(new Demo(), { home, folder, child, ended, kill, token, ...tour });
    } catch (error) {
      kill();
      throw error;
    }
  }

  /** Fetches with curl, which trusts the demo's authority and nothing else. */
  async curl(url, headers, ...options) {
    const lines = Object.entries(headers).flatMap(([name, value]) => ['-H', `${name}: ${value}`]);
    const ca = ['--cacert', join(this.folder, 'certs/ca.pem')];
    const { stdout } = await run('curl', ['-sS', '--fail', ...ca, ...lines, ...options, url], {
      encoding: 'buffer',
      maxBuffer: 64 << 20,
    });
    return stdout;
  }

  /** A token of Ana's that is good until this second, from the demo's own issuer. */
  async tokenUntil(exp) {
    return this.tokenWith({ exp });
  }

  /** A token of Ana's with other claims. */
  async tokenWith(changed) {
    const claims = JSON.parse(Buffer.from(this.token.split('.')[1], 'base64url'));
    const part = (json) => Buffer.from(JSON.stringify(json)).toString('base64url');
    const own = { ...claims, ...changed, jti: randomUUID() };
    const said = `${this.token.split('.')[0]}.${part(own)}`;
    const key = await readFile(join(this.folder, 'issuer/key.pem'));
    const signature = sign('sha256', Buffer.from(said), { key, dsaEncoding: 'ieee-p1363' });
    return `${said}.${signature.toString('base64url')}`;
  }

  /** All entries of the ledger, oldest first. */
  async entries() {
    const config = ['--config', join(this.folder, 'noticegate.toml')];
    const query = ['ledger', 'query', ...config, '--format', 'json', '--limit', '10000'];
    const { stdout } = await run(program, query, { maxBuffer: 64 << 20 });
    const rows = stdout.trim().split('\n').map((line) => JSON.parse(line));
    return rows.sort((a, b) => a.seq - b.seq).map((row) => row.entry);
  }

  /** Ctrl-C, and how it ended. */
  async stop() {
    this.child.kill('SIGINT');
    const ended = await this.ended;
    process.removeListener('exit', this.kill);
    return ended;
  }

  /** Only after `stop`. */
  async remove() {
    await rm(this.home, { recursive: true, force: true });
  }
}

/** The tour ends with the line on the notice; the gate answers before it is printed. */
async function readTour(child, ended) {
  let text = '';
  child.stdout.setEncoding('utf8');
  const printed = new Promise((resolve) => {
    child.stdout.on('data', (piece) => {
      text += piece;
      if (text.includes('The notice is ')) resolve();
    });
  });
  const early = ended.then(({ code, signal }) => {
    throw new Error(`the demo ended (${code ?? signal}) before its tour:\n${text}`);
  });
  await Promise.race([printed, early]);
  const gate = text.match(/^ *gate +(https:\S+)/m)?.[1];
  const console = text.match(/^ *console +(https:\S+)/m)?.[1];
  // Without its extension: the tests ask for each.
  const recording = text.match(/^ *(https:\S+\/Recordings\/RE\w+)\.mp3/m)?.[1];
  if (!gate || !console || !recording) {
    throw new Error(`the tour names no gate, console or recording:\n${text}`);
  }
  return { gate, console, recording };
}
