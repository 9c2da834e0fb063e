// A real browser plays recordings through the gate: what an application's user sees and hears.
//
// The page is on another origin than the gate, as an application's would be. The token and the
// purpose go along as headers of every request, the browser's own range requests included, or the
// page plays a link that carries its own authorisation. In the end the ledger must hold an entry for
// each of them.

import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { scheduler } from 'node:timers/promises';

import { chromium } from 'playwright-core';

import { artefacts, launching } from './chromium.mjs';
import { Demo } from './demo.mjs';

// Nothing but loopback is to be asked for anything, and nothing of one run may help the next.
// The sample call lasts 42 s; MP3 rounds up to whole frames and adds the encoder's delay.
const seconds = { least: 41.9, most: 42.5 };

// Four times what playing takes. On an unbounded loopback the browser has all of the call before
// anyone can seek in it, and would never need to ask for a range.
const formats = [
  { extension: '.mp3', type: 'audio/mpeg', bytesPerSecond: 4 * 8_000 },
  { extension: '.wav', type: 'audio/x-wav', bytesPerSecond: 4 * 32_000 },
];

const page_html = (url) => `<!doctype html>
<html lang="en"><meta charset="utf-8"><title>Call</title>
<h1>Call of three weeks ago</h1>
<audio controls preload="metadata" src="${url}"></audio>
<p id="state"></p>
<script>
  const audio = document.querySelector('audio');
  window.events = [];
  for (const name of ['loadedmetadata', 'playing', 'seeking', 'seeked', 'error']) {
    audio.addEventListener(name, () => {
      window.events.push(name);
      document.querySelector('#state').textContent = window.events.join(', ');
    });
  }
</script>`;

describe('Chromium plays through the gate', { timeout: 180_000 }, () => {
  let demo;
  let pages;
  /** Every answer of the gate to a browser. */
  const answers = [];

  before(async () => {
    await mkdir(artefacts, { recursive: true });
    demo = await Demo.start();
    pages = createServer((request, response) => {
      const url = new URL(request.url, 'http://localhost').searchParams.get('play');
      response.writeHead(url ? 200 : 404, { 'content-type': 'text/html; charset=utf-8' });
      response.end(url ? page_html(url) : '');
    });
    await new Promise((resolve) => pages.listen(0, '127.0.0.1', resolve));
  });

  after(async () => {
    pages?.close();
    if (demo) {
      await demo.stop();
      await demo.remove();
    }
  });

  const headers = (purpose, token = demo.token) => ({
    Authorization: `Bearer ${token}`,
    'Noticegate-Purpose': purpose,
  });

  /**
   * A browser of its own with a fresh profile; `use` gets a page, the answers, and its network.
   * Without a purpose it sends no header of its own.
   */
  async function browse(purpose, use) {
    const profile = await mkdtemp(join(tmpdir(), 'noticegate-chromium-'));
    const context = await chromium.launchPersistentContext(profile, {
      ...launching,
      args: [...launching.args, '--autoplay-policy=no-user-gesture-required'],
      ignoreHTTPSErrors: true,
      viewport: { width: 640, height: 240 },
    });
    try {
      if (purpose) await context.setExtraHTTPHeaders(headers(purpose));
      const page = context.pages()[0] ?? (await context.newPage());
      const network = await context.newCDPSession(page);
      const seen = await watch(network);
      await use(page, seen, network);
      answers.push(...seen);
    } finally {
      await context.close();
      await rm(profile, { recursive: true, force: true });
    }
  }

  /**
   * Notes what the gate answers the browser, as it comes.
   *
   * Read from the wire: an error of another origin is kept from the page, and from Playwright's
   * own `response` event with it (opaque response blocking).
   */
  async function watch(network) {
    const asked = new Map();
    const seen = [];
    network.on('Network.requestWillBeSentExtraInfo', ({ requestId, headers }) => {
      asked.set(requestId, named(headers, 'range'));
    });
    network.on('Network.responseReceivedExtraInfo', ({ requestId, statusCode, headers }) => {
      const entry = named(headers, 'noticegate-entry');
      if (!entry) return;
      const contentRange = named(headers, 'content-range');
      seen.push({ entry, status: statusCode, range: asked.get(requestId), contentRange });
    });
    await network.send('Network.enable');
    return seen;
  }

  const named = (headers, name) =>
    Object.entries(headers).find(([key]) => key.toLowerCase() === name)?.[1];

  const open = (page, url) =>
    page.goto(`http://localhost:${pages.address().port}/?play=${encodeURIComponent(url)}`);

  const slow = (network, bytesPerSecond) =>
    network.send('Network.emulateNetworkConditions', {
      offline: false,
      latency: 0,
      downloadThroughput: bytesPerSecond,
      uploadThroughput: -1,
    });

  const happened = (page, name) =>
    page.waitForFunction((event) => window.events.includes(event), name);

  for (const { extension, type, bytesPerSecond } of formats) {
    const purpose = 'quality-monitoring';

    test(`${extension} loads, plays, and plays on where one seeks to`, async () => {
      await browse(purpose, async (page, seen, network) => {
        await slow(network, bytesPerSecond);
        await open(page, demo.recording + extension);
        const audio = page.locator('audio');
        const can = await audio.evaluate((audio, type) => audio.canPlayType(type), type);
        assert.notEqual(can, '', `this Chromium cannot play ${type}`);

        await happened(page, 'loadedmetadata');
        const duration = await audio.evaluate((audio) => audio.duration);
        assert.ok(duration > seconds.least && duration < seconds.most, `lasts ${duration} s`);

        await audio.evaluate((audio) => audio.play());
        await happened(page, 'playing');
        await page.waitForFunction(() => document.querySelector('audio').currentTime > 0.3);

        const before = seen.length;
        await audio.evaluate((audio) => (audio.currentTime = 30));
        await happened(page, 'seeked');
        await page.waitForFunction(() => document.querySelector('audio').currentTime > 30.3);
        const state = await audio.evaluate(({ currentTime, paused, error }) => {
          return { currentTime, paused, error: error?.message };
        });
        assert.ok(state.currentTime > 30.3 && state.currentTime < 42, `at ${state.currentTime}`);
        assert.deepEqual([state.paused, state.error], [false, undefined]);
        await page.screenshot({ path: join(artefacts, `play${extension}.png`) });

        const said = JSON.stringify(seen);
        assert.ok(seen.every(({ status }) => status === 206), said);
        const asked = seen.slice(before).find(({ range }) => /^bytes=[1-9]\d*-/.test(range ?? ''));
        assert.ok(asked, `no range was asked for after the seek: ${said}`);
        const [, first, length] = asked.contentRange.match(/^bytes (\d+)-\d+\/(\d+)$/);
        assert.ok(asked.range.startsWith(`bytes=${first}-`), JSON.stringify(asked));
        // 30 s of 42 s are 71 % of the sound; the browser may begin a little earlier.
        assert.ok(first / length > 0.6 && first / length < 0.75, `${first} of ${length}`);
      });
    });

    test(`${extension} is the same bytes whole, in part, in the browser and with curl`, async () => {
      const url = demo.recording + extension;
      const range = 'bytes=100000-199999';
      await browse(purpose, async (page) => {
        // A page of the gate's own origin, because the gate lets no other origin read.
        const here = `${demo.gate}/page-of-the-test`;
        await page.route(here, (route) => route.fulfill({ contentType: 'text/html', body: '' }));
        await page.goto(here);
        await page.unroute(here);
        const fetched = async (headers) => {
          const got = await page.evaluate(
            async ([url, headers]) => {
              const response = await fetch(url, { headers });
              const bytes = new Uint8Array(await response.arrayBuffer());
              let text = '';
              for (const byte of bytes) text += String.fromCharCode(byte);
              return { status: response.status, base64: btoa(text) };
            },
            [url, headers],
          );
          return { status: got.status, bytes: Buffer.from(got.base64, 'base64') };
        };
        const whole = await fetched({});
        const part = await fetched({ Range: range });
        assert.deepEqual([whole.status, part.status], [200, 206]);
        assert.equal(part.bytes.length, 100_000);
        assert.ok(whole.bytes.subarray(100_000, 200_000).equals(part.bytes), 'the part differs');
        const curled = await demo.curl(url, headers(purpose));
        assert.ok(whole.bytes.equals(curled), 'the browser and curl got different bytes');
        const curledPart = await demo.curl(url, headers(purpose), '-r', '100000-199999');
        assert.ok(part.bytes.equals(curledPart), 'the browser and curl got different parts');
      });
    });
  }

  /** What the gate gives Flex Insights for the recording: a link that needs no header. */
  const linked = async (token) => {
    const url = `${demo.gate}/flex/url_provider?recording_sid=${demo.recording.split('/').at(-1)}`;
    return JSON.parse(await demo.curl(url, headers('quality-monitoring', token))).media_url;
  };

  test('a link plays, and plays on where one seeks to, without any header', async () => {
    const link = await linked();
    await browse(undefined, async (page, seen, network) => {
      await slow(network, formats[0].bytesPerSecond);
      await open(page, link);
      await happened(page, 'loadedmetadata');
      const audio = page.locator('audio');
      await audio.evaluate((audio) => audio.play());
      await audio.evaluate((audio) => (audio.currentTime = 30));
      await happened(page, 'seeked');
      await page.waitForFunction(() => document.querySelector('audio').currentTime > 30.3);
      const said = JSON.stringify(seen);
      assert.ok(seen.every(({ status }) => status === 206), said);
      assert.ok(seen.some(({ range }) => /^bytes=[1-9]\d*-/.test(range ?? '')), said);
    });
  });

  test('a link plays no longer than the token that it was given for', async () => {
    const exp = Math.floor(Date.now() / 1000) + 5;
    const link = await linked(await demo.tokenUntil(exp));
    const early = await demo.curl(link, {}, '-r', '0-1');
    assert.equal(early.length, 2);
    await scheduler.wait(Math.max(0, exp * 1000 - Date.now()));
    await browse(undefined, async (page, seen) => {
      await open(page, link);
      await happened(page, 'error');
      assert.deepEqual(seen.map(({ status }) => status), [401]);
    });
  });

  test('a purpose that the notice refuses plays nothing', async () => {
    await browse('marketing', async (page, seen) => {
      await open(page, `${demo.recording}.mp3`);
      await happened(page, 'error');
      const { code, duration } = await page.locator('audio').evaluate((audio) => {
        return { code: audio.error.code, duration: audio.duration };
      });
      const MEDIA_ERR_SRC_NOT_SUPPORTED = 4;
      assert.deepEqual([code, duration], [MEDIA_ERR_SRC_NOT_SUPPORTED, NaN]);
      assert.deepEqual(seen.map(({ status }) => status), [403]);
      await page.screenshot({ path: join(artefacts, 'refused.png') });
    });
  });

  // The last one: it ends the demo, after which the ledger is complete.
  test('the ledger holds each request, each outcome and the refusal', async () => {
    assert.deepEqual(await demo.stop(), { code: 0, signal: null });
    const entries = await demo.entries();
    const of = (kind) => entries.filter(({ t }) => t === kind);
    const outcomes = new Map(of('outcome').map((outcome) => [outcome.of, outcome]));

    const played = answers.filter(({ status, entry }) => status < 300 && entry);
    assert.ok(played.length >= 8, `only ${played.length} answers`);
    for (const answer of played) {
      const intent = of('intent').find(({ id }) => id === answer.entry);
      assert.ok(intent, `no intent for ${JSON.stringify(answer)}`);
      assert.equal(intent.range, answer.range);
      assert.equal(intent.purpose, 'quality-monitoring');
      assert.equal(intent.caller.id, 'demo|ana');
      assert.equal(outcomes.get(intent.id)?.status, answer.status);
    }
    // Also those of curl: none is without its outcome, and what was cut off says so.
    for (const intent of of('intent')) {
      const outcome = outcomes.get(intent.id);
      assert.ok(outcome, `no outcome of ${intent.id}`);
      assert.match(outcome.ending, /^(complete|caller-left)$/);
      assert.ok(Number.isSafeInteger(outcome.bytes) && outcome.bytes > 0, JSON.stringify(outcome));
    }
    const complete = (range) =>
      of('intent').filter(({ range: asked, media }) => asked === range && media.form !== 'link')
        .map(({ id }) => outcomes.get(id)).filter(({ ending }) => ending === 'complete');
    // Two formats, each in the browser and with curl.
    assert.deepEqual(complete('bytes=100000-199999').map(({ bytes }) => bytes), Array(4).fill(1e5));
    assert.equal(complete(undefined).length, 4);

    const refused = answers.filter(({ status }) => status === 403);
    assert.equal(refused.length, 1);
    const strangers = answers.filter(({ status }) => status === 401).map(({ entry }) => entry);
    const ids = [...strangers, refused[0].entry];
    assert.deepEqual(of('refusal').map(({ id }) => id), ids);
    const [{ detail }, { purpose, reason, decision }] = of('refusal');
    assert.match(detail, /link/);
    assert.deepEqual([purpose, reason], ['marketing', 'forbidden']);
    assert.equal(decision.cited[0].clause, 'no-marketing');
  });
});
