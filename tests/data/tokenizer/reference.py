"""Renders chat templates the way `transformers` does, to make the golden texts of `templates.json`.

usage: reference.py CONVERSATIONS TEMPLATE... > GOLDEN      (needs jinja2)
CONVERSATIONS is a JSON list of {name, messages, tools, variables}, each rendered with every template, with and without
a generation prompt. GOLDEN is {sources, rows}, a row {template, conversation, add_generation_prompt, text}; the text is
null where the template raises. A template that trips over Python itself (it iterates over no tools, say) gives no row.
"""

import datetime
import json
import pathlib
import sys

from jinja2 import nodes
from jinja2.exceptions import TemplateError
from jinja2.ext import Extension, loopcontrols
from jinja2.sandbox import ImmutableSandboxedEnvironment

NOW = datetime.datetime(2024, 7, 26, 13, 5, 9)


class Generation(Extension):
    tags = {"generation"}

    def parse(self, parser):
        line = next(parser.stream).lineno
        body = parser.parse_statements(["name:endgeneration"], drop_needle=True)
        return nodes.CallBlock(self.call_method("_body"), [], [], body).set_lineno(line)

    def _body(self, caller):
        return caller()


def environment():
    def raise_exception(message):
        raise TemplateError(message)

    def tojson(value, ensure_ascii=False, indent=None, separators=None, sort_keys=False):
        return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)

    env = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True, extensions=[Generation, loopcontrols])
    env.filters["tojson"] = tojson
    env.globals["raise_exception"] = raise_exception
    env.globals["strftime_now"] = NOW.strftime
    return env


def messages(plain):
    """The messages of a conversation as `ChatTemplate` passes them: calls wrapped and numbered."""
    done, number, waiting = [], 0, []
    for message in plain:
        out = {"role": message["role"], "content": message["content"]}
        if message.get("tool_calls"):
            waiting, out["tool_calls"] = [], []
            for call in message["tool_calls"]:
                key = f"call{number:05}"
                number += 1
                waiting.append((key, call["name"]))
                out["tool_calls"].append({"id": key, "type": "function", "function": call})
        if message["role"] == "tool" and waiting:
            out["tool_call_id"], out["name"] = waiting.pop(0)
        done.append(out)
    return done


def main(conversations, templates):
    sources, rows = {}, []
    for path in map(pathlib.Path, templates):
        sources[path.stem] = path.read_text()
        for conversation in json.loads(pathlib.Path(conversations).read_text()):
            for prompt in (False, True):
                row = {"template": path.stem, "conversation": conversation["name"], "add_generation_prompt": prompt}
                try:
                    row["text"] = environment().from_string(sources[path.stem]).render(
                        messages=messages(conversation["messages"]),
                        tools=conversation.get("tools") or None,
                        documents=None,
                        add_generation_prompt=prompt,
                        bos_token="<s>",
                        eos_token="</s>",
                        **conversation.get("variables", {}),
                    )
                except TemplateError:
                    row["text"] = None
                except Exception:
                    continue
                rows.append(row)
    json.dump({"sources": sources, "rows": rows}, sys.stdout, ensure_ascii=False, indent=0)
    print()


main(sys.argv[1], sys.argv[2:])
