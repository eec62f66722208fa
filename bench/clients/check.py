"""Checks what the official clients make of the simulated server's answers.

    check.py DIALECT=URL...
"""

import json
import sys
import traceback

import anthropic
import openai

MODEL = "sim-8b"
KEY = "secret"
ASK = [{"role": "user", "content": "Hello there, how are you?"}]
SCHEMA = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "unit": {"type": "string", "enum": ["celsius", "fahrenheit"]}},
    "required": ["city", "unit"],
    "additionalProperties": False,
}
FUNCTION = {"name": "get_weather", "description": "The weather somewhere.", "parameters": SCHEMA}
TOOLS = [{"type": "function", "function": FUNCTION}]
FAULT = "X-Sim-Fault"

checks = []


def check(*dialects):
    """Registers a check, to be run for each of the dialects with a client of it."""

    def register(f):
        checks.extend((f, d) for d in dialects)
        return f

    return register


def is_weather(arguments):
    got = json.loads(arguments) if isinstance(arguments, str) else arguments
    assert set(got) == {"city", "unit"} and got["unit"] in ("celsius", "fahrenheit"), got


def raises(kind, ask):
    try:
        ask()
    except kind as e:
        return e
    raise AssertionError(f"no {kind.__name__}")


CHAT = ("vllm", "sglang", "tgi", "llamacpp", "ollama", "openai", "azure")


def chat(client, **more):
    return client.chat.completions.create(model=MODEL, messages=ASK, seed=7, **({"max_tokens": 40} | more))


@check(*CHAT)
def chat_streamed_and_whole_are_alike(client):
    text, finish, usage = "", None, None
    for chunk in chat(client, stream=True, stream_options={"include_usage": True}):
        for choice in chunk.choices:
            text += choice.delta.content or ""
            finish = choice.finish_reason or finish
        usage = chunk.usage or usage
    assert finish == "length", finish
    assert usage.completion_tokens == 40 and usage.total_tokens == usage.prompt_tokens + 40, usage
    whole = chat(client)
    assert whole.choices[0].message.content == text != "", (text, whole)
    assert whole.choices[0].finish_reason == "length" and whole.usage.completion_tokens == 40, whole
    assert whole.model == MODEL and whole.object == "chat.completion", whole


@check(*CHAT)
def chat_tool_call_streamed(client):
    name, arguments, finish, ids = "", "", None, set()
    for chunk in chat(client, stream=True, tools=TOOLS, tool_choice="required", max_tokens=500):
        for choice in chunk.choices:
            for call in choice.delta.tool_calls or []:
                assert call.index == 0 or call.index is None, call
                ids |= {call.id} - {None}
                name += call.function.name or ""
                arguments += call.function.arguments or ""
            finish = choice.finish_reason or finish
    assert name == "get_weather" and finish == "tool_calls" and len(ids) == 1, (name, finish, ids)
    is_weather(arguments)


@check(*CHAT)
def chat_tool_call_whole(client):
    choice = chat(client, tools=TOOLS, max_tokens=500).choices[0]
    (call,) = choice.message.tool_calls
    assert call.function.name == "get_weather" and call.type == "function", call
    assert choice.finish_reason == "tool_calls", choice
    is_weather(call.function.arguments)


@check(*CHAT)
def chat_after_a_tool_has_answered(client):
    messages = ASK + [
        {"role": "assistant", "content": None, "tool_calls": [{"id": "call_1", "type": "function", "function": {"name": "get_weather", "arguments": "{}"}}]},
        {"role": "tool", "tool_call_id": "call_1", "content": "18 degrees"},
    ]
    whole = client.chat.completions.create(model=MODEL, messages=messages, tools=TOOLS, max_tokens=20)
    assert whole.choices[0].message.content and not whole.choices[0].message.tool_calls, whole


@check("vllm", "sglang", "llamacpp", "ollama")
def chat_reasoning_streamed(client):
    key = {"vllm": "reasoning", "ollama": "reasoning"}.get(client.dialect, "reasoning_content")
    thought, text = "", ""
    for chunk in chat(client, stream=True, reasoning_effort="low"):
        for choice in chunk.choices:
            more = (choice.delta.model_extra or {}).get(key) or ""
            assert not (more and text), "reasoning came after the answer had begun"
            thought += more
            text += choice.delta.content or ""
    assert thought and text, (thought, text)
    whole = chat(client, reasoning_effort="low").choices[0].message
    assert whole.content == text and whole.model_extra[key] == thought, whole


@check("openai", "azure")
def chat_reasoning_is_hidden_and_counted(client):
    usage = None
    for chunk in chat(client, stream=True, reasoning_effort="low", stream_options={"include_usage": True}):
        usage = chunk.usage or usage
    details = usage.completion_tokens_details
    assert 0 < details.reasoning_tokens < usage.completion_tokens, usage


@check("vllm", "sglang", "tgi", "llamacpp", "ollama", "openai", "azure")
def chat_document_of_a_schema(client):
    format = {"type": "json_schema", "json_schema": {"name": "weather", "schema": SCHEMA, "strict": True}}
    is_weather(chat(client, response_format=format, max_tokens=500).choices[0].message.content)


@check("vllm", "openai")
def chat_stream_helper(client):
    with client.chat.completions.stream(model=MODEL, messages=ASK, tools=[{"type": "function", "function": FUNCTION | {"strict": True}}], max_tokens=500) as stream:
        kinds = {event.type for event in stream}
        final = stream.get_final_completion()
    assert {"chunk", "tool_calls.function.arguments.delta", "tool_calls.function.arguments.done"} <= kinds, kinds
    is_weather(final.choices[0].message.tool_calls[0].function.parsed_arguments)


@check("vllm", "openai", "llamacpp", "sglang", "tgi")
def completion_streamed_and_whole_are_alike(client):
    ask = dict(model=MODEL, prompt="Once upon a time", max_tokens=30, seed=7)
    text, finish = "", None
    for chunk in client.completions.create(stream=True, **ask):
        for choice in chunk.choices:
            text += choice.text
            finish = choice.finish_reason or finish
    whole = client.completions.create(**ask)
    assert whole.choices[0].text == text != "" and finish == "length" == whole.choices[0].finish_reason, (text, whole)
    assert whole.usage.completion_tokens == 30 and whole.object == "text_completion", whole


RESPONSES = ("vllm", "openai")


def responses(client, **more):
    return client.responses.create(model=MODEL, input="Hello there, how are you?", extra_body={"seed": 7}, **({"max_output_tokens": 40} | more))


@check(*RESPONSES)
def responses_streamed_and_whole_are_alike(client):
    text, serial, final = "", -1, None
    for event in responses(client, stream=True):
        assert event.sequence_number == serial + 1, event
        serial += 1
        if event.type == "response.output_text.delta":
            text += event.delta
        if event.type in ("response.completed", "response.incomplete"):
            final = event.response
    assert final.status == "incomplete" and final.incomplete_details.reason == "max_output_tokens", final
    assert final.output_text == text != "" and final.usage.output_tokens == 40, (text, final)
    whole = responses(client)
    assert whole.output_text == text and whole.usage.output_tokens == 40, whole


@check(*RESPONSES)
def responses_tool_call(client):
    tools = [{"type": "function", **FUNCTION, "strict": True}]
    delta, done = "", None
    for event in responses(client, stream=True, tools=tools, max_output_tokens=500):
        if event.type == "response.function_call_arguments.delta":
            delta += event.delta
        if event.type == "response.output_item.done":
            done = event.item
        if event.type == "response.completed":
            assert event.response.output == [done], event
    assert done.type == "function_call" and done.name == "get_weather" and done.arguments == delta, done
    is_weather(delta)
    (call,) = responses(client, tools=tools, max_output_tokens=500).output
    is_weather(call.arguments)


@check(*RESPONSES)
def responses_reasoning(client):
    options = dict(reasoning={"effort": "low", "summary": "auto"}, max_output_tokens=60)
    kinds = [event.type for event in responses(client, stream=True, **options)]
    thought = "response.reasoning_text.delta" if client.dialect == "vllm" else "response.reasoning_summary_text.delta"
    assert thought in kinds and kinds.index(thought) < kinds.index("response.output_text.delta"), kinds
    whole = responses(client, **options)
    assert [item.type for item in whole.output] == ["reasoning", "message"], whole
    assert 0 < whole.usage.output_tokens_details.reasoning_tokens < 60, whole.usage


@check(*RESPONSES)
def responses_stream_helper(client):
    with client.responses.stream(model=MODEL, input="Hello", max_output_tokens=500, tools=[{"type": "function", **FUNCTION, "strict": True}]) as stream:
        for _ in stream:
            pass
        final = stream.get_final_response()
    is_weather(final.output[0].parsed_arguments)


@check("vllm", "openai", "sglang", "llamacpp", "tgi", "ollama")
def models_are_listed(client):
    assert [m.id for m in client.models.list()] == [MODEL]


@check("vllm", "openai", "sglang", "llamacpp", "ollama")
def openai_errors(client):
    e = raises(openai.NotFoundError, lambda: client.chat.completions.create(model="other", messages=ASK))
    assert "other" in str(e), e
    e = raises(openai.RateLimitError, lambda: chat(client, extra_headers={FAULT: "rate_limited=3"}))
    assert e.response.headers["retry-after"] == "3", e.response.headers
    raises(openai.InternalServerError, lambda: chat(client, extra_headers={FAULT: "internal_error"}))
    raises(openai.BadRequestError if client.dialect != "ollama" else Exception, lambda: client.chat.completions.create(model=MODEL, messages=ASK, tool_choice="required"))
    raises(openai.APIError, lambda: list(chat(client, stream=True, extra_headers={FAULT: "error=3"})))
    raises(openai.AuthenticationError, lambda: chat(client.with_options(api_key="wrong")))


@check("openai")
def openai_headers(client):
    raw = client.chat.completions.with_raw_response.create(model=MODEL, messages=ASK, max_tokens=5)
    assert int(raw.headers["openai-processing-ms"]) >= 20 and int(raw.headers["x-ratelimit-remaining-requests"]) > 0, raw.headers
    assert raw.parse().choices


def messages(client, **more):
    return client.messages.create(model=MODEL, messages=ASK, **({"max_tokens": 40} | more))


ANTHROPIC_TOOLS = [{"name": "get_weather", "description": "The weather somewhere.", "input_schema": SCHEMA}]


@check("anthropic")
def message_streamed(client):
    kinds, text = [], ""
    for event in messages(client, stream=True):
        kinds.append(event.type)
        if event.type == "content_block_delta":
            text += event.delta.text
        if event.type == "message_start":
            assert event.message.usage.input_tokens > 0, event
        if event.type == "message_delta":
            assert event.delta.stop_reason == "max_tokens" and event.usage.output_tokens == 40, event
    assert text and kinds[0] == "message_start" and kinds[-1] == "message_stop", kinds


@check("anthropic")
def message_stream_helper(client):
    with client.messages.stream(model=MODEL, messages=ASK, max_tokens=40) as stream:
        text = "".join(stream.text_stream)
        final = stream.get_final_message()
    assert final.content[0].text == text != "" and final.stop_reason == "max_tokens" and final.usage.output_tokens == 40, final


@check("anthropic")
def message_whole(client):
    m = messages(client)
    assert m.content[0].text and m.stop_reason == "max_tokens" and m.usage.output_tokens == 40 and m.role == "assistant", m


@check("anthropic")
def message_tool_use(client):
    with client.messages.stream(model=MODEL, messages=ASK, max_tokens=500, tools=ANTHROPIC_TOOLS) as stream:
        kinds = {event.type for event in stream}
        streamed = stream.get_final_message()
    assert "input_json" in kinds, kinds
    for m in (streamed, messages(client, max_tokens=500, tools=ANTHROPIC_TOOLS, tool_choice={"type": "tool", "name": "get_weather"})):
        assert m.stop_reason == "tool_use" and m.content[0].name == "get_weather" and m.content[0].id.startswith("toolu_"), m
        is_weather(m.content[0].input)


@check("anthropic")
def message_after_a_tool_has_answered(client):
    conversation = ASK + [
        {"role": "assistant", "content": [{"type": "tool_use", "id": "toolu_1", "name": "get_weather", "input": {}}]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "toolu_1", "content": "18 degrees"}]},
    ]
    m = client.messages.create(model=MODEL, messages=conversation, tools=ANTHROPIC_TOOLS, max_tokens=20)
    assert m.content[0].type == "text", m


@check("anthropic")
def message_thinking(client):
    options = dict(max_tokens=2000, thinking={"type": "enabled", "budget_tokens": 1024})
    with client.messages.stream(model=MODEL, messages=ASK, **options) as stream:
        kinds = {event.type for event in stream}
        streamed = stream.get_final_message()
    assert {"thinking", "text"} <= kinds, kinds
    for m in (streamed, messages(client, **options)):
        assert [b.type for b in m.content] == ["thinking", "text"] and m.content[0].thinking and m.content[0].signature, m


@check("anthropic")
def message_errors(client):
    assert client.messages.count_tokens(model=MODEL, messages=ASK).input_tokens > 0
    e = raises(anthropic.APIStatusError, lambda: messages(client, extra_headers={FAULT: "overloaded"}))
    assert e.status_code == 529 and e.body["error"]["type"] == "overloaded_error", e.body
    e = raises(anthropic.RateLimitError, lambda: messages(client, extra_headers={FAULT: "rate_limited=2"}))
    assert e.response.headers["retry-after"] == "2", e.response.headers
    raises(anthropic.APIStatusError, lambda: list(messages(client, stream=True, extra_headers={FAULT: "error=3"})))
    raises(anthropic.NotFoundError, lambda: client.messages.create(model="other", messages=ASK, max_tokens=5))
    raises(anthropic.AuthenticationError, lambda: messages(client.with_options(api_key="wrong")))


def client_of(dialect, url):
    # The clients try again by themselves unless told not to.
    if dialect == "anthropic":
        client = anthropic.Anthropic(base_url=url, api_key=KEY, max_retries=0, timeout=30)
    elif dialect == "azure":
        client = openai.AzureOpenAI(azure_endpoint=url, api_key=KEY, api_version="2024-10-21", max_retries=0, timeout=30)
    else:
        client = openai.OpenAI(base_url=url + "/v1", api_key=KEY, max_retries=0, timeout=30)
    client.dialect = dialect
    return client


def main():
    urls = dict(a.split("=", 1) for a in sys.argv[1:])
    print(f"openai {openai.__version__}, anthropic {anthropic.__version__}")
    clients = {d: client_of(d, url) for d, url in urls.items()}
    ran = failed = 0
    for f, dialect in checks:
        if dialect not in clients:
            continue
        name = f"{dialect:<10} {f.__name__.replace('_', ' ')}"
        ran += 1
        try:
            f(clients[dialect])
            print(f"ok    {name}")
        except Exception as e:
            failed += 1
            where = next(x for x in reversed(traceback.extract_tb(e.__traceback__)) if x.filename == __file__)
            print(f"FAIL  {name}: line {where.lineno}: {type(e).__name__}: {' '.join(str(e).split()):.600}")
    print(f"{ran} checks, {failed} failed")
    sys.exit(1 if failed or not ran else 0)


if __name__ == "__main__":
    main()
