// Package chaos has everything go wrong around a real prober, at random and at once, and looks at what it makes of it: every
// probe keeps its rate, every request ends with an outcome that what was wrong at its time accounts for, no other target feels
// it, no series is lost or steps back, memory, goroutines and files are as at the beginning, and it ends in order.
//
//	                 good ┌── 15 s ──┐┌─────── LLM_PROBER_CHAOS ───────┐┌── 15 s or more ──┐
//	server_1..3           ok          endless  cut=3  stall=30s@2  ...   ok
//	network_1..2          ok          reset  black hole  1 KB/s  ...     ok
//	mortal, named         ok          killed, stopped; NXDOMAIN, ...     ok
//	the prober itself     as it is    no files, SIGHUPs, full disk, ...  as it was?
//	control               ok          ok                                 ok
//
// Which states and troubles there are, when, is drawn from a seed, which is printed. Each target's states are known, so that for each
// request of the prober's log it is known which outcomes it may have; /metrics must count the same.
//
//	what goes wrong            how it is made                                           what is expected
//	the server                 each fault of the simulator, for all requests            the outcome of the table in server_test.go
//	the server's process       SIGKILL and a new start; SIGSTOP, SIGCONT                connect; timeout_first_token
//	the server is full         a listen queue that is full: SYNs are dropped            timeout_connect
//	no TLS, no such model,     always so                                                tls, http_4xx, content_mismatch
//	  a wrong answer
//	the network                toxiproxy between: latency, reset_peer, timeout,         the outcome of the table in proxy_test.go
//	                           limit_data, slow_close, bandwidth, slicer; refused
//	names                      a name server of the test's own: NXDOMAIN, SERVFAIL,     dns; timeout_connect where it says nothing
//	                           REFUSED, no address, slow, silent
//	engine metrics             toxiproxy before the page, as above                      llm_engine_up 0, the failure's reason; its target
//	                                                                                    is probed as ever; counters go on after it
//	GPU worker                 SIGKILL, SIGSTOP                                         restarts by reason; readings come back
//	file descriptors           RLIMIT_NOFILE of the running prober: none, or one more   requests that need one are not sent
//	readers of /metrics        2 or 40 that never read, and as many that send their     others are served all the time
//	                           request byte by byte
//	reloads                    SIGHUPs, some ten a second: files that are good, bad,    what did not change is not touched
//	                           empty, no YAML, missing; a target comes and goes
//	disk                       a file system of 8 MiB, filled to the last byte          a run ends without a record; the next is on record
//
// Not here is a step of the wall clock: it cannot be had for one process (time namespaces have no CLOCK_REALTIME, and Go reads the clock
// without a system call), and the machine's own is not ours to step. It is tested where it is dealt with: TestArrivalClock* in
// prober/transport, against kernel stamps, and the timetable's tests in prober/ramp/cron; package prober/schedule never reads the wall
// clock again once a job's grid is laid.
//
// Where the machine itself keeps all of this from running for 0.3 s or more, or one of its processors, or a server, what was late for that
// is not held against the prober.
//
// Names and the disk need namespaces: see isolation_test.go. Where the user may have none, these two are skipped, and say so.
//
// The test is run by `make chaos`, that is tools/chaos.sh.
package chaos
