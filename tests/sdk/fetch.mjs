// Downloads with the `fetch` of Node, as an application without any SDK does.
//
// As sdk.mjs: the environment says where, and standard output tells what came.

import { createHash } from 'node:crypto';

const { GATE, ACCOUNT, ID, SECRET } = process.env;

const sid = (prefix, digit) => prefix + String(digit).padStart(32, '0');
const recording = (digit) => `${GATE}/2010-04-01/Accounts/${ACCOUNT}/Recordings/${sid('RE', digit)}`;
const headers = { Authorization: `Basic ${Buffer.from(`${ID}:${SECRET}`).toString('base64')}` };
const hash = (bytes) => createHash('sha256').update(bytes).digest('hex');

async function told(response) {
  const bytes = Buffer.from(await response.arrayBuffer());
  const type = response.headers.get('content-type');
  return { status: response.status, type, length: bytes.length, sha256: hash(bytes), redirects: [] };
}

const results = {};
results.mp3 = await told(await fetch(`${recording(1)}.mp3`, { headers }));
const range = { ...headers, Range: 'bytes=100-199' };
results.part = (await told(await fetch(`${recording(1)}.mp3`, { headers: range }))).sha256;
results.refused = await (await fetch(`${recording(3)}.json`, { headers })).json();

const media = `${GATE}/v1/Recordings/${sid('RT', 1)}/Media`;
results.followed = await told(await fetch(media, { headers }));
const still = await fetch(media, { headers, redirect: 'manual' });
results.linked = await told(await fetch((await still.json()).redirect_to));

// Somebody who has heard enough.
const reader = (await fetch(recording(1), { headers })).body.getReader();
await reader.read();
await reader.cancel();
console.log(JSON.stringify(results));
