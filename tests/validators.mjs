// Twilio's own JavaScript library, asked from a test: as validators.py.
import { createRequire } from "node:module";
import { createInterface } from "node:readline";
import querystring from "node:querystring";

const require = createRequire(new URL("sdk/", import.meta.url));
const twilio = require("twilio");
const { getExpectedTwilioSignature, getExpectedBodyHash } = require(
  "twilio/lib/webhooks/webhooks.js",
);

function check({ key, method, url, signature, content_type, body }) {
  if (method === "POST" && content_type.startsWith("application/json")) {
    return twilio.validateRequestWithBody(key, signature, url, body);
  }
  const params = method === "POST" ? { ...querystring.parse(body) } : {};
  return twilio.validateRequest(key, signature, url, params);
}

const FORMS = [
  { AccountSid: "AC1", From: "+15550100", To: "+1 555+0101" },
  { b: "2", a: ["z", "y", "z"], B: "1" },
  { Body: "é 🎉 \u202e \n%25&=+", Ünï: "ö", Empty: "" },
  {},
];

function* sign(key) {
  for (const port of ["", ":443"]) {
    for (const target of ["/webhooks/h", "/webhooks/h?tenant=7&x=%27%7e+y"]) {
      const url = `https://rec.example.com${port}${target}`;
      for (const form of FORMS) {
        yield {
          method: "POST", target, body: querystring.stringify(form),
          content_type: "application/x-www-form-urlencoded",
          signature: getExpectedTwilioSignature(key, url, form),
        };
      }
      yield {
        method: "GET", target, body: "", content_type: "",
        signature: getExpectedTwilioSignature(key, url, {}),
      };
      for (const body of ["{}", '{"a":"é🎉"}']) {
        const mark = target.includes("?") ? "&" : "?";
        const hashed = `${mark}bodySHA256=${getExpectedBodyHash(body)}`;
        yield {
          method: "POST", target: target + hashed, body, content_type: "application/json",
          signature: getExpectedTwilioSignature(key, url + hashed, null),
        };
      }
    }
  }
}

if (process.argv[2] === "check") {
  for await (const line of createInterface({ input: process.stdin })) {
    console.log(JSON.stringify(check(JSON.parse(line))));
  }
} else {
  for (const request of sign(process.argv[3])) console.log(JSON.stringify(request));
}
