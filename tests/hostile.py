"""Names such as nobody should have, for what must show them as text."""

from __future__ import annotations

OWNED = "<img src=x onerror=\"document.title='owned'\">"
HOSTILE = (
    f"</script>{OWNED}",
    f"</style></title>{OWNED}",
    f"\"'>{OWNED}",
    "{{7*7}}",
    "{% raw %}",
    "\u202etrousers\u2066\u200f",
    "\x1b[31mred\x07\x00\x9b",
    "W" * 10_000,
    "--><svg/onload=\"document.title='owned'\">",
    "&lt;b&gt; ]]> ` | * $1 url(#x)",
)
