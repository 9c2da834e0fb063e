// The pages for reviewers in a real browser: who heard what and why, one disclosure and its proof,
// which the browser verifies by itself, reviews, a person, and shares.

import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';

import { chromium } from 'playwright-core';

import { artefacts, axeSource, launching } from './chromium.mjs';
import { Demo } from './demo.mjs';

describe('Chromium reviews the log', { timeout: 300_000 }, () => {
  let demo;
  let axe;
  let share;

  before(async () => {
    await mkdir(artefacts, { recursive: true });
    demo = await Demo.start();
    axe = await axeSource();
    const quality = { Authorization: `Bearer ${demo.token}`, 'Noticegate-Purpose': 'quality-monitoring' };
    for (const range of ['bytes=0-49999', 'bytes=50000-79999', 'bytes=120000-159999']) {
      await demo.curl(`${demo.recording}.wav`, { ...quality, Range: range });
    }
    await demo.curl(`${demo.recording}.json`, quality);
    const marketing = { ...quality, 'Noticegate-Purpose': 'marketing' };
    await demo.curl(`${demo.recording}.wav`, marketing).catch(() => 'refused');
    const petra = await demo.tokenWith({ sub: 'petra', roles: ['privacy-officer'] });
    const order = {
      recording: demo.recording.split('/').at(-1),
      purpose: 'rights-request',
      recipient: { class: 'data-subject', name: 'Ms Jo Bloggs', country: 'GB' },
      identity_check: 'passport seen',
      expires_in_seconds: 3600,
      uses: 3,
    };
    const json = ['-X', 'POST', '--data', JSON.stringify(order)];
    share = JSON.parse(await demo.curl(`${demo.gate}/shares`, { Authorization: `Bearer ${petra}` }, ...json));
  });

  after(async () => {
    if (demo) {
      await demo.stop();
      await demo.remove();
    }
  });

  /** Somebody with a browser of their own. */
  async function browse(sub, role, use, options = {}) {
    const token = await demo.tokenWith({ sub, roles: [role] });
    const profile = await mkdtemp(join(tmpdir(), 'noticegate-chromium-'));
    const context = await chromium.launchPersistentContext(profile, {
      ...launching,
      ignoreHTTPSErrors: true,
      viewport: { width: 1280, height: 900 },
      extraHTTPHeaders: { Authorization: `Bearer ${token}` },
      ...options,
    });
    try {
      const page = context.pages()[0] ?? (await context.newPage());
      const violated = [];
      page.on('console', (line) => /Content Security Policy/.test(line.text()) && violated.push(line.text()));
      page.on('request', (request) =>
        assert.equal(new URL(request.url()).origin, new URL(demo.console).origin, 'nothing from elsewhere'));
      await use(page);
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

  /** Opens a page, checks it, and keeps a picture. */
  async function look(page, path, name) {
    const answer = await page.goto(`${demo.console}${path}`);
    assert.equal(answer.status(), 200, path);
    assert.ok((await answer.body()).length < 200_000, path);
    assert.equal(await page.locator('h1').count(), 1);
    assert.deepEqual(await faults(page), [], path);
    assert.ok(await fits(page), `${path} is wider than the screen`);
    if (name) await page.screenshot({ path: join(artefacts, `${name}.png`), fullPage: true });
  }

  test('the log is read, filtered by what is counted, and zoomed by its bars', async () => {
    await browse('rita', 'privacy-officer', async (page) => {
      await look(page, '/log', 'log');
      assert.match(await page.locator('table.log').innerText(), /3 requests/);
      await page.locator('.facets a', { hasText: 'metadata' }).click();
      await page.getByRole('listitem').filter({ hasText: 'Form: metadata' }).waitFor();
      assert.doesNotMatch(await page.locator('table.log').innerText(), /3 requests/);
      await page.getByRole('link', { name: 'Drop the filter form' }).click();
      await page.locator('.timeline a').first().focus();
      await page.keyboard.press('Enter');
      await page.waitForURL(/until=/);
      assert.deepEqual(await faults(page), []);
      await look(page, '/log?show=refusals', 'log-refusals');
      assert.match(await page.locator('table.log').innerText(), /marketing|promot/i);
      await look(page, '/log?show=all', 'log-all');
    });
  });

  test('a span is chosen by dragging over the bars', async () => {
    await browse('rita', 'privacy-officer', async (page) => {
      await page.goto(`${demo.console}/log?show=all`);
      const bar = page.locator('.timeline a').first();
      const box = await bar.boundingBox();
      await page.mouse.move(box.x + 2, box.y + box.height / 2);
      await page.mouse.down();
      await page.mouse.move(box.x + box.width / 2, box.y + box.height / 2, { steps: 4 });
      await page.mouse.move(box.x + box.width - 2, box.y + box.height / 2, { steps: 4 });
      await page.mouse.up();
      await page.waitForURL(/since=.*until=/);
    });
  });

  test('on a telephone, in the dark, and without a script', async () => {
    const phone = { viewport: { width: 360, height: 740 } };
    await browse('rita', 'privacy-officer', async (page) => {
      await look(page, '/log', 'log-telephone');
      await page.locator('table.log tbody th a').first().click();
      await page.locator('mark').waitFor();
      assert.deepEqual(await faults(page), []);
      assert.ok(await fits(page));
      await page.screenshot({ path: join(artefacts, 'entry-telephone.png'), fullPage: true });
    }, phone);
    await browse('rita', 'privacy-officer', (page) => look(page, '/log', 'log-dark'), { colorScheme: 'dark' });
    await browse('rita', 'privacy-officer', async (page) => {
      await page.goto(`${demo.console}/log`);
      assert.match(await page.locator('table.log').innerText(), /3 requests/);
      await page.locator('table.log tbody th a').first().click();
      assert.match(await page.locator('#proof').innerText(), /Without a script/);
    }, { javaScriptEnabled: false });
  });

  test('one disclosure tells its story, and the browser verifies its proof', async () => {
    await browse('rita', 'privacy-officer', async (page) => {
      await page.goto(`${demo.console}/log?form=wav`);
      const entry = await page.locator('table.log tbody th a').first().getAttribute('href');
      await look(page, entry);
      assert.match(await page.locator('mark').innerText(), /quality of our service/);
      await page.locator('details', { hasText: 'The policy in Cedar' }).first().locator('summary').click();
      const verify = page.getByRole('button', { name: 'Verify in this browser' });
      const told = page.locator('#verified .note');
      await verify.focus();
      await page.keyboard.press('Enter');
      await told.waitFor();
      // The next checkpoint comes within a second.
      for (let again = 0; again < 20 && /no checkpoint covers/.test(await told.innerText()); again += 1) {
        await page.waitForTimeout(250);
        await verify.click();
        await page.waitForFunction(() => !document.querySelector('[data-verify]').disabled);
      }
      assert.match(await told.innerText(), /Verified in this browser/);
      assert.match(await told.innerText(), /signed with the key below/);
      assert.deepEqual(await faults(page), []);
      await page.screenshot({ path: join(artefacts, 'entry.png'), fullPage: true });
      // One letter of what is shown is changed: it is not the entry that is proven any more.
      await page.evaluate(() => {
        const shown = document.getElementById('entry');
        shown.textContent = shown.textContent.replace('intent', 'intemt');
      });
      await verify.click();
      await page.locator('#verified .bad').waitFor();
      assert.match(await told.innerText(), /NOT verified/);
    });
  });

  test('what waits for review is signed off', async () => {
    await browse('rita', 'privacy-officer', async (page) => {
      await look(page, '/reviews', 'reviews');
      await look(page, '/reviews/refusals', 'reviews-queue');
      const row = page.locator('table.log tbody tr').first();
      await row.locator('summary').click();
      await row.locator('select').selectOption('escalate');
      await row.locator('textarea').fill('why marketing?');
      await row.locator('button').click();
      await page.getByText('Nothing waits here').waitFor();
      await look(page, '/reviews/escalated');
      assert.equal(await page.locator('table.log tbody tr').count(), 1);
      await look(page, '/reviews/summary', 'reviews-summary');
    });
  });

  test('a recording, a person and the shares', async () => {
    await browse('rita', 'privacy-officer', async (page) => {
      await look(page, `/recordings/${demo.recording.split('/').at(-1)}`, 'recording');
      await look(page, '/people');
      await page.goto(`${demo.console}/log?form=wav`);
      const person = await page.locator('table.log td:nth-child(4) a').first().innerText();
      await page.goto(`${demo.console}/people`);
      await page.locator('[name=number]').fill(person);
      await page.keyboard.press('Enter');
      await page.waitForURL(/\/people\/\d+$/);
      assert.match(await page.locator('h1').innerText(), /^\+/);
      assert.deepEqual(await faults(page), []);
      await page.screenshot({ path: join(artefacts, 'person.png'), fullPage: true });
      await page.getByRole('link', { name: 'The person’s copy' }).click();
      await page.locator('h1', { hasText: /Recordings|disclos/i }).waitFor();
      assert.notEqual(await page.evaluate(() => getComputedStyle(document.querySelector('main')).maxWidth), 'none');
      await look(page, '/shares', 'shares');
      const row = page.locator(`[id="${share.id}"]`);
      await row.locator('summary').click();
      await row.locator('[name=reason]').fill('sent to the wrong one');
      await row.locator('button').click();
      await page.waitForURL(/show=ended/);
      assert.match(await page.locator(`[id="${share.id}"]`).innerText(), /revoked/);
    });
  });
});
