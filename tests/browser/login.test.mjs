// People sign in at the console in a real browser, at a certified OpenID provider that runs beside it:
// they land where they wanted to go, and nothing that was tampered with signs anybody in.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { createServer } from 'node:https';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';

import Provider from 'oidc-provider';
import { chromium } from 'playwright-core';

import { artefacts, axeSource, launching } from './chromium.mjs';
import { Demo, program } from './demo.mjs';

const secret = 'a-secret-that-was-agreed-upon';

/** Whom the provider knows, and what it says of them. */
const staff = { pia: ['privacy'], rita: ['review'], ned: [] };

/** The demo's folder, with a console at which people sign in at a provider. */
class Place {
  static async start() {
    const demo = await Demo.start();
    await demo.stop();
    const file = (name) => join(demo.folder, name);
    const [key, cert] = await Promise.all(
      ['certs/standin.key', 'certs/standin.pem'].map((name) => readFile(file(name))),
    );
    const server = createServer({ key, cert });
    await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
    const issuer = `https://localhost:${server.address().port}`;
    const config = await readFile(file('noticegate.toml'), 'utf8');
    const listen = config.match(/^address = "127\.0\.0\.1:\d+"$/m)[0];
    await writeFile(
      file('noticegate.toml'),
      config
        .replace(listen, 'address = "127.0.0.1:0"')
        .replace('level = "warn"', 'level = "info"')
        .replace('[policies]', `[console.login]
issuer = "staff"
client_id = "console"
client_secret_file = "secrets/console"
scopes = ["roles"]

[policies]`) + `
[[issuer]]
name = "staff"
issuer = "${issuer}"
audiences = ["noticegate"]
jwks_url = "${issuer}/jwks"
ca_file = "certs/ca.pem"
algorithms = ["RS256"]
roles = { privacy = "privacy-officer", review = "reviewer" }
`,
    );
    await writeFile(file('secrets/console'), `${secret}\n`, { mode: 0o600 });
    const gate = await serve(file('noticegate.toml'));
    const place = Object.assign(new Place(), { demo, server, issuer, ...gate });
    place.provide();
    return place;
  }

  /** The provider, which knows the console by now. */
  provide() {
    const provider = new Provider(this.issuer, {
      clients: [
        {
          client_id: 'console',
          client_secret: secret,
          redirect_uris: [`${this.console}/login/callback`],
          grant_types: ['authorization_code'],
          response_types: ['code'],
        },
      ],
      // In the user info alone, where the ID token has none: many providers do the same.
      claims: { openid: ['sub'], roles: ['roles'] },
      cookies: { keys: ['only-for-this-test'] },
      findAccount: (_, id) => ({
        accountId: id,
        claims: () => ({ sub: id, roles: staff[id] ?? [] }),
      }),
      pkce: { required: () => true },
    });
    const answer = provider.callback();
    this.evil = '';
    this.server.on('request', (request, response) => {
      if (request.url !== '/evil') return answer(request, response);
      response.setHeader('content-type', 'text/html');
      return response.end(this.evil);
    });
  }

  async stop() {
    this.child.kill('SIGINT');
    assert.deepEqual(await this.ended, { code: 0, signal: null });
    this.server.closeAllConnections();
    this.server.close();
    await this.demo.remove();
  }
}

/** Starts `serve`, and reads from its log where the console is. */
async function serve(config) {
  const child = spawn(program, ['serve', '--config', config], {
    stdio: ['ignore', 'inherit', 'pipe'],
  });
  const ended = new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code, signal) => resolve({ code, signal }));
  });
  process.once('exit', () => child.kill('SIGKILL'));
  let text = '';
  child.stderr.setEncoding('utf8');
  const port = await Promise.race([
    new Promise((resolve) => {
      child.stderr.on('data', (piece) => {
        text += piece;
        // eslint-disable-next-line no-control-regex
        const plain = text.replaceAll(/\x1b\[\d*m/g, '');
        const said = plain.match(/serving.*console\W+(?:Some\()?127\.0\.0\.1:(\d+)/);
        if (said) resolve(said[1]);
      });
    }),
    ended.then(() => Promise.reject(new Error(`the gate did not start:\n${text}`))),
  ]);
  return { child, ended, console: `https://localhost:${port}` };
}

describe('Chromium signs in', { timeout: 240_000 }, () => {
  let place;
  let browser;
  let axe;

  before(async () => {
    await mkdir(artefacts, { recursive: true });
    place = await Place.start();
    browser = await chromium.launch(launching);
    axe = await axeSource();
  });

  after(async () => {
    await browser?.close();
    await place?.stop();
  });

  /** A browser of its own, without anybody's cookies. */
  async function browse(act, options = {}) {
    const context = await browser.newContext({ ignoreHTTPSErrors: true, ...options });
    try {
      return await act(await context.newPage(), context);
    } finally {
      await context.close();
    }
  }

  /** From the console's page through the provider's pages, up to the way back. */
  async function signIn(page, who = 'pia') {
    await page.getByRole('link', { name: 'Sign in', exact: true }).click();
    await page.locator('input[name=login]').fill(who);
    await page.locator('input[name=password]').fill('any');
    await page.locator('button[type=submit]').click();
    await page.locator('button[type=submit]', { hasText: 'Continue' }).click();
  }

  /** Signs in, but keeps the browser from following the way back; returns that. */
  async function wayBack(page) {
    await page.goto(`${place.console}/login`);
    await page.getByRole('link', { name: 'Sign in', exact: true }).click();
    await page.locator('input[name=login]').fill('pia');
    await page.locator('input[name=password]').fill('any');
    await page.locator('button[type=submit]').click();
    await page.locator('button[type=submit]', { hasText: 'Continue' }).waitFor();
    const action = await page.locator('form').first().evaluate((form) => form.action);
    const send = { form: { prompt: 'consent' }, maxRedirects: 0 };
    let answer = await page.context().request.post(action, send);
    for (;;) {
      const location = new URL(answer.headers().location, place.issuer);
      if (location.origin === place.console) return location.href;
      answer = await page.context().request.get(location.href, { maxRedirects: 0 });
    }
  }

  async function isRefused(page, why) {
    assert.match(await page.locator('[role=alert]').innerText(), why);
    const cookies = await page.context().cookies(place.console);
    assert.ok(!cookies.some(({ name }) => name === '__Host-noticegate'), 'nobody is signed in');
  }

  async function faults(page) {
    await page.evaluate(axe);
    const { violations } = await page.evaluate(() => globalThis.axe.run());
    return violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(' ')}`);
  }

  test('and lands where they wanted to go, as somebody with their roles', { timeout: 60_000 }, async () => {
    await browse(async (page, context) => {
      await page.goto(`${place.console}/?day=2026-11-03`);
      assert.equal(new URL(page.url()).pathname, '/login');
      await signIn(page);
      await page.waitForURL(`${place.console}/?day=2026-11-03`);
      assert.match(await page.locator('.who').innerText(), /staff\|pia/);
      // The provider has the same host name here, and cookies know no ports.
      const cookies = await context.cookies(place.console);
      const [cookie, ...others] = cookies.filter(({ name }) => name.startsWith('__Host-'));
      assert.deepEqual(others, []);
      const { name, httpOnly, secure, sameSite, path, domain } = cookie;
      assert.deepEqual(
        { name, httpOnly, secure, sameSite, path, domain },
        {
          name: '__Host-noticegate',
          httpOnly: true,
          secure: true,
          sameSite: 'Lax',
          path: '/',
          domain: 'localhost',
        },
      );
      const holds = await page.evaluate(async () => (await fetch('/api/v1/holds')).status);
      assert.equal(holds, 200, 'a privacy officer, by the provider’s claim');
    });
    await browse(async (page) => {
      await page.goto(`${place.console}/login`);
      await signIn(page, 'ned');
      await page.waitForURL(`${place.console}/`);
      const holds = await page.evaluate(async () => (await fetch('/api/v1/holds')).status);
      assert.equal(holds, 403, 'no claim, no role');
    });
  });

  test('and out again, here and there', { timeout: 60_000 }, async () => {
    await browse(async (page) => {
      await page.goto(`${place.console}/login`);
      await signIn(page);
      await page.waitForURL(`${place.console}/`);
      await page.getByRole('button', { name: 'Sign out' }).click();
      assert.equal(await page.locator('h1').innerText(), 'You are signed out');
      assert.deepEqual(await faults(page), []);
      const there = page.getByRole('link', { name: 'Sign out there, too' });
      assert.ok((await there.getAttribute('href')).startsWith(`${place.issuer}/session/end?`));
      await there.click();
      await page.getByRole('button', { name: /Yes/ }).click();
      await page.goto(`${place.console}/`);
      assert.equal(new URL(page.url()).pathname, '/login');
      await page.getByRole('link', { name: 'Sign in', exact: true }).click();
      await page.locator('input[name=login]').waitFor();
    });
  });

  test('not with another state, twice, or in another browser', { timeout: 60_000 }, async () => {
    await browse(async (page) => {
      for (const query of ['', '?code=a', '?code=a&state=nonsense', '?state=a&state=b']) {
        await page.goto(`${place.console}/login/callback${query}`);
        await isRefused(page, /not begun here/);
      }
      const back = await wayBack(page);
      await browse(async (other) => {
        await other.goto(`${place.console}/login`);
        await other.goto(back);
        await isRefused(other, /not begun here/);
      });
      await page.goto(back);
      await isRefused(page, /not begun here/);
    });
    await browse(async (page, context) => {
      const back = await wayBack(page);
      await page.goto(back);
      await page.waitForURL(`${place.console}/`);
      await context.clearCookies();
      await page.goto(back);
      await isRefused(page, /not begun here/);
      // The code of one sign-in in the answer of another.
      const other = new URL(await wayBack(page));
      other.searchParams.set('code', new URL(back).searchParams.get('code'));
      await page.goto(other.href);
      await isRefused(page, /does not take the code/);
    });
  });

  test('not with another nonce, verifier or issuer', { timeout: 60_000 }, async () => {
    for (const [name, why] of [
      ['nonce', /ID token is not valid/],
      ['code_challenge', /does not take the code/],
    ]) {
      await browse(async (page) => {
        await page.goto(`${place.console}/login`);
        // A redirect that the browser follows is not seen, so it is asked for by itself.
        const start = await page.getByRole('link', { name: 'Sign in', exact: true }).getAttribute('href');
        const first = await page.context().request.get(`${place.console}${start}`, { maxRedirects: 0 });
        const url = new URL(first.headers().location);
        const other = url.searchParams.get(name).split('').reverse().join('');
        url.searchParams.set(name, other);
        await page.goto(url.href);
        await page.locator('input[name=login]').fill('pia');
        await page.locator('input[name=password]').fill('any');
        await page.locator('button[type=submit]').click();
        await page.locator('button[type=submit]', { hasText: 'Continue' }).click();
        await page.waitForURL(`${place.console}/**`);
        await isRefused(page, why);
      });
    }
    await browse(async (page) => {
      const back = new URL(await wayBack(page));
      back.searchParams.set('iss', 'https://evil.example');
      await page.goto(back.href);
      await isRefused(page, /not of the provider/);
    });
  });

  test('not when the provider says no', { timeout: 60_000 }, async () => {
    await browse(async (page) => {
      await page.goto(`${place.console}/login`);
      await page.getByRole('link', { name: 'Sign in', exact: true }).click();
      await page.getByRole('link', { name: /Cancel/ }).click();
      await page.waitForURL(`${place.console}/**`);
      await isRefused(page, /access_denied/);
    });
  });

  test('and to no other site than the console', { timeout: 60_000 }, async () => {
    for (const to of ['//evil.example', 'https://evil.example/', '/\\evil.example']) {
      await browse(async (page) => {
        await page.goto(`${place.console}/login?to=${encodeURIComponent(to)}`);
        await signIn(page);
        await page.waitForURL(`${place.console}/`);
      });
    }
  });

  test('and other sites can do nothing with it', { timeout: 60_000 }, async () => {
    await browse(async (page) => {
      await page.goto(`${place.console}/login`);
      await signIn(page);
      await page.waitForURL(`${place.console}/`);
      // localhost with another port is another origin of the same site, whose cookies are sent.
      place.evil = `<form method="post" action="${place.console}/logout"><button>Win</button></form>`;
      await page.goto(`${place.issuer}/evil`);
      await page.getByRole('button', { name: 'Win' }).click();
      assert.match(await page.locator('h1').innerText(), /another site/);
      await page.goto(`${place.issuer}/evil`);
      const read = await page.evaluate(async (url) => {
        try {
          return await (await fetch(url, { credentials: 'include' })).text();
        } catch (error) {
          return error.name;
        }
      }, `${place.console}/api/v1/holds`);
      assert.equal(read, 'TypeError');
      await page.goto(`${place.console}/`);
      assert.match(await page.locator('.who').innerText(), /staff\|pia/, 'still signed in');
    });
  });

  test('on pages that everybody can use', { timeout: 60_000 }, async () => {
    const views = {
      light: { colorScheme: 'light' },
      dark: { colorScheme: 'dark' },
      telephone: { viewport: { width: 360, height: 740 } },
    };
    for (const [name, view] of Object.entries(views)) {
      await browse(async (page) => {
        await page.goto(`${place.console}/login`);
        assert.deepEqual(await faults(page), []);
        const fits = () => document.documentElement.scrollWidth <= window.innerWidth;
        assert.ok(await page.evaluate(fits));
        await page.screenshot({ path: join(artefacts, `login-${name}.png`), fullPage: true });
        await page.goto(`${place.console}/login/callback`);
        await isRefused(page, /not begun here/);
        assert.deepEqual(await faults(page), []);
        await page.screenshot({ path: join(artefacts, `login-refused-${name}.png`), fullPage: true });
        await page.goto(`${place.console}/login`);
        await signIn(page, 'ned');
        await page.waitForURL(`${place.console}/`);
        await page.goto(`${place.console}/nothing`);
        assert.match(await page.locator('h1').innerText(), /There is nothing here/);
        assert.deepEqual(await faults(page), []);
        assert.ok(await page.evaluate(fits));
        await page.screenshot({ path: join(artefacts, `wrong-${name}.png`), fullPage: true });
      }, view);
    }
  });

  test('and all of it is on record', { timeout: 60_000 }, async () => {
    const entries = await place.demo.entries();
    const console = entries.filter(({ t }) => t === 'console');
    assert.ok(console.some(({ action, actor }) => action === 'sign-in' && actor === 'staff|pia'));
    assert.ok(console.some(({ action, actor }) => action === 'sign-out' && actor === 'staff|pia'));
    const refused = entries.filter(({ t, detail }) => t === 'console-refused' && detail === 'GET /login/callback');
    assert.ok(refused.length >= 8, `${refused.length} tries failed`);
  });
});
