// Package process runs the programs that a test is about, for real: it guarantees that each ends with the test, however that
// ends, and that the end of its log is shown when the test fails.
//
//	Start ──> Ready ──> ... ──> Kill, and Start again
//	                     └────> Stop: SIGTERM, and 30 s for it to end in order
package process
