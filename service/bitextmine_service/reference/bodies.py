"""What is sent to routes whose bodies are files, as the reference shows it, by the operation's id."""

from __future__ import annotations

BODIES: dict[str, str] = {
    "create_corpus": "Wo ist der Bahnhof?\nGuten Morgen!\n",
    "append_to_corpus": "Das Museum öffnet um neun.\n",
    "create_scoring_job": "Wo ist der Bahnhof?\tWhere is the station?\n",
    "append_to_upload": "Wo ist der Bahnhof?\n",
}
