"""Probes a running llama-server, and a LiteLLM before it, and holds what the prober says against what the server counted.

    check.py LLM_PROBER LLAMA_URL [LITELLM_URL KEY_FILE]
"""

import json
import subprocess
import sys
import urllib.request

PROTOCOLS = ("openai_chat", "openai_completions", "openai_responses", "anthropic_messages")
prober, llama = sys.argv[1:3]
failed = 0


def check(name, good, detail=""):
    global failed
    failed += not good
    print("ok    " if good else "FAILED", name, "" if good else detail)


def probe(url, *flags, protocol="openai_chat", stream="--stream", model="tiny", n=3):
    command = [prober, "probe", f"--url={url}/v1", f"--model={model}", f"--protocol={protocol}", stream, f"-n{n}", "--output=json", *flags]
    out = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False).stdout
    return [r for r in map(json.loads, out.splitlines()) if "outcome" in r]


def counted():
    """The prompt tokens, cached ones included, and the generated ones that the server has counted."""
    with urllib.request.urlopen(llama + "/metrics") as page:
        lines = dict(line.rsplit(" ", 1) for line in page.read().decode().splitlines() if not line.startswith("#"))
    have = {name: float(lines.get("llamacpp:" + name, 0)) for name in ("prompt_tokens_total", "prompt_tokens_cached_total", "tokens_predicted_total")}
    return have["prompt_tokens_total"] + have["prompt_tokens_cached_total"], have["tokens_predicted_total"]


def protocols(name, url, *flags):
    for protocol in PROTOCOLS:
        for stream in "--stream", "--no-stream":
            prompts, answers = counted()
            results = probe(url, "--prompt-tokens=30", "--max-output-tokens=24", *flags, protocol=protocol, stream=stream)
            after = counted()
            title = f"{name} {protocol} {stream[2:]}"
            check(title + ": all well", [r["outcome"] for r in results] == ["ok"] * 3, results)
            if any(r["outcome"] != "ok" for r in results):
                continue
            ours = sum(r["prompt_tokens"] for r in results), sum(r["output_tokens"] for r in results)
            check(title + ": tokens as the server counts", ours == (after[0] - prompts, after[1] - answers), (ours, after, prompts, answers))
            timed = [r["ttft_seconds"] is not None for r in results]
            check(title + ": a time to first token just of streams", timed == [stream == "--stream"] * 3, results)


def errors(name, url, *flags):
    (result,) = probe(url, "--prompt-tokens=20000", *flags, n=1)
    check(f"{name}: too long a prompt is http_4xx, and says so", result["outcome"] == "http_4xx" and "context size" in result["error"], result)


protocols("llama.cpp", llama)
errors("llama.cpp", llama)
if len(sys.argv) > 3:
    url, key = sys.argv[3], "--credentials-file=" + sys.argv[4]
    for protocol in PROTOCOLS:
        probe(url, key, protocol=protocol, n=1)  # LiteLLM's first of a kind takes seconds
    protocols("LiteLLM", url, key)
    errors("LiteLLM", url, key)
    (result,) = probe(url, key, model="nobody", n=1)
    check("LiteLLM: an unknown model is http_4xx", result["outcome"] == "http_4xx", result)
sys.exit(failed > 0)
