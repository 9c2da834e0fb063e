// What the stand-in answers, against Twilio's own OpenAPI documents.
//
// In: a file with the stand-in's origin, credentials and the requests to send. Out: a line for each
// request and, last, the counts as JSON; the exit status is 1 if anything was wrong. A documented
// answer must have a documented status, every member the schema knows, no member it does not know,
// and each value of its type and format; absolute URLs must be of the product's own host. Requests
// for what the documents leave out are sent too, and said to be left out.

import { readFileSync } from 'node:fs';

import Ajv from 'ajv';
import addFormats from 'ajv-formats';

const documents = ['api_v2010', 'video_v1', 'intelligence_v2', 'media_v1'].map((name) => {
  const file = `node_modules/@twilio/cli-core/src/services/twilio-api/twilio_${name}.json`;
  const document = JSON.parse(readFileSync(new URL(file, import.meta.url)));
  return { name, document, paths: Object.keys(document.paths) };
});


// Documented operations on media, or on what is made from it, that the stand-in leaves out.
const leftOut = {
  'GET /2010-04-01/Accounts/{AccountSid}/Messages.json':
    'a list of messages holds no media, and the gate does not serve it',
};

const rfc2822 =
  /^(Mon|Tue|Wed|Thu|Fri|Sat|Sun), \d\d (Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec) \d{4} \d\d:\d\d:\d\d [+-]\d{4}$/;

const ajv = new Ajv({ strict: false, allErrors: true });
addFormats(ajv);
ajv.addFormat('date-time-rfc-2822', rfc2822);
ajv.addFormat('currency', /^[A-Z]{3}$/);
ajv.addFormat('phone-number', /^\+\d{5,15}$/);
ajv.addFormat('http-method', /^(HEAD|GET|POST|PATCH|PUT|DELETE)$/);
ajv.addFormat('int64', { type: 'number', validate: Number.isSafeInteger });
for (const name of ['uri-map', 'mp4', 'webm']) ajv.addFormat(name, true);

/** A page's links in the oldest API: `uri` in its schemas, but relative in all its examples. */
const isRelative = (key) => key === 'uri' || key.endsWith('_uri');

/** The document's schema as JSON Schema: nothing unknown, nothing left out, null where allowed. */
function strict(schema, document) {
  if (schema.$ref) {
    const named = document.components.schemas[schema.$ref.split('/').at(-1)];
    return strict({ ...named, nullable: schema.nullable ?? named.nullable }, document);
  }
  const out = {};
  for (const key of ['type', 'format', 'pattern', 'enum', 'minLength', 'maxLength']) {
    if (schema[key] !== undefined) out[key] = schema[key];
  }
  if (schema.items) out.items = strict(schema.items, document);
  if (schema.properties) {
    out.properties = {};
    for (const [key, value] of Object.entries(schema.properties)) {
      const format = value.format === 'uri' && isRelative(key) ? 'uri-reference' : value.format;
      out.properties[key] = strict({ ...value, format }, document);
    }
    out.required = Object.keys(schema.properties);
    out.additionalProperties = false;
  }
  if (out.format === 'uri-map') out.additionalProperties = { type: 'string', minLength: 1 };
  return schema.nullable ? { anyOf: [{ type: 'null' }, out] } : out;
}

/** The documented path of a target: of several that fit, the one with the fewest parameters. */
function find(target) {
  const fits = [];
  for (const { name, document, paths } of documents) {
    for (const path of paths) {
      const pattern = path.replace(/[.]/g, '\\.').replace(/{[^}]+}/g, '[^/.]+');
      if (new RegExp(`^${pattern}$`).test(target)) fits.push({ name, document, path });
    }
  }
  const parameters = ({ path }) => path.split('{').length;
  return fits.sort((a, b) => parameters(a) - parameters(b))[0];
}

/** Absolute URLs that are not of the product's own host, pre-signed ones aside. */
function astray(value, host, at = '') {
  if (typeof value === 'string') {
    const isOwn = !/^https?:/.test(value) || value.startsWith(`${host}/`);
    return isOwn ? [] : [`${at} is ${value}`];
  }
  if (value === null || typeof value !== 'object') return [];
  return Object.entries(value).flatMap(([key, inner]) => astray(inner, host, `${at}/${key}`));
}

const plan = JSON.parse(readFileSync(process.argv[2]));
const authorization = `Basic ${Buffer.from(`${plan.user}:${plan.password}`).toString('base64')}`;
const counts = { checked: 0, outside: 0, wrong: 0 };
const asked = new Set();

for (const { method = 'GET', target, body } of plan.requests) {
  const answer = await fetch(plan.origin + target, {
    method,
    body,
    redirect: 'manual',
    headers: { authorization, ...(body && { 'content-type': 'application/json' }) },
  });
  const text = await answer.text();
  const [path, query = ''] = target.split('?');
  const found = find(path);
  const operation = found?.document.paths[found.path][method.toLowerCase()];
  const wrong = [];
  if (!operation) {
    counts.outside += 1;
    if (answer.status >= 400) wrong.push(`${answer.status} ${text}`);
    say('not in the documents', method, target, answer.status, wrong);
    continue;
  }
  counts.checked += 1;
  asked.add(`${method} ${found.path}`);
  const names = (operation.parameters ?? []).filter((p) => p.in === 'query').map((p) => p.name);
  for (const name of new URLSearchParams(query).keys()) {
    if (!names.includes(name)) wrong.push(`the document has no parameter ${name}`);
  }
  const documented = operation.responses[answer.status];
  if (!documented) {
    wrong.push(`status ${answer.status} is not documented: ${text}`);
  } else if (!documented.content?.['application/json']) {
    if (text !== '') wrong.push('a body where the document has none');
  } else {
    const schema = strict(documented.content['application/json'].schema, found.document);
    const type = answer.headers.get('content-type');
    if (type !== 'application/json') wrong.push(`content type ${type}`);
    const json = JSON.parse(text);
    const validate = ajv.compile(schema);
    if (!validate(json)) {
      for (const error of validate.errors) {
        const member = error.params.additionalProperty ?? error.params.missingProperty ?? '';
        wrong.push(`${error.instancePath} ${error.message} ${member}`);
      }
    }
    if (found.name !== 'api_v2010') {
      const item = found.document.paths[found.path];
      const host = (item.servers ?? found.document.servers)[0].url;
      const own = { ...json, media_url: null, location: null, locations: null };
      wrong.push(...astray(own, host));
    }
  }
  say(found.name, method, target, answer.status, wrong);
}

const concerns = /Recordings|Transcri|\/Media\b|Messages|Compositions|AddOnResults|Rooms\/{Sid}$/;
for (const { document, paths } of documents) {
  for (const path of paths.filter((path) => concerns.test(path))) {
    for (const method of ['GET', 'DELETE']) {
      const operation = `${method} ${path}`;
      if (!document.paths[path][method.toLowerCase()] || asked.has(operation)) continue;
      if (leftOut[operation]) console.log(`left out: ${operation}: ${leftOut[operation]}`);
      else say('documented but not asked for', method, path, '-', ['nobody checked it']);
    }
  }
}

function say(where, method, target, status, wrong) {
  console.log(`${wrong.length ? 'WRONG' : 'ok'} [${where}] ${method} ${target} ${status}`);
  for (const line of wrong) console.log(`    ${line}`);
  counts.wrong += wrong.length ? 1 : 0;
}

console.log(JSON.stringify(counts));
process.exitCode = counts.wrong ? 1 : 0;
