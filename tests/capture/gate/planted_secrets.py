"""Secrets as people leave them in files, made up anew by a generator that knows the providers' formats.

It shares nothing with the scanner: the formats are those of the providers' own documentation, the places those in
which keys are found in repositories. Nothing it makes opens anything.
"""

from __future__ import annotations

import base64
import json
import random
import string
import uuid
from collections.abc import Callable

LETTERS = string.ascii_letters
ALPHANUMERIC = LETTERS + string.digits
LOWER_ALPHANUMERIC = string.ascii_lowercase + string.digits
HEX = "0123456789abcdef"
SIGNS = "!#%&*+-.=?@^_~"


class Planter:
    """Makes one secret, and the lines of a file in which it stands."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)

    def of(self, alphabet: str, length: int) -> str:
        return "".join(self.random.choices(alphabet, k=length))

    def bytes(self, length: int) -> bytes:
        return self.random.randbytes(length)

    def base64(self, length_bytes: int) -> str:
        return base64.b64encode(self.bytes(length_bytes)).decode()

    def urlsafe(self, length_bytes: int) -> str:
        return base64.urlsafe_b64encode(self.bytes(length_bytes)).decode().rstrip("=")

    def password(self) -> str:
        """As a password manager makes it: all sorts of characters, in any order."""
        sorts = (string.ascii_lowercase, string.ascii_uppercase, string.digits, SIGNS)
        made = [*(self.of(sort, 1) for sort in sorts), *self.of(ALPHANUMERIC + SIGNS, self.random.randint(8, 16))]
        self.random.shuffle(made)
        return "".join(made)

    def plain_password(self) -> str:
        """Of letters and digits, so that it stands unescaped anywhere."""
        made = [*self.of(ALPHANUMERIC, self.random.randint(10, 14)), self.of(string.digits, 1), self.of(LETTERS, 1)]
        self.random.shuffle(made)
        return "".join(made)

    def assigned(self, name: str, value: str) -> str:
        """A named value, in one of the languages people write."""
        camel = "".join(word.capitalize() if at else word for at, word in enumerate(name.lower().split("_")))
        forms = (
            f'{name.lower()} = "{value}"',
            f"{name.upper()} = '{value}'",
            f"export {name.upper()}={value}",
            f"{name.lower()}: {value}",
            f'const {camel} = "{value}";',
            f'    "{camel}": "{value}",',
            f'    {name.lower()}="{value}",',
            f'os.environ["{name.upper()}"] = "{value}"',
            f'private static final String {name.upper()} = "{value}";',
            f'{camel} := "{value}"',
            f'set_{name.lower()}("{value}")',
        )
        return self.random.choice(forms)

    def pem(self, kind: str, length_bytes: int) -> str:
        body = self.base64(length_bytes)
        rows = [body[at : at + 64] for at in range(0, len(body), 64)]
        return "\n".join([f"-----BEGIN {kind}-----", *rows, f"-----END {kind}-----"])


def _json_web_token(planter: Planter) -> str:
    def part(value: object) -> str:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")

    header = part({"alg": "HS256", "typ": "JWT"})
    claims = part({"sub": planter.of(string.digits, 10), "name": planter.of(LETTERS, 9), "iat": 1_516_239_022})
    return f"{header}.{claims}.{planter.urlsafe(32)}"


def _service_account(planter: Planter) -> str:
    key = planter.pem("PRIVATE KEY", 1200) + "\n"
    return json.dumps({"type": "service_account", "private_key_id": planter.of(HEX, 40), "private_key": key}, indent=2)


def _slack_hook(planter: Planter) -> str:
    upper = string.ascii_uppercase + string.digits
    path = f"T{planter.of(upper, 8)}/B{planter.of(upper, 8)}/{planter.of(ALPHANUMERIC, 24)}"
    return f'requests.post("https://hooks.slack.com/services/{path}", json=payload)'


def _discord(planter: Planter) -> str:
    who = base64.b64encode(planter.of(string.digits, 18).encode()).decode()
    return f'client.run("{who}.{planter.urlsafe(5)[:6]}.{planter.urlsafe(21)[:27]}")'


def _putty(planter: Planter) -> str:
    rows = "\n".join(planter.base64(48) for _ in range(6))
    return f"PuTTY-User-Key-File-3: ssh-ed25519\nEncryption: none\nPrivate-Lines: 6\n{rows}\n"


def _azure_storage(planter: Planter) -> str:
    account = planter.of(LOWER_ALPHANUMERIC, 12)
    return f'connect("DefaultEndpointsProtocol=https;AccountName={account};AccountKey={planter.base64(64)}")'


def _sql_server(planter: Planter) -> str:
    return f'var text = "Server=tcp:db,1433;User ID=app;Password={planter.plain_password()};Encrypt=True";'


def _netrc_like_curl(planter: Planter) -> str:
    return f'curl -H "Authorization: Bearer {planter.of(ALPHANUMERIC, 40)}" https://api.internal/v1/jobs'


def _basic_header(planter: Planter) -> str:
    credentials = base64.b64encode(f"deploy:{planter.password()}".encode()).decode()
    return f"  -H 'Authorization: Basic {credentials}' \\"


Make = Callable[[Planter], str]
# Kind -> the lines in which a secret of it stands.
KINDS: dict[str, Make] = {
    "aws access key id": lambda p: p.assigned(
        "aws_access_key_id", "AKIA" + p.of(string.ascii_uppercase + "234567", 16)
    ),
    "aws secret access key": lambda p: p.assigned("aws_secret_access_key", p.base64(30)),
    "github classic token": lambda p: p.assigned("gh", "ghp_" + p.of(ALPHANUMERIC, 36)),
    "github fine-grained token": lambda p: p.assigned(
        "github", f"github_pat_11{p.of(string.ascii_uppercase + string.digits, 20)}_{p.of(ALPHANUMERIC, 59)}"
    ),
    "gitlab token": lambda p: p.assigned("ci", "glpat-" + p.urlsafe(15)),
    "slack bot token": lambda p: p.assigned(
        "bot", f"xoxb-{p.of(string.digits, 12)}-{p.of(string.digits, 13)}-{p.of(ALPHANUMERIC, 24)}"
    ),
    "slack webhook": _slack_hook,
    "stripe live key": lambda p: p.assigned("stripe", "sk_live_" + p.of(ALPHANUMERIC, 24)),
    "google api key": lambda p: p.assigned("maps", "AIza" + p.urlsafe(27)[:35]),
    "google oauth client secret": lambda p: p.assigned("google_client_secret", "GOCSPX-" + p.urlsafe(21)),
    "google service account": _service_account,
    "rsa private key": lambda p: p.pem("RSA PRIVATE KEY", 600),
    "openssh private key": lambda p: p.pem("OPENSSH PRIVATE KEY", 300),
    "elliptic curve private key": lambda p: p.pem("EC PRIVATE KEY", 120),
    "encrypted pkcs8 key": lambda p: p.pem("ENCRYPTED PRIVATE KEY", 600),
    "putty key": _putty,
    "json web token": lambda p: f'headers = {{"Cookie": "id={_json_web_token(p)}"}}',
    "npm token": lambda p: f"//registry.npmjs.org/:_authToken=npm_{p.of(ALPHANUMERIC, 36)}",
    "pypi token": lambda p: p.assigned("twine", "pypi-AgEIcHlwaS5vcmc" + p.urlsafe(90)),
    "sendgrid key": lambda p: p.assigned("mail", f"SG.{p.urlsafe(17)[:22]}.{p.urlsafe(33)[:43]}"),
    "mailgun key": lambda p: p.assigned("mailgun", "key-" + p.of(HEX, 32)),
    "mailchimp key": lambda p: p.assigned("newsletter", f"{p.of(HEX, 32)}-us{p.random.randint(1, 20)}"),
    "twilio auth token": lambda p: p.assigned("twilio_auth_token", p.of(HEX, 32)),
    "azure storage key": _azure_storage,
    "azure client secret": lambda p: p.assigned(
        "client_secret", f"{p.of(ALPHANUMERIC, 3)}8Q~{p.of(ALPHANUMERIC + '_.~-', 34)}"
    ),
    "openai key": lambda p: p.assigned("openai", f"sk-proj-{p.urlsafe(36)}T3BlbkFJ{p.urlsafe(36)}"),
    "anthropic key": lambda p: p.assigned("llm", f"sk-ant-api03-{p.urlsafe(69)}-{p.urlsafe(4)}AA"),
    "hugging face token": lambda p: p.assigned("hub", "hf_" + p.of(LETTERS, 34)),
    "telegram bot token": lambda p: p.assigned("bot", f"{p.of(string.digits, 10)}:AA{p.urlsafe(25)[:33]}"),
    "discord bot token": _discord,
    "digitalocean token": lambda p: p.assigned("digitalocean_token", "dop_v1_" + p.of(HEX, 64)),
    "shopify token": lambda p: p.assigned("shop", "shpat_" + p.of(HEX, 32)),
    "heroku key": lambda p: p.assigned("heroku_api_key", str(uuid.UUID(bytes=p.bytes(16), version=4))),
    "postgres address": lambda p: f'engine = connect("postgresql://app:{p.plain_password()}@db.internal:5432/shop")',
    "redis address": lambda p: f"REDIS_URL=redis://:{p.plain_password()}@cache:6379/0",
    "sql server connection": _sql_server,
    "password in source": lambda p: p.assigned("db_password", p.password()),
    "password on a command line": lambda p: f"mysqldump --password={p.password()} shop > shop.sql",
    "bearer header": _netrc_like_curl,
    "basic header": _basic_header,
    "django secret key": lambda p: f"SECRET_KEY = '{p.of(LOWER_ALPHANUMERIC + '!@#$%^&*(-_=+)', 50)}'",
    "signing key": lambda p: p.assigned("signing_key", p.of(HEX, 64)),
}

BEFORE = "import os\n\n\ndef connect_to_everything(settings):\n    first = settings.get('host', 'localhost')\n"
AFTER = "\n\nfor index in range(10):\n    print(index, first)\n"


def planted(kind: str, seed: int) -> str:
    """A file with one secret of ``kind`` in it."""
    return BEFORE + KINDS[kind](Planter(seed)) + AFTER
