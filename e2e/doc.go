// Package e2e runs the whole chain for real, on loopback and with nothing replaced: simulated servers, the prober with a
// stand-in for NVIDIA's library, a Prometheus that scrapes it in all three ways and evaluates the shipped rules, an
// Alertmanager with the shipped routes and inhibitions, and a receiver of its webhooks.
//
//	llm_prober simulate ──> llm_prober run ──/metrics──> Prometheus ──> Alertmanager ──> webhook
//	   (five servers)        (probes, ramps,     job llm_prober          (inhibits)       (the test)
//	         ^                stand-in GPU)      job llm_prober_classic      ^
//	         │                     ^             job llm_prober_native       │
//	      slowed, killed        XID 79            all rules, 360 times as fast
//
// Time is compressed by configuration alone: see [Compression] for what that is, and what it leaves as it is.
// Whatever the rules and dashboards say is read from the files that are shipped, when the test runs.
//
// The test needs the programs that tools/e2e.sh builds; `make e2e` is the way to run it. Without them it is skipped.
package e2e
