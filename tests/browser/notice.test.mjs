// The privacy team's pages in a real browser: the notice with what each sentence does, a question
// that nobody asked, and a draft from its first word until it decides.

import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';

import { chromium } from 'playwright-core';

import { artefacts, axeSource, launching } from './chromium.mjs';
import { Demo } from './demo.mjs';

const version = '2026-03-01';

describe('Chromium shows the notice and its drafts', { timeout: 300_000 }, () => {
  let demo;
  let axe;

  before(async () => {
    await mkdir(artefacts, { recursive: true });
    demo = await Demo.start();
    axe = await axeSource();
  });

  after(async () => {
    if (demo) {
      await demo.stop();
      await demo.remove();
    }
  });

  /** Somebody signs in with a browser of their own. */
  async function browse(sub, role, use, options = {}) {
    const token = await demo.tokenWith({ sub, roles: [role] });
    const profile = await mkdtemp(join(tmpdir(), 'noticegate-chromium-'));
    const context = await chromium.launchPersistentContext(profile, {
      ...launching,
      ignoreHTTPSErrors: true,
      viewport: { width: 1280, height: 900 },
      ...options,
    });
    try {
      const page = context.pages()[0] ?? (await context.newPage());
      const violated = [];
      page.on('console', (line) => /Content Security Policy/.test(line.text()) && violated.push(line.text()));
      page.on('request', (request) =>
        assert.equal(new URL(request.url()).origin, new URL(demo.console).origin, 'nothing from elsewhere'));
      await page.goto(`${demo.console}/login`);
      await page.locator('[name=token]').fill(token);
      await page.keyboard.press('Tab');
      await page.locator('main button').first().click();
      await page.waitForURL((url) => url.pathname !== '/login');
      await use(page);
      assert.deepEqual(violated, []);
    } finally {
      await context.close();
      await rm(profile, { recursive: true, force: true });
    }
  }

  /** What an accessibility checker finds that is serious or critical. */
  async function faults(page) {
    // The policy of the page lets no script in; this is put there from outside of it.
    await page.evaluate(axe);
    const { violations } = await page.evaluate(() => globalThis.axe.run());
    const grave = violations.filter(({ impact }) => ['serious', 'critical'].includes(impact));
    return grave.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).slice(0, 3).join(' ')}`);
  }

  const fits = (page) =>
    page.evaluate(() => document.documentElement.scrollWidth <= window.innerWidth);

  /** A page that is whole in light and dark, on a desk and on a telephone. */
  async function whole(page, path, name) {
    if (path) await page.goto(`${demo.console}${path}`);
    for (const colorScheme of ['light', 'dark']) {
      await page.emulateMedia({ colorScheme });
      assert.deepEqual(await faults(page), [], `${name} in ${colorScheme}`);
      await page.screenshot({ path: join(artefacts, `${name}-${colorScheme}.png`), fullPage: true });
    }
    await page.setViewportSize({ width: 360, height: 740 });
    assert.ok(await fits(page), `${name} is not wider than a telephone`);
    assert.deepEqual(await faults(page), [], `${name} on a telephone`);
    await page.screenshot({ path: join(artefacts, `${name}-telephone.png`), fullPage: true });
    await page.setViewportSize({ width: 1280, height: 900 });
    await page.emulateMedia({ colorScheme: 'light' });
  }

  test('the notice stands with what each sentence does', async () => {
    const listen = { Authorization: `Bearer ${demo.token}`, 'Noticegate-Purpose': 'quality-monitoring' };
    await demo.curl(`${demo.recording}.mp3`, listen, '-o', '/dev/null');
    await browse('ada', 'privacy-author', async (page) => {
      await whole(page, '/notices', 'notices');
      await whole(page, `/notices/${version}`, 'notice');
      const quality = page.locator('.sentence', { hasText: 'Our quality analysts and the leader' });
      await quality.getByText('allowed 1').waitFor();
      // The Cedar is one key away.
      await quality.locator('summary').focus();
      await page.keyboard.press('Enter');
      await quality.locator('pre', { hasText: '@clause("quality")' }).waitFor();
      await whole(page, `/notices/2025-02-01/compare/${version}`, 'compare');
      await page.pdf({ path: join(artefacts, 'compare.pdf') });
    });
  });

  test('a question is asked with a form and answered with the sentence', async () => {
    await browse('ada', 'privacy-author', async (page) => {
      await page.goto(`${demo.console}/what-if`);
      await page.locator('[name=role]').selectOption('trainer');
      await page.locator('[name=purpose]').selectOption('staff-training');
      await page.locator('[name=consent]').selectOption('refused');
      await page.getByRole('button', { name: 'Decide' }).click();
      const answer = page.locator('.answer');
      await answer.getByText('Refused', { exact: true }).waitFor();
      await answer.getByText('the consent or objection of somebody on the call').waitFor();
      assert.equal(await page.locator('[name=consent]').inputValue(), 'refused', 'the form stays');
      await answer.getByText('Save it as a policy test').click();
      assert.match(await answer.locator('details pre').innerText(), /decision = "refuse"/);
      await whole(page, null, 'what-if');
    });
  });

  test('a draft is checked while it is typed, approved by another, and decides', async () => {
    let draft;
    await browse('pia', 'privacy-officer', async (page) => {
      await page.goto(`${demo.console}/drafts`);
      await page.locator('form', { hasText: 'Change what a version means' }).getByRole('button').click();
      draft = new URL(page.url()).pathname.replace('/edit', '');
      const meaning = page.locator('#meaning');
      const right = await meaning.inputValue();
      await meaning.fill(right.replace('Our quality analysts and', 'Our quality analysts or'));
      const problem = page.locator('.problems li').first();
      await problem.getByText('does not stand in the notice word for word').waitFor();
      await whole(page, null, 'draft-wrong');
      await problem.getByRole('link').click();
      const chosen = await meaning.evaluate((area) => area.value.slice(area.selectionStart, area.selectionEnd));
      assert.match(chosen, /analysts or/, 'the line that is wrong is chosen');
      const roles = 'roles = ["quality-analyst", "team-lead"]\npurposes = ["quality-monitoring"]';
      assert.ok(right.includes(roles));
      await meaning.fill(right.replace(roles, 'roles = ["team-lead"]\npurposes = ["quality-monitoring"]'));
      await page.getByText('Nothing is wrong').waitFor();
      await page.getByRole('button', { name: 'Keep' }).click();
      await page.waitForLoadState();
      await whole(page, `${draft}/replay`, 'draft-replay');
      await page.getByText('Who loses').waitFor();
      await page.goto(`${demo.console}${draft}`);
      await page.getByLabel('Why it should be so').fill('Analysts hear calls by their own tool from now on.');
      await page.getByRole('button', { name: /Submit for 1 approval/ }).click();
      await page.getByText('nobody approves what they wrote').waitFor();
      await whole(page, null, 'draft-submitted');
    });
    await browse('lea', 'legal-counsel', async (page) => {
      await page.goto(`${demo.console}/drafts`);
      await page.getByRole('link', { name: draft.split('/').at(-1) }).click();
      await page.getByRole('button', { name: 'Approve' }).click();
      await page.getByRole('button', { name: 'Put it in force' }).click();
      await page.locator('h1 + p', { hasText: 'put in force' }).waitFor();
      await whole(page, '/drafts', 'drafts');
    });
    const listen = { Authorization: `Bearer ${demo.token}`, 'Noticegate-Purpose': 'quality-monitoring' };
    await assert.rejects(demo.curl(`${demo.recording}.mp3`, listen, '-o', '/dev/null'), /404/);
  });

  test('everything can be read and sent without a script', async () => {
    await browse('otto', 'privacy-officer', async (page) => {
      await page.goto(`${demo.console}/drafts`);
      await page.locator('form', { hasText: 'Write a new version' }).getByLabel('Its name').fill('2027-01-01');
      await page.locator('form', { hasText: 'Write a new version' }).getByRole('button').click();
      await page.locator('#text').fill('Other words than were promised.');
      await page.getByRole('button', { name: 'Check' }).click();
      await page.getByText('This was checked and is not kept yet.').waitFor();
      assert.equal(await page.locator('#text').inputValue(), 'Other words than were promised.');
      assert.ok((await page.locator('.problems li').count()) > 0);
    }, { javaScriptEnabled: false });
  });
});
