// Package workload says what is asked, and at which times under load: generated prompts, conversations and recorded
// requests; constant, random and recorded arrivals.
//
// It guarantees that prompts have the wanted number of tokens without a tokenizer at hand, that arrivals have the wanted
// rate without drift, and that both can be repeated from a seed: the times exactly, the words but for their number, which
// follows the server's counts.
//
// # Prompts
//
// Once a target has counted a few of our prompts, further ones have the wanted number of tokens within a few per cent,
// whatever the tokenizer, and the mean error goes to zero: a [Calibration] learns from the server's own count.
//
//	 Shape -> Generator -> Prompt -> (the prober asks) -> usage.prompt_tokens
//	             ^                                              |
//	             └──────────── Calibration <────────────────────┘
//
//	tokens = overhead + perUnit * units
//
// A unit is one byte of generated text, and the text is made so that perUnit is nearly the same for every prompt:
//
//   - Sentences follow patterns of word kinds and lengths, in the same order in all prompts. So words, pieces of words,
//     full stops and bytes grow in step, and it does not matter which of them a tokenizer counts.
//   - Prompts of one length have the same words, in another order: what a vocabulary does not hold whole costs the same
//     each time, so one count tells what the next prompt of that length will have.
//   - The words are common ones, which most vocabularies hold whole.
//   - The text has exactly as many bytes as asked: the last word's length is chosen to fit.
//
// The overhead is what the server's chat template adds, and what our fixed parts (first line, closing instruction) cost
// more or less than ordinary text of their length.
//
// A prompt is one user message:
//
//	Gold lake song                                  the unique first line, so that no prefix cache can answer
//	The quiet river turned near the garden, ...     text, to the wanted length
//	Go on at length.                                the instruction, so that outputs reach their cap
//
// A shared prefix, if one is wanted, stands before the first line. The instruction depends on the [Purpose]: going on, JSON,
// a tool call, a puzzle with a known answer, a long list; or it is the user's own. One calibration serves all probes of a
// target but those with tools or an instruction of the user's: servers count the tools as a part of the prompt, and words
// of another script have other tokens. Such a probe takes a calibration and a generator of its own.
//
// A [Conversation] asks several times, each time with all that was said before. A [Recorded] file has requests of the
// user's own instead; its prompts are as long as they are, and teach nothing.
//
// # Arrivals
//
// [Arrivals] are one schedule of absolute times, from a [Profile] of the rate over time and a [Process] that scatters them
// about it, or from a [Trace]:
//
//	process of rate 1:   |  |   || |    |  | ||      1, 2, 3 ... for constant arrivals
//	                     ↓  ↓   ↓↓ ↓    ↓  ↓ ↓↓      the inverse of the integral of the rate
//	arrivals:            |    |     || |   || |||    where the rate grows
//
// The n-th arrival is a function of the profile, the process, the seed and n: not of when the ones before it were served.
// A run waits for them by [SleepUntil], which wakes in time, and judges each request by the time at which it was wanted.
package workload
