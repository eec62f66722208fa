// Package engine fetches the metrics of serving engines and says them in one language, whatever engine speaks.
//
// What it guarantees:
//
//   - A scrape of the prober reads memory only: an engine that hangs, lies or is gone costs its own series, never a wait.
//   - A number is fresh or absent. After a fetch that failed, the engine's series are gone until one succeeds,
//     as if Prometheus had scraped the engine itself; [NameUp] and the reasons of failures remain.
//   - A counter never goes down while its series lives, through restarts of the engine, renames and lost ranks.
//   - No label value comes from an engine: reasons, states, phases and kinds are closed sets.
//   - What an engine does not tell is not made up.
//
// The way of one page:
//
//	GET ──> parse ──────> detect ─────────> normalise ───────> accumulate ────────> view ──> /metrics
//	        the families  which engine,     rules: which of    differences to the   what is  Snapshot
//	        that rules    by what families  its families say   page before, summed  served   Window
//	        name          there are         what of ours
//
// Counters and histograms are not copied but accumulated. With v(s,k) as the value of series s of the engine on page k,
// what is exported is
//
//	           { 0                    on the first page, and on pages of another process than the one followed
//	Σ  Σ   of  { v(s,k)               where s began anew: the process is newer than page k-1, s is new, or v(s,k) < v(s,k-1)
//	k  s       { v(s,k) - v(s,k-1)    otherwise
//
// so that an engine with eight ranks of which one restarts, or one that names its counters differently after an update,
// makes a series that rate() and increase() read rightly. What was counted between the last page before a restart and the restart is lost.
//
// Engines differ in what they mean by a word. docs/engines.md says for each of them what it gives, how to make it tell, and the traps.
package engine
