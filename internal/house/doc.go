// Package house keeps the rules of this repository that no compiler keeps. It guarantees, in every
// test run, that the source tree reads as the documents say it does; there is nothing to import here.
//
// Who may import whom. Data flows one way, from the request to the metrics, and so do imports
// (tests may import what they like):
//
//	cmd ──> collector ──> prober ──> prober/wire      cmd also wires internal/web, internal/runs
//	              │          │                        and internal/simulator
//	              └──────────┴─────> config
//
// In words:
//
//   - prober/... knows nothing of Prometheus, the web or NVML, and of ours only prober/... and config.
//     prober/transport alone may take the HTTP client options of prometheus/common/config.
//   - prober/wire and config import nothing of ours, and config nothing of client_golang.
//   - collector is imported by cmd alone, internal/simulator by cmd and bench alone.
//   - No two folders import each other, however long the way round.
//
// How the tree is laid out and written:
//
//   - A folder is a noun; none is called util, common, helpers or the like.
//   - cmd/*/main.go has at most 60 lines; no init functions.
//   - Every package has one package comment, every exported name its own.
//   - Tests do not sleep: they use testing/synctest, channels or counts. The exceptions are listed
//     with their reasons, in this package.
//   - What starts goroutines is tested with goleak.
//   - The text speaks of the product alone, leaves nothing to be done, and its links lead somewhere.
//
// Each rule is a subtest of TestHouse, and says how to cure what it finds. Each is itself tested on
// small bad trees in TestRules.
package house
