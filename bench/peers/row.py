"""One row of the comparison: what a tool says of its times to first token, beside what the server did.

    row.py head
    row.py TOOL STREAMS OUTPUT SERVER RESULTS

The error is the tool's mean minus the server's: from when the server had read a request until it sent the first token.
"""

import http.client
import json
import math
import sys
import urllib.parse

ROW = "{:<22} {:>7} {:>8} {:>9} {:>9} {:>9} {:>9} {:>9}"


def quantile(values, q):
    return sorted(values)[max(0, math.ceil(q * len(values)) - 1)]


def describe(values):
    return {
        "requests": len(values),
        "mean": sum(values) / len(values),
        "p50": quantile(values, 0.5),
        "p99": quantile(values, 0.99),
        "max": max(values),
    }


def ours(text):
    r = json.loads(text)
    if r["requests_failed"] or r["events_lost"]:
        raise RuntimeError(f"{r['requests_failed']} requests failed, {r['events_lost']} events lost")
    for clock in ("kernel", "user"):
        if s := r["ttft_seconds"][clock]:
            yield f"llm_prober, {clock}", {"requests": r["requests"], **{k: s[k] * 1e3 for k in ("mean", "p50", "p99", "max")}}


def aiohttp(text):
    yield "aiohttp loop", describe([t * 1e3 for t in json.loads(text)])


def aiperf(text):
    s = json.loads(text)["time_to_first_token"]
    yield "aiperf", {"requests": s["count"], "mean": s["avg"], "p50": s["p50"], "p99": s["p99"], "max": s["max"]}


def guidellm(text):
    [benchmark] = json.loads(text)["benchmarks"]
    s = benchmark["metrics"]["time_to_first_token_ms"]["successful"]
    p = s["percentiles"]
    yield "guidellm", {"requests": s["count"], "mean": s["mean"], "p50": p["p50"], "p99": p["p99"], "max": s["max"]}


def k6(text):
    metrics = json.loads(text)
    if "short_answers" in metrics:
        raise RuntimeError(f"{metrics['short_answers']['values']['count']} answers were short")
    s = metrics["ttft"]["values"]
    yield "k6 with xk6-sse", {"requests": s["count"], "mean": s["avg"], "p50": s["med"], "p99": s["p(99)"], "max": s["max"]}


def truth(server):
    """What the server did for its latest requests: from reading each until sending its first token, in ms."""
    conn = http.client.HTTPConnection(urllib.parse.urlsplit(server).netloc)

    def get(path):
        conn.request("GET", path)
        return json.load(conn.getresponse())

    done = [t["request_id"] for t in get("/ground_truth") if t.get("finish_reason") == "length"]
    did = []
    for request_id in done[-2000:]:
        tokens = get("/ground_truth?request_id=" + urllib.parse.quote(request_id)).get("tokens")
        if tokens:
            did.append(tokens[0]["sent_ns"] / 1e6)
    return describe(did)


def main():
    if sys.argv[1] == "head":
        print(ROW.format("client", "streams", "requests", "mean", "p50", "p99", "server", "ERROR"))
        return
    tool, streams, output, server, results = sys.argv[1:]
    with open(output) as f:
        rows = list({"ours": ours, "aiohttp": aiohttp, "aiperf": aiperf, "guidellm": guidellm, "k6": k6}[tool](f.read()))
    did = truth(server)
    for name, s in rows:
        error = s["mean"] - did["mean"]
        print(ROW.format(name, streams, s["requests"], *(f"{x:.2f}" for x in (s["mean"], s["p50"], s["p99"], did["mean"], error))))
        with open(results, "a") as f:
            json.dump({"client": name, "streams": int(streams), "ttft_ms": s, "server_ms": did, "error_ms": error}, f)
            f.write("\n")


main()
