package wire

// tokenCount tells how many tokens each content-bearing event stands for, where the server counts as it goes:
//
//	events    role    "Hel"   ""      "lo"    finish
//	total     0       2       3       4       5
//	tokens            2               2                  3 came without text, and belong to "lo"
//
// Tokens that come without text (half a character that the server holds back, a control token) are counted with the
// next event that has some, for that is when they were seen. Where one event is not counted, the next one's step
// covers both, so it is not known either: -1.
type tokenCount struct {
	total int  // at the last content-bearing event that was counted
	blind bool // a content-bearing event has not been counted since
}

// upTo says how many tokens ev stands for when the server has counted total in all so far; -1 unknown.
// A total that does not rise with the content says nothing of it.
func (t *tokenCount) upTo(total int, ev *Event) int {
	if !ev.Generated() {
		return -1
	}
	step := total - t.total
	if step <= 0 {
		t.blind = true
		return -1
	}
	t.total = total
	if t.blind {
		t.blind = false
		return -1
	}
	return step
}
