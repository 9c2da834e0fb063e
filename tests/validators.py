"""Twilio's own Python library, asked from a test.

`check`: reads one request a line (JSON) and says for each whether RequestValidator accepts it.
`sign`: prints requests that the library signed, one a line.
"""

import json
import sys
from urllib.parse import parse_qs, urlencode

from twilio.request_validator import RequestValidator


class Params(dict):
    """Repeated names, as Django's QueryDict gives them."""

    def getlist(self, name):
        return self[name]


def check(request):
    validator = RequestValidator(request["key"])
    params = {}
    if request["method"] == "POST":
        if request["content_type"].startswith("application/json"):
            params = request["body"]
        else:
            params = Params(parse_qs(request["body"], keep_blank_values=True, strict_parsing=bool(request["body"])))
    return validator.validate(request["url"], params, request["signature"])


FORMS = [
    [("AccountSid", "AC1"), ("From", "+15550100"), ("To", "+1 555+0101")],
    [("b", "2"), ("a", "z"), ("a", "y"), ("a", "z"), ("B", "1")],
    [("Body", "é 🎉 \u202e \x00\n%25&=+"), ("Ünï", "ö"), ("Empty", "")],
    [("q", "'\"<>~*-._!()"), ("x", "a" * 2000)],
    [],
]


def sign(key):
    validator = RequestValidator(key)
    for port in ("", ":443"):
        for target in ("/webhooks/h", "/webhooks/h?tenant=7&x=%27%7e+y"):
            url = "https://rec.example.com" + port + target
            for form in FORMS:
                params = Params()
                for name, value in form:
                    params.setdefault(name, []).append(value)
                yield {
                    "method": "POST", "target": target, "body": urlencode(form),
                    "content_type": "application/x-www-form-urlencoded",
                    "signature": validator.compute_signature(url, params),
                }
                for algorithm in ("HMAC_SHA1", "HMAC_SHA256"):
                    yield {
                        "method": "POST", "target": target, "body": urlencode(form),
                        "content_type": "application/x-www-form-urlencoded; charset=UTF-8",
                        "settings": "key=shared,algorithm=" + algorithm,
                        "signature": validator.compute_signature(url, params, algorithm),
                    }
            yield {
                "method": "GET", "target": target, "body": "", "content_type": "",
                "signature": validator.compute_signature(url, {}),
            }
            for body in ("{}", '{"a":"é🎉"}', "[1, 2]"):
                mark = "&" if "?" in target else "?"
                hashed = mark + "bodySHA256=" + validator.compute_hash(body)
                yield {
                    "method": "POST", "target": target + hashed, "body": body,
                    "content_type": "application/json",
                    "signature": validator.compute_signature(url + hashed, {}),
                }


if sys.argv[1] == "check":
    for line in sys.stdin:
        print(json.dumps(check(json.loads(line))))
else:
    for request in sign(sys.argv[2]):
        print(json.dumps(request))
