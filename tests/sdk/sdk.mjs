// Twilio's SDK for Node, pointed at the gate as an application points it.
//
// Where the gate is and who the clients are comes from the environment. What happened goes to
// standard output as one JSON object, of the same form as that of sdk.py; the story that runs both
// judges it.

import { createHash } from 'node:crypto';
import dns from 'node:dns';
import { readFileSync } from 'node:fs';
import https from 'node:https';

import axios from 'axios';
import twilio from 'twilio';

const { GATE, ACCOUNT, ID, SECRET, TWILIO_CA_BUNDLE } = process.env;

// Every name that anything here asks for. Nothing but the gate is there to be asked.
const names = new Set();
const resolve = dns.lookup;
dns.lookup = (name, ...rest) => {
  names.add(name);
  if (name === 'localhost') return resolve(name, ...rest);
  return process.nextTick(rest.at(-1), new Error(`${name} is not the gate`));
};

const sid = (prefix, digit) => prefix + String(digit).padStart(32, '0');
const sids = (items) => items.map(({ sid }) => sid);

function clientOf(user, secret) {
  const client = twilio(user, secret, { accountSid: ACCOUNT });
  for (const product of [client.api, client.video, client.intelligence]) product.baseUrl = GATE;
  return client;
}

async function errorOf(act) {
  try {
    return `no error, but ${JSON.stringify(await act())}`;
  } catch ({ status, code, message }) {
    return { status, code, message };
  }
}

/** Turns the pages by hand. */
async function pages(first) {
  const found = [];
  for (let page = await first; page; page = await page.nextPage()) found.push(sids(page.instances));
  return found;
}

const auth = { username: ID, password: SECRET };
const agent = new https.Agent({ ca: readFileSync(TWILIO_CA_BUNDLE) });
const http = axios.create({ httpsAgent: agent, proxy: false, responseType: 'stream' });

const hash = (bytes) => createHash('sha256').update(bytes).digest('hex');

/** Fetches as applications do: with axios, as a stream. */
async function got(url, options = {}) {
  let redirects = [];
  const beforeRedirect = (_, { statusCode }) => redirects.push(statusCode);
  const response = await http.request({ url, beforeRedirect, ...options });
  const pieces = [];
  for await (const piece of response.data) pieces.push(piece);
  const bytes = Buffer.concat(pieces);
  const type = response.headers['content-type'];
  return { status: response.status, type, length: bytes.length, sha256: hash(bytes), redirects };
}

const client = clientOf(ID, SECRET);
const results = {};

async function voice() {
  const recording = await client.recordings(sid('RE', 1)).fetch();
  results.fetch = {
    sid: recording.sid,
    account: recording.accountSid,
    call: recording.callSid,
    duration: recording.duration,
    made: recording.dateCreated.toISOString().replace('.000Z', '+00:00'),
    uri: recording.uri,
    media_url: recording.mediaUrl,
  };
  results.list = sids(await client.recordings.list({ pageSize: 2 }));
  results.limited_list = sids(await client.recordings.list({ pageSize: 2, limit: 3 }));
  results.pages = await pages(client.recordings.page({ pageSize: 2 }));
  const second = await (await client.recordings.page({ pageSize: 2 })).nextPage();
  results.page_before = sids((await second.previousPage()).instances);
  const deleted = await client.recordings.list({ includeSoftDeleted: true, pageSize: 2 });
  results.even_deleted = sids(deleted);
  const since = new Date('2026-11-03T12:00:00Z');
  results.since = sids(await client.recordings.list({ dateCreatedAfter: since }));
  results.before = sids(await client.recordings.list({ dateCreatedBefore: since }));
  const [call, conference] = [client.calls(sid('CA', 1)), client.conferences(sid('CF', 1))];
  results.of_call = sids(await call.recordings.list({ pageSize: 2 }));
  results.of_conference = sids(await conference.recordings.list({ pageSize: 2 }));
  results.by_call = sids(await client.recordings.list({ callSid: sid('CA', 1) }));
  results.one_of_call = (await call.recordings(sid('RE', 1)).fetch()).uri;
  results.one_of_conference = (await conference.recordings(sid('RE', 1)).fetch()).uri;
  results.call = (await call.fetch()).direction;

  const mp3 = GATE + recording.uri.replace('.json', '.mp3');
  results.downloads = {
    mp3: await got(mp3, { auth }),
    wav: await got(recording.mediaUrl, { auth }),
    part: await got(mp3, { auth, headers: { Range: 'bytes=100-199' } }),
    head: await got(mp3, { auth, method: 'head' }),
    one_channel: await got(mp3, { auth, params: { RequestedChannels: 1 } }),
  };
  results.streamed = results.downloads.mp3.sha256;
}

async function errors() {
  const { LIMITED_ID, LIMITED_SECRET, SELLING_ID, SELLING_SECRET } = process.env;
  const limited = clientOf(LIMITED_ID, LIMITED_SECRET);
  const selling = clientOf(SELLING_ID, SELLING_SECRET);
  const stranger = clientOf(ID, 'not-the-secret');
  await limited.recordings(sid('RE', 1)).fetch();
  const of = (client, digit) => errorOf(() => client.recordings(sid('RE', digit)).fetch());
  results.errors = {
    refused: await of(client, 3),
    by_clause: await of(selling, 1),
    missing: await of(client, 9),
    stranger: await of(stranger, 1),
    busy: await of(client, 8),
    over_limit: await of(limited, 1),
    not_served: await errorOf(() => client.messages.list()),
    not_posted: await errorOf(() => client.calls(sid('CA', 1)).recordings.create()),
    no_item: sids(await selling.recordings.list({ pageSize: 2 })),
    not_deleted: await errorOf(() => selling.recordings(sid('RE', 1)).remove()),
  };
}

async function derived() {
  const recording = client.recordings(sid('RE', 1));
  const one = recording.transcriptions(sid('TR', 1));
  results.transcriptions = {
    list: sids(await client.transcriptions.list({ pageSize: 2 })),
    of_recording: sids(await recording.transcriptions.list({ pageSize: 2 })),
    text: (await client.transcriptions(sid('TR', 1)).fetch()).transcriptionText,
    one_of_recording: (await one.fetch()).transcriptionText,
  };
  results.add_ons = sids(await recording.addOnResults.list());
  const addOn = recording.addOnResults(sid('XR', 1));
  results.payloads = sids(await addOn.payloads.list({ pageSize: 1 }));
  results.payload = (await addOn.payloads(sid('XH', 1)).fetch()).label;
  // The SDK gives what came as it is.
  const { redirect_to } = await addOn.payloads(sid('XH', 1)).data().fetch();
  results.payload_data = { redirect_to, got: await got(redirect_to) };
}

async function messageMedia() {
  const message = client.messages(sid('MM', 1));
  const media = await message.media(sid('ME', 1)).fetch();
  results.message_media = {
    list: sids(await message.media.list({ pageSize: 2 })),
    type: media.contentType,
    uri: media.uri,
    got: await got(GATE + media.uri.replace('.json', ''), { auth }),
  };
}

async function video() {
  const { recordings, compositions, rooms } = client.video.v1;
  const recording = await recordings(sid('RT', 1)).fetch();
  const still = { auth, maxRedirects: 0, responseType: 'json', validateStatus: () => true };
  const link = await http.get(recording.links.media, still);
  const composition = await compositions(sid('CJ', 1)).fetch();
  results.video = {
    list: sids(await recordings.list({ pageSize: 2 })),
    pages: await pages(recordings.page({ pageSize: 2 })),
    of_kind: sids(await recordings.list({ mediaType: 'video', pageSize: 1 })),
    grouped: sids(await recordings.list({ groupingSid: [sid('RM', 1)] })),
    of_room: sids(await rooms(sid('RM', 1)).recordings.list({ pageSize: 2 })),
    url: recording.url,
    media: recording.links.media,
    status: link.status,
    redirect_to: link.data.redirect_to,
    location: link.headers.location,
    got: await got(recording.links.media, { auth }),
    compositions: sids(await compositions.list({ pageSize: 2 })),
    composition: await got(composition.links.media, { auth }),
  };
}

async function intelligence() {
  const { transcripts } = client.intelligence.v2;
  const one = transcripts(sid('GT', 1));
  const texts = (sentences) => sentences.map(({ transcript }) => transcript);
  const { mediaUrl } = await one.media().fetch();
  const plain = await one.media().fetch({ redacted: false });
  const operators = await one.operatorResults.list({ pageSize: 2 });
  results.intelligence = {
    list: sids(await transcripts.list({ pageSize: 2 })),
    of_source: sids(await transcripts.list({ sourceSid: sid('RE', 1) })),
    url: (await one.fetch()).url,
    sentences: texts(await one.sentences.list({ pageSize: 2 })),
    plain: texts(await one.sentences.list({ redacted: false, pageSize: 2 })),
    results: operators.map(({ operatorSid }) => operatorSid),
    result: (await one.operatorResults(sid('LY', 1)).fetch()).operatorSid,
    media_url: mediaUrl,
    got: await got(mediaUrl),
    plain_got: await got(plain.mediaUrl),
    encrypted: (await one.encryptedSentences().fetch()).location,
    encrypted_results: (await one.encryptedOperatorResults().fetch()).locations,
  };
}

async function deletions() {
  const gone = client.recordings(sid('RE', 6));
  const [call, conference] = [client.calls(sid('CA', 1)), client.conferences(sid('CF', 1))];
  const recording = client.recordings(sid('RE', 1));
  const addOn = recording.addOnResults(sid('XR', 1));
  results.deleted = {
    recording: await gone.remove(),
    then: await errorOf(() => gone.fetch()),
    of_call: await call.recordings(sid('RE', 2)).remove(),
    of_conference: await conference.recordings(sid('RE', 5)).remove(),
    of_recording: await recording.transcriptions(sid('TR', 2)).remove(),
    payload: await addOn.payloads(sid('XH', 2)).remove(),
    add_on: await addOn.remove(),
    of_room: await client.video.v1.rooms(sid('RM', 1)).recordings(sid('RT', 2)).remove(),
    transcription: await client.transcriptions(sid('TR', 3)).remove(),
    message_media: await client.messages(sid('MM', 1)).media(sid('ME', 3)).remove(),
    video: await client.video.v1.recordings(sid('RT', 3)).remove(),
    composition: await client.video.v1.compositions(sid('CJ', 3)).remove(),
    transcript: await client.intelligence.v2.transcripts(sid('GT', 3)).remove(),
  };
}

for (const part of [voice, errors, derived, messageMedia, video, intelligence, deletions]) {
  await part();
}
results.names = [...names].sort();
console.log(JSON.stringify(results));
