// Package browser looks at the pages as people do: with Chromium, at the demo of the built binary, on loopback alone.
//
//	llm_prober demo ──pages, events──> Chromium ──what it saw──> test
//	      ^                               │                       │
//	      └──────clicks: start, stop──────┴───────clicks──────────┘
//
// In every page that a test opens, an error on the console, an exception, a violation of the Content-Security-Policy or a
// request to another host fails the test: see tab. axe-core judges contrast, labels and landmarks; it is fetched by npm as
// package-lock.json pins it, and is no part of what is served.
//
// `make browser` is the way to run it. Without Chromium it is skipped, except in CI; `make screenshots` draws docs/images.
package browser
