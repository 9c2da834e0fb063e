"""Twilio's SDK for Python, pointed at the gate as an application points it.

Where the gate is and who the clients are comes from the environment. What happened goes to standard
output as one JSON object, of the same form as that of sdk.mjs; the story that runs both judges it.
"""

import asyncio
import hashlib
import json
import os
import socket
from datetime import datetime, timezone

import requests
from twilio.base.exceptions import TwilioException, TwilioRestException
from twilio.http.async_http_client import AsyncTwilioHttpClient
from twilio.rest import Client

GATE = os.environ["GATE"]
ACCOUNT = os.environ["ACCOUNT"]
AUTH = (os.environ["ID"], os.environ["SECRET"])

# Every name that anything here asks for. Nothing but the gate is there to be asked.
names = set()
resolve = socket.getaddrinfo


def only_the_gate(host, *rest, **more):
    name = host.decode() if isinstance(host, bytes) else host
    names.add(name)
    if name not in ("localhost", "127.0.0.1"):
        raise socket.gaierror(f"{name} is not the gate")
    return resolve(host, *rest, **more)


socket.getaddrinfo = only_the_gate


def sid(prefix, digit):
    return f"{prefix}{digit:032}"


def client_of(user, secret, **more):
    client = Client(user, secret, ACCOUNT, **more)
    for product in (client.api, client.video, client.intelligence):
        product.base_url = GATE
    return client


def error_of(act):
    try:
        return f"no error, but {act()}"
    except TwilioRestException as error:
        return {"status": error.status, "code": error.code, "message": error.msg}
    except TwilioException as error:
        # What lists raise: the answer comes along unread.
        _, response = error.args
        problem = json.loads(response.text)
        return {key: problem[key] for key in ("status", "code", "message")}


def sids(items):
    return [item.sid for item in items]


def pages(page):
    """Turns the pages by hand."""
    found = []
    while page is not None:
        found.append(sids(page))
        page = page.next_page()
    return found


def told(response):
    body = response.content
    return {
        "status": response.status_code,
        "type": response.headers.get("content-type"),
        "length": len(body),
        "sha256": hashlib.sha256(body).hexdigest(),
        "redirects": [hop.status_code for hop in response.history],
    }


client = client_of(*AUTH)
results = {}


def voice():
    recording = client.recordings(sid("RE", 1)).fetch()
    results["fetch"] = {
        "sid": recording.sid,
        "account": recording.account_sid,
        "call": recording.call_sid,
        "duration": recording.duration,
        "made": recording.date_created.isoformat(),
        "uri": recording.uri,
        "media_url": recording.media_url,
    }
    results["list"] = sids(client.recordings.list(page_size=2))
    results["limited_list"] = sids(client.recordings.list(page_size=2, limit=3))
    results["pages"] = pages(client.recordings.page(page_size=2))
    second = client.recordings.page(page_size=2).next_page()
    results["page_before"] = sids(second.previous_page())
    since = datetime(2026, 11, 3, 12, tzinfo=timezone.utc)
    deleted = client.recordings.list(include_soft_deleted=True, page_size=2)
    results["even_deleted"] = sids(deleted)
    results["since"] = sids(client.recordings.list(date_created_after=since))
    results["before"] = sids(client.recordings.list(date_created_before=since))
    call, conference = client.calls(sid("CA", 1)), client.conferences(sid("CF", 1))
    results["of_call"] = sids(call.recordings.list(page_size=2))
    results["of_conference"] = sids(conference.recordings.list(page_size=2))
    results["by_call"] = sids(client.recordings.list(call_sid=sid("CA", 1)))
    results["one_of_call"] = call.recordings(sid("RE", 1)).fetch().uri
    results["one_of_conference"] = conference.recordings(sid("RE", 1)).fetch().uri
    results["call"] = call.fetch().direction

    mp3 = GATE + recording.uri.replace(".json", ".mp3")
    results["downloads"] = {
        "mp3": told(requests.get(mp3, auth=AUTH)),
        "wav": told(requests.get(recording.media_url, auth=AUTH)),
        "part": told(requests.get(mp3, auth=AUTH, headers={"Range": "bytes=100-199"})),
        "head": told(requests.head(mp3, auth=AUTH)),
        "one_channel": told(requests.get(mp3, auth=AUTH, params={"RequestedChannels": 1})),
    }
    with requests.get(mp3, auth=AUTH, stream=True) as response:
        digest = hashlib.sha256()
        for piece in response.iter_content(512):
            digest.update(piece)
        results["streamed"] = digest.hexdigest()


def errors():
    limited = client_of(os.environ["LIMITED_ID"], os.environ["LIMITED_SECRET"])
    selling = client_of(os.environ["SELLING_ID"], os.environ["SELLING_SECRET"])
    stranger = client_of(AUTH[0], "not-the-secret")
    limited.recordings(sid("RE", 1)).fetch()
    of = lambda client, digit: error_of(client.recordings(sid("RE", digit)).fetch)
    results["errors"] = {
        "refused": of(client, 3),
        "by_clause": of(selling, 1),
        "missing": of(client, 9),
        "stranger": of(stranger, 1),
        "busy": of(client, 8),
        "over_limit": of(limited, 1),
        "not_served": error_of(client.messages.list),
        "not_posted": error_of(lambda: client.calls(sid("CA", 1)).recordings.create()),
        "no_item": sids(selling.recordings.list(page_size=2)),
        "not_deleted": error_of(selling.recordings(sid("RE", 1)).delete),
    }


def derived():
    recording = client.recordings(sid("RE", 1))
    transcription = client.transcriptions(sid("TR", 1)).fetch()
    results["transcriptions"] = {
        "list": sids(client.transcriptions.list(page_size=2)),
        "of_recording": sids(recording.transcriptions.list(page_size=2)),
        "text": transcription.transcription_text,
        "one_of_recording": recording.transcriptions(sid("TR", 1)).fetch().transcription_text,
    }
    results["add_ons"] = sids(recording.add_on_results.list())
    add_on = recording.add_on_results(sid("XR", 1))
    results["payloads"] = sids(add_on.payloads.list(page_size=1))
    results["payload"] = add_on.payloads(sid("XH", 1)).fetch().label
    link = add_on.payloads(sid("XH", 1)).data().fetch().redirect_to
    results["payload_data"] = {"redirect_to": link, "got": told(requests.get(link))}


def message_media():
    message = client.messages(sid("MM", 1))
    media = message.media(sid("ME", 1)).fetch()
    url = GATE + media.uri.replace(".json", "")
    results["message_media"] = {
        "list": sids(message.media.list(page_size=2)),
        "type": media.content_type,
        "uri": media.uri,
        "got": told(requests.get(url, auth=AUTH)),
    }


def video():
    recordings = client.video.v1.recordings
    recording = recordings(sid("RT", 1)).fetch()
    link = requests.get(recording.links["media"], auth=AUTH, allow_redirects=False)
    composition = client.video.v1.compositions(sid("CJ", 1)).fetch()
    room = client.video.v1.rooms(sid("RM", 1))
    results["video"] = {
        "list": sids(recordings.list(page_size=2)),
        "pages": pages(recordings.page(page_size=2)),
        "of_kind": sids(recordings.list(media_type="video", page_size=1)),
        "grouped": sids(recordings.list(grouping_sid=[sid("RM", 1)])),
        "of_room": sids(room.recordings.list(page_size=2)),
        "url": recording.url,
        "media": recording.links["media"],
        "status": link.status_code,
        "redirect_to": link.json()["redirect_to"],
        "location": link.headers["location"],
        "got": told(requests.get(recording.links["media"], auth=AUTH)),
        "compositions": sids(client.video.v1.compositions.list(page_size=2)),
        "composition": told(requests.get(composition.links["media"], auth=AUTH)),
    }


def intelligence():
    transcripts = client.intelligence.v2.transcripts
    one = transcripts(sid("GT", 1))
    sentences = one.sentences.list(page_size=2)
    link = one.media().fetch().media_url
    results["intelligence"] = {
        "list": sids(transcripts.list(page_size=2)),
        "of_source": sids(transcripts.list(source_sid=sid("RE", 1))),
        "url": one.fetch().url,
        "sentences": [sentence.transcript for sentence in sentences],
        "plain": [s.transcript for s in one.sentences.list(redacted=False, page_size=2)],
        "results": [result.operator_sid for result in one.operator_results.list(page_size=2)],
        "result": one.operator_results(sid("LY", 1)).fetch().operator_sid,
        "media_url": link,
        "got": told(requests.get(link)),
        "plain_got": told(requests.get(one.media().fetch(redacted=False).media_url)),
        "encrypted": one.encrypted_sentences().fetch().location,
        "encrypted_results": one.encrypted_operator_results().fetch().locations,
    }


def deletions():
    gone = client.recordings(sid("RE", 6))
    call, conference = client.calls(sid("CA", 1)), client.conferences(sid("CF", 1))
    recording = client.recordings(sid("RE", 1))
    add_on = recording.add_on_results(sid("XR", 1))
    results["deleted"] = {
        "recording": gone.delete(),
        "then": error_of(gone.fetch),
        "of_call": call.recordings(sid("RE", 2)).delete(),
        "of_conference": conference.recordings(sid("RE", 5)).delete(),
        "of_recording": recording.transcriptions(sid("TR", 2)).delete(),
        "payload": add_on.payloads(sid("XH", 2)).delete(),
        "add_on": add_on.delete(),
        "of_room": client.video.v1.rooms(sid("RM", 1)).recordings(sid("RT", 2)).delete(),
        "transcription": client.transcriptions(sid("TR", 3)).delete(),
        "message_media": client.messages(sid("MM", 1)).media(sid("ME", 3)).delete(),
        "video": client.video.v1.recordings(sid("RT", 3)).delete(),
        "composition": client.video.v1.compositions(sid("CJ", 3)).delete(),
        "transcript": client.intelligence.v2.transcripts(sid("GT", 3)).delete(),
    }


async def without_waiting():
    """The SDK's other way to HTTP, which is another library."""
    async with AsyncTwilioHttpClient() as http:
        client = client_of(*AUTH, http_client=http)
        fetched = await client.recordings(sid("RE", 1)).fetch_async()
        found = [fetched.sid, *sids(await client.recordings.list_async(page_size=2))]
        gone = await client.recordings(sid("RE", 7)).delete_async()
        try:
            await client.recordings(sid("RE", 3)).fetch_async()
        except TwilioRestException as error:
            return {"found": found, "deleted": gone, "refused": error.status}


for part in (voice, errors, derived, message_media, video, intelligence, deletions):
    part()
results["async"] = asyncio.run(without_waiting())
results["names"] = sorted(names)
print(json.dumps(results))
