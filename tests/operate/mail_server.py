"""A mail server with TLS and a password, which prints each mail that it takes as a line of JSON.

Usage: mail_server.py CERTIFICATE KEY tls|starttls USER PASSWORD

Its first line is its port. It ends with its standard input.
"""

import asyncio
import json
import ssl
import sys
from email import message_from_bytes

from aiosmtpd.smtp import SMTP, AuthResult

certificate, key, security, user, password = sys.argv[1:]
context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
context.load_cert_chain(certificate, key)


def authenticate(server, session, envelope, mechanism, given):
    right = given.login.decode() == user and given.password.decode() == password
    return AuthResult(success=right, handled=False)


class Box:
    async def handle_DATA(self, server, session, envelope):
        if security == "starttls" and session.ssl is None:
            return "530 speak TLS first"
        mail = message_from_bytes(envelope.content)
        text = mail.get_payload(decode=True).decode()
        told = {"to": envelope.rcpt_tos, "from": mail["From"], "subject": mail["Subject"], "text": text}
        print(json.dumps(told), flush=True)
        return "250 OK"


def session():
    later = {"tls_context": context, "require_starttls": True} if security == "starttls" else {}
    # What is wrapped in TLS from the first byte is not seen by it as encrypted.
    needs_tls = security == "starttls"
    return SMTP(
        Box(), authenticator=authenticate, auth_required=True, auth_require_tls=needs_tls, **later
    )


async def serve():
    loop = asyncio.get_running_loop()
    wrapped = context if security == "tls" else None
    server = await loop.create_server(session, "127.0.0.1", 0, ssl=wrapped)
    print(server.sockets[0].getsockname()[1], flush=True)
    await loop.run_in_executor(None, sys.stdin.read)


asyncio.run(serve())
