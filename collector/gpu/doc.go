// Package gpu reads NVIDIA GPUs and keeps telling the truth on the day they fail: whatever the driver does, the
// prober and its /metrics live on, every number is fresh or absent, and one lost GPU costs its own series only.
//
// The driver's library (NVML) can hang for ever, end its process, and be replaced under a running program; none of it
// can be undone from inside. So it is loaded by a worker, a child process of the same binary, and by nothing else:
//
//	      the prober                                   the worker (llm_prober gpu-worker)
//	┌──────────────────────────┐                     ┌──────────────────────────────────┐
//	│ Manager.Run ── spawns ───┼── config on stdin ─►│ RunWorker                        │
//	│    │   SIGTERM, SIGKILL  │                     │   ├─ samples every interval ─────┼─► NVML
//	│    │                     │◄─ frames on stdout ─┤   ├─ waits for XID events ───────┼─► NVML
//	│    ▼                     │   snapshot, xids,   │   └─ every 500 ms: which call    │
//	│  View (memory)           │   progress, gone    │      is under way, and how long  │
//	│    ▲            ▲        │                     └──────────────────────────────────┘
//	│ Collector    kernel log  │      end of stdin, SIGTERM or the prober's death end the worker
//	└────┬────────────┬────────┘
//	  /metrics     /dev/kmsg (opt-in)
//
// A scrape reads memory only. Readings that are older than 10 s (or 5 intervals) are withdrawn, not repeated.
//
// The states of a Manager:
//
//	disabled, not_in_build, no_hardware
//	        │ enabled, built and a GPU (or a driver) is there
//	        ▼
//	    starting ──────► running ◄────► stuck      a call has been under way for 3 s
//	        │               │             │        after 10 s the worker is ended, and that GPU is left out for a while
//	        ▼               ▼             ▼
//	     backoff ◄── SIGTERM, 3 s, SIGKILL, 3 s ──► one that does not even die is set aside; with two of them: wedged
//	     1 s .. 30 s
//
// Everything but source_nvml*.go is plain Go without cgo, and knows no NVML type.
package gpu
