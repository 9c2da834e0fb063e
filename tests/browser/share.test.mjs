// A real browser opens links that give recordings: what somebody outside sees and hears.
//
// The page is the gate's own. It has to play and seek, say why it stops, work with a keyboard and on
// a telephone, and hold up to what an accessibility checker looks for.

import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';

import { chromium } from 'playwright-core';

import { artefacts, axeSource, launching } from './chromium.mjs';
import { Demo } from './demo.mjs';

describe('Chromium opens a link', { timeout: 240_000 }, () => {
  let demo;
  let token;
  let axe;

  before(async () => {
    await mkdir(artefacts, { recursive: true });
    demo = await Demo.start();
    token = await demo.tokenWith({ sub: 'petra', roles: ['privacy-officer'] });
    axe = await axeSource();
  });

  after(async () => {
    if (demo) {
      await demo.stop();
      await demo.remove();
    }
  });

  const bearer = () => ({ Authorization: `Bearer ${token}` });

  /** A copy for the person on the call; where its page is. */
  async function share(more = {}) {
    const order = {
      recording: demo.recording.split('/').at(-1),
      purpose: 'rights-request',
      recipient: { class: 'data-subject', name: 'Ms Jo Bloggs', country: 'GB' },
      identity_check: 'passport seen',
      expires_in_seconds: 3600,
      uses: 3,
      ...more,
    };
    const json = ['-X', 'POST', '--data', JSON.stringify(order)];
    const made = JSON.parse(await demo.curl(`${demo.gate}/shares`, bearer(), ...json));
    return { ...made, page: demo.gate + new URL(made.url).pathname };
  }

  const shown = async (id) => JSON.parse(await demo.curl(`${demo.gate}/shares/${id}`, bearer()));

  /** A browser of its own with a fresh profile, as large as a telephone unless it is told. */
  async function browse(use, viewport = { width: 360, height: 740 }) {
    const profile = await mkdtemp(join(tmpdir(), 'noticegate-chromium-'));
    const context = await chromium.launchPersistentContext(profile, {
      ...launching,
      ignoreHTTPSErrors: true,
      viewport,
    });
    try {
      const page = context.pages()[0] ?? (await context.newPage());
      const asked = [];
      const violated = [];
      page.on('request', (request) => asked.push(request));
      page.on('console', (line) => /Content Security Policy/.test(line.text()) && violated.push(line.text()));
      await use(page, { asked, violated, context });
      for (const request of asked) {
        assert.equal(new URL(request.url()).origin, new URL(demo.gate).origin, 'nothing from elsewhere');
        assert.ok(!request.headers().referer, 'no link in a Referer');
      }
      assert.deepEqual(violated, []);
    } finally {
      await context.close();
      await rm(profile, { recursive: true, force: true });
    }
  }

  /** What an accessibility checker finds that is serious or critical. */
  async function faults(page) {
    await page.evaluate(axe);
    const { violations } = await page.evaluate(() => globalThis.axe.run());
    const grave = violations.filter(({ impact }) => ['serious', 'critical'].includes(impact));
    return grave.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(' ')}`);
  }

  const fits = (page) =>
    page.evaluate(() => document.documentElement.scrollWidth <= window.innerWidth);

  test('the page tells what it is, plays by the keyboard, and seeks', async () => {
    const link = await share();
    await browse(async (page) => {
      await page.goto(link.page);
      assert.ok(!(await page.title()).includes(link.page.split('/').at(-1)));
      assert.match(await page.locator('h1').innerText(), /Call recording/);
      assert.match(await page.locator('blockquote').innerText(), /once you have shown us/);
      assert.deepEqual(await faults(page), []);
      assert.ok(await fits(page), 'nothing is wider than a telephone');
      await page.screenshot({ path: join(artefacts, 'share-telephone.png'), fullPage: true });
      assert.equal((await shown(link.id)).uses_left, 3, 'opening the page uses nothing up');

      const audio = page.locator('audio');
      await page.keyboard.press('Tab');
      assert.equal(await page.evaluate(() => document.activeElement.tagName), 'AUDIO');
      await page.keyboard.press('Space');
      await page.waitForFunction(() => document.querySelector('audio').currentTime > 0.3);
      await audio.evaluate((audio) => (audio.currentTime = 30));
      await page.waitForFunction(() => document.querySelector('audio').currentTime > 30.3);
      await audio.evaluate((audio) => (audio.currentTime = 5));
      await page.waitForFunction(() => {
        const { currentTime } = document.querySelector('audio');
        return currentTime > 5.3 && currentTime < 20;
      });
      assert.equal((await shown(link.id)).uses_left, 2, 'seeking uses nothing up');
      await page.reload();
      assert.match(await page.locator('.hint').innerText(), /You have begun to listen/);
    });
  });

  test('a stream is cut when the link is taken back, and the page says why', async () => {
    const link = await share();
    await browse(async (page, { context }) => {
      const network = await context.newCDPSession(page);
      await network.send('Network.enable');
      await network.send('Network.emulateNetworkConditions', {
        offline: false, latency: 0, downloadThroughput: 24_000, uploadThroughput: -1,
      });
      await page.goto(link.page);
      await page.locator('audio').evaluate((audio) => audio.play());
      await page.waitForFunction(() => document.querySelector('audio').currentTime > 0.3);
      await demo.curl(`${demo.gate}/shares/${link.id}`, bearer(), '-X', 'DELETE');
      // What the browser has already may still be heard; then it asks for more and gets none.
      await page.waitForFunction(
        () => /gives nothing/.test(document.querySelector('h1').innerText), null, { timeout: 60_000 },
      );
      assert.match(await page.locator('main').innerText(), /taken back/);
      assert.equal(await page.locator('audio').count(), 0);
      assert.deepEqual(await faults(page), []);
      await page.screenshot({ path: join(artefacts, 'share-cut.png'), fullPage: true });
    });
  });

  test('a password is asked for in the page, with a keyboard', async () => {
    const link = await share({ password: 'correct horse', download: true });
    await browse(async (page) => {
      await page.goto(link.page);
      assert.equal(await page.locator('audio').count(), 0);
      assert.deepEqual(await faults(page), []);
      await page.keyboard.press('Tab');
      await page.keyboard.type('wrong horse');
      await page.keyboard.press('Enter');
      await page.getByRole('alert').waitFor();
      assert.deepEqual(await faults(page), []);
      await page.screenshot({ path: join(artefacts, 'share-password.png'), fullPage: true });
      await page.locator('input').fill('correct horse');
      await page.keyboard.press('Enter');
      await page.locator('audio').waitFor();
      assert.equal(page.url(), link.page);
      assert.equal(await page.getByRole('link', { name: 'Save the recording' }).count(), 1);
      assert.deepEqual(await faults(page), []);
      await page.screenshot({ path: join(artefacts, 'share-desk.png'), fullPage: true });
    }, { width: 1100, height: 800 });
  });
});
